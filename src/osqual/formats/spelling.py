"""Names that nobody knows, and the nearest that somebody does: misspelt keys and options."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from osqual.errors import Key, Problem

if TYPE_CHECKING:
    from pydantic import ValidationError


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name, empty when none is near."""
    names = {text.lower(): text for text in known}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f" (did you mean {names[near[0]]!r}?)" if near else ""


# Where pydantic speaks of Python's types.
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "must be text",
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "dataclass_type"), "must be a mapping"
    ),
}


def problems_of(error: "ValidationError", model: type, document: Any) -> list[Problem]:
    """What is wrong with a document that was to be a `model`, in words for those who write it.

    Where one of several kinds of values may stand, only what the nearest kind lacks is told.
    """
    found: dict[Key, list[str]] = {}
    for item in error.errors():
        key = _place(item, document)
        words = found.setdefault(key, [])
        words += [text for text in [_words(item, key, model)] if text not in words]
    return [
        Problem(key, ", or ".join(words))
        for key, words in found.items()
        if not any(other[: len(key)] == key != other for other in found)
    ]


def _place(item: Any, document: Any) -> Key:
    """A place without pydantic's names of the kinds of values that may stand there."""
    key: list[str | int] = []
    for part in item["loc"]:
        if _has(document, part):
            document = document[part]
            key.append(part)
    if item["type"] == "missing":
        key.append(item["loc"][-1])
    return tuple(key)


def _has(document: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(document, list) and part < len(document)
    return isinstance(document, dict) and part in document


def _words(item: Any, key: Key, model: type) -> str:
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key{did_you_mean(str(key[-1]), _names(model, key[:-1]))}"
    said = str(item["msg"]).removeprefix("Value error, ")
    return _WORDS.get(item["type"]) or re.sub("^Input should ", "must ", said)


def _names(model: type, location: Iterable[Any]) -> set[str]:
    """The keys that may stand at a place of a document."""
    models = {model}
    for part in location:
        if isinstance(part, str):
            models = {
                inner
                for outer in models
                for name, kind in _fields(outer)
                if name == part
                for inner in _models(kind)
            } or models  # a name of the data's own, such as one of a product
    return {name for each in models for name, _ in _fields(each)}


def _fields(model: type) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(model):
        yield from ((field.name, field.type) for field in dataclasses.fields(model))
    for name, field in getattr(model, "model_fields", {}).items():
        yield field.alias or name, field.annotation


def _models(kind: Any) -> Iterator[type]:
    """Every model in an annotation such as `tuple[Step, ...] | None`."""
    if isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "model_fields")):
        yield kind
    for inner in get_args(kind):
        yield from _models(inner)
