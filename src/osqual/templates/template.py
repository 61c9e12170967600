"""Packer JSON templates as values: parsing, interpolation, and the files a template refers to.

Both builders, the recipe's digest and lint read templates through here. No I/O.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osqual.errors import InvalidInput, Problem, Unusable

# The part of Go's template language that templates use: calls with literal arguments, fields,
# literals and pipelines. `{{`{{.Id}}`}}` is how a literal pair of braces is written.
_STRING = r'`[^`]*`|"(?:\\.|[^"\\])*"'
_ACTION = re.compile(
    r"(?P<before>\s*\{\{-\s|\{\{)"
    rf'(?P<body>(?:{_STRING}|[^`"}}]|\}}(?!\}}))*?)'
    r"(?P<after>\s-\}\}\s*|\}\})"
)
_TOKEN = re.compile(rf"\s*(?:(?P<string>{_STRING})|(?P<pipe>\|)|(?P<word>[^\s|`\"]+))")
_COMMENT = re.compile(r"\s*/\*.*\*/\s*", re.DOTALL)

Function = Callable[..., str]
"""A template function: takes its arguments as strings, or one None when it has none."""


def refuse_together(source: str, refusals: Sequence[Unusable]) -> None:
    """Raise what was refused: everything at once, so that it can be corrected at once."""
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise Unusable(
            f"{source}: this template cannot be built.",
            [problem for refusal in refusals for problem in refusal.problems],
            resolution=next(filter(None, (refusal.resolution for refusal in refusals)), ""),
        )


@dataclass(frozen=True, kw_only=True)
class PackerTemplate:
    """A parsed template. `data` is the whole document, as written."""

    data: Mapping[str, Any]
    source: str
    """Where the text came from, for messages."""

    @property
    def builder(self) -> Mapping[str, Any]:
        """The first builder: it says what kind of image this is."""
        builder: Mapping[str, Any] = self.data["builders"][0]
        return builder

    @property
    def builder_type(self) -> str:
        """`amazon-ebs`, `qemu`, …"""
        return str(self.builder["type"])

    @property
    def provisioners(self) -> tuple[Mapping[str, Any], ...]:
        """The provisioners in order."""
        return tuple(self.data.get("provisioners", ()))

    @property
    def variables(self) -> Mapping[str, Any]:
        """User variables with their uninterpolated defaults (null: required)."""
        return dict(self.data.get("variables", {}))


def parse_template(text: str, source: str) -> PackerTemplate:
    """Parse a JSON template and check its shape; InvalidInput names the place."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{source} is not valid JSON.", details=str(error)) from error
    problem = _shape_problem(data)
    if problem:
        raise InvalidInput(f"{source}: {problem}")
    return PackerTemplate(data=data, source=source)


def _shape_problem(data: Any) -> str:
    if not isinstance(data, dict):
        return "a template is a JSON object"
    builders = data.get("builders")
    if not isinstance(builders, list) or not builders:
        return "no builder: `builders` must be a list with at least one entry"
    for name in ("builders", "provisioners"):
        entries = data.get(name, [])
        if not isinstance(entries, list):
            return f"`{name}` must be a list"
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
                return f"`{name}[{index}]` must be an object with a `type`"
    if not isinstance(data.get("variables", {}), dict):
        return "`variables` must be an object"
    return ""


def referenced_files(template: PackerTemplate) -> tuple[str, ...]:
    """Every local file the provisioners read, as written in the template, in order, no repeats.

    `shell` scripts and `file` uploads; a download reads nothing here. References that hold an
    action (`{{user ...}}`) are returned as written, for the caller to interpolate or refuse.
    """
    found: dict[str, None] = {}
    for provisioner in template.provisioners:
        if provisioner["type"] == "shell":
            scripts = [provisioner.get("script"), *(provisioner.get("scripts") or ())]
            found.update(dict.fromkeys(str(script) for script in scripts if script))
        elif provisioner["type"] == "file" and provisioner.get("direction") != "download":
            sources = [provisioner.get("source"), *(provisioner.get("sources") or ())]
            found.update(dict.fromkeys(str(source) for source in sources if source))
    return tuple(found)


def interpolate(text: str, functions: Mapping[str, Function]) -> str:
    """Replace each action by what its function returns.

    `functions` maps a name (`user`, `env`, `.Vars`) to a function of its arguments (one None
    without any); what is left of a `|` becomes the last argument. An action that is not in it
    raises InvalidInput.
    """

    def replace(match: re.Match[str]) -> str:
        if _COMMENT.fullmatch(match["body"]):
            return ""
        return _evaluate(match["body"], match[0].strip(), functions)

    return _ACTION.sub(replace, text)


def _evaluate(body: str, action: str, functions: Mapping[str, Function]) -> str:
    value: str | None = None
    for call in _calls(body, action):
        name, arguments = call[0], [_literal(word, action) for word in call[1:]]
        if value is not None:
            arguments.append(value)
        if name[0] in '`"' and not arguments:
            value = _literal(name, action)
            continue
        function = functions.get(name)
        if function is None:
            raise InvalidInput(
                f"The template action {action} is not supported here.",
                details=f"Known here: {', '.join(sorted(functions)) or 'none'}.",
                resolution="write braces that are not meant for Packer as {{`{{.Name}}`}}, or "
                "build this template with --builder packer if Packer knows the action",
            )
        try:
            value = function(*arguments) if arguments else function(None)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{action}: {name} cannot be used like this.") from error
    return value or ""


def _calls(body: str, action: str) -> list[list[str]]:
    """The words of each call of a pipeline; raises InvalidInput when there is none."""
    calls: list[list[str]] = [[]]
    for token in _TOKEN.finditer(body):
        if token["pipe"]:
            calls.append([])
        else:
            calls[-1].append(token["string"] or token["word"])
    if not all(calls):
        raise InvalidInput(f"The template action {action} is not complete.")
    return calls


def _literal(word: str, action: str) -> str:
    if word[0] == "`":
        return word[1:-1]
    try:
        return str(json.loads(word)) if word[0] == '"' else word
    except ValueError as error:
        raise InvalidInput(f"The string {word} in {action} cannot be read.") from error


def interpolate_tree(value: Any, functions: Mapping[str, Function]) -> Any:
    """`interpolate` over every string of a JSON value; keys stay as they are."""
    if isinstance(value, str):
        return interpolate(value, functions)
    if isinstance(value, list):
        return [interpolate_tree(item, functions) for item in value]
    if isinstance(value, dict):
        return {key: interpolate_tree(item, functions) for key, item in value.items()}
    return value


def user_variables(
    template: PackerTemplate,
    environ: Mapping[str, str],
    overrides: Mapping[str, str] | None = None,
) -> Mapping[str, str]:
    """The values of the template's variables; `env` works only here, as in Packer.

    A variable may use another one. Raises InvalidInput for a required variable (null) without a
    value, an unknown one, a circle, or an unknown override.
    """
    overrides = overrides or {}
    unknown = sorted(set(overrides) - set(template.variables))
    if unknown:
        raise InvalidInput(f"{template.source} has no variable {', '.join(unknown)}.")
    values: dict[str, str] = {}
    waiting: list[str] = []

    def resolve(name: str | None) -> str:
        if name in values:
            return values[str(name)]
        if name is None or name not in template.variables:
            raise InvalidInput(f"{template.source} has no variable {name or '(no name)'}.")
        if name in waiting:
            circle = " → ".join([*waiting, name])
            raise InvalidInput(f"{template.source}: variables in a circle: {circle}.")
        waiting.append(name)
        values[name] = (
            overrides[name]
            if name in overrides
            else interpolate(_default(template, name), {"env": environment, "user": resolve})
        )
        waiting.remove(name)
        return values[name]

    def environment(name: str | None) -> str:
        return environ.get(name or "", "")

    for name in template.variables:
        resolve(name)
    return values


def _default(template: PackerTemplate, name: str) -> str:
    default = template.variables[name]
    if default is None:
        raise Unusable(
            f"{template.source}: the variable {name!r} is required.",
            [Problem(("variables", name), "is required: give it a default")],
            details="",
            resolution="give it a default in the template",
        )
    if isinstance(default, bool):
        return "1" if default else "0"  # as Packer's weak decoding does
    if isinstance(default, str | int | float):
        return str(default)
    raise InvalidInput(f"{template.source}: the variable {name!r} must be a string.")
