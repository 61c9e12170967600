"""Reading mutes.yaml: strictly, every mistake with its line and key."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, TypeAdapter
from pydantic import ValidationError as PydanticError

from osqual.catalogue.filters import Filters, parse_condition
from osqual.errors import InvalidFile, UnknownKey, UsageError
from osqual.formats.documents import load_yaml, yaml_line
from osqual.mutes.mute import ANY, Mute
from osqual.results.signature import LENGTH

IMAGE = "image"
"""The key of a scope that names image ids rather than a dimension."""

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True, strict=True)]
_Signature = Annotated[
    str, StringConstraints(pattern=rf"^(?:{ANY}|[0-9a-f]{{{LENGTH}}})$", strict=True)
]


def _as_date(value: Any) -> Any:
    """A date that was quoted is the same date; a time of day is refused."""
    if isinstance(value, str):
        return date.fromisoformat(value.strip())
    if isinstance(value, datetime):
        raise ValueError("is a day, without a time")
    return value


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    test: _Text
    scope: dict[_Text, _Text | Annotated[list[_Text], "list"]] = {}
    reason: str = ""
    ticket: str = ""
    owner: str = ""
    until: Annotated[date, BeforeValidator(_as_date)] | None = None
    run: Literal["never"] | None = None
    signature: _Signature | Annotated[list[_Signature], "list"] = []


_Entries = TypeAdapter(list[_Entry])
Aliases = Mapping[str, Mapping[str, str]]


def parse_mutes(
    text: str, source: str, dimensions: Collection[str], aliases: Aliases | None = None
) -> tuple[Mute, ...]:
    """The entries of a mutes file. `dimensions` are those that a scope may name.

    Raises InvalidFile, UnknownKey for a key or dimension that does not exist.
    """
    data = load_yaml(text, source)
    if data is None:
        return ()
    if not isinstance(data, list):
        raise InvalidFile(source, "must be a list of mutes, each beginning with `- test:`", line=1)
    try:
        entries = _Entries.validate_python(data)
    except PydanticError as error:
        raise _problem(error, text, source) from error
    lines = _lines(text)
    return tuple(
        _mute(entry, index, lines[index], text, source, dimensions, aliases or {})
        for index, entry in enumerate(entries)
    )


def mutes_schema() -> dict[str, Any]:
    """JSON Schema of a mutes file."""
    schema = _Entries.json_schema()
    scope = schema["$defs"]["_Entry"]["properties"]["scope"]
    scope["description"] = (
        "Dimension, or `image` for image ids, to a value, a glob, a comparison such as '>=2.0', "
        "or a list of them. Without a scope: everything below the file."
    )
    return schema


def _lines(text: str) -> list[int]:
    """The line of each entry of a list that is known to be one."""
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    return [item.start_mark.line + 1 for item in node.value] if node is not None else []


def _mute(
    entry: _Entry,
    index: int,
    line: int,
    text: str,
    source: str,
    dimensions: Collection[str],
    aliases: Aliases,
) -> Mute:
    written = {name: _as_tuple(value) for name, value in entry.scope.items()}
    images = written.pop(IMAGE, ()) if IMAGE not in dimensions else ()
    conditions = []
    for name, values in written.items():
        place = yaml_line(text, [index, "scope", name]) if name not in dimensions else line
        if name not in dimensions:
            known = ", ".join([*dimensions, IMAGE])
            message = f"is not a dimension; a scope may name {known}"
            raise UnknownKey(source, message, line=place, key=f"[{index}].scope.{name}")
        for value in values:
            try:
                conditions.append(parse_condition(name, value, aliases.get(name, {})))
            except UsageError as error:
                place = yaml_line(text, [index, "scope", name])
                key = f"[{index}].scope.{name}"
                raise InvalidFile(source, error.brief, line=place, key=key) from error
    return Mute(
        test=entry.test,
        scope=Filters(conditions=tuple(conditions)),
        images=images,
        reason=entry.reason.strip(),
        ticket=entry.ticket.strip(),
        owner=entry.owner.strip(),
        until=entry.until,
        runs=entry.run is None,
        signatures=_as_tuple(entry.signature),
        source=source,
        line=line,
        written_scope={**written, **({IMAGE: images} if images else {})},
    )


def _as_tuple(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _problem(error: PydanticError, text: str, source: str) -> InvalidFile:
    """The first mistake, in the words of somebody who writes YAML."""
    found = error.errors()[0]
    path = [step for step in found["loc"] if step != "list" and not _is_type_name(step)]
    path = path[:4]
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    line = yaml_line(text, path)
    if found["type"] == "extra_forbidden":
        known = ", ".join(_Entry.model_fields)
        return UnknownKey(source, f"is not known; known are {known}", line=line, key=key)
    return InvalidFile(source, _message(found), line=line, key=key)


def _is_type_name(step: int | str) -> bool:
    """Pydantic names the member of a union in a place, `constrained-str` or `list[…]`."""
    return isinstance(step, str) and (step.startswith(("constrained-", "list[")) or step == "str")


def _message(found: Mapping[str, Any]) -> str:
    shown = repr(found.get("input"))
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    messages: Mapping[str, str] = {
        "missing": "is missing",
        "string_type": f"must be text, not {shown}; quote it",
        "string_too_short": "must not be empty",
        "dict_type": "must be a mapping",
        "model_type": "must be a mapping that begins with `test:`",
        "date_type": f"must be a day such as 2026-01-31, not {shown}",
        "string_pattern_mismatch": f"must be `{ANY}` or a failure's signature, {LENGTH} "
        f"hexadecimal digits, not {shown}",
        "literal_error": f"can only be `never`, not {shown}",
    }
    if found["type"] == "value_error":
        return f"must be a day such as 2026-01-31, not {shown}"
    return messages.get(str(found["type"]), str(found["msg"]))


def mutes_in_scope(
    mutes: Sequence[Mute], path: str, dimensions: Mapping[str, str]
) -> tuple[Mute, ...]:
    """Those that apply to a configuration, expired or not."""
    return tuple(mute for mute in mutes if mute.applies_to(path, dimensions))
