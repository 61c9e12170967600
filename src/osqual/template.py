"""Packer JSON templates as values: parsing, interpolation, and the files a template refers to.

Both builders, the recipe's digest and lint read templates through here. No I/O.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from osqual.errors import InvalidInput

# {{ name }}, {{ name `argument` }} or {{ .Name }}: the part of Go's template language that
# Packer's documentation uses in templates.
_ACTION = re.compile(
    r"\{\{\s*(?P<name>\.?\w+)(?:\s+(?P<quote>[`\"])(?P<arg>.*?)(?P=quote))?\s*\}\}"
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


def interpolate(text: str, functions: Mapping[str, Callable[[str | None], str]]) -> str:
    """Replace each action by what its function returns.

    `functions` maps a name (`user`, `env`, `.Vars`) to a function of its argument (None without).
    An action that is not in it raises InvalidInput.
    """

    def replace(match: re.Match[str]) -> str:
        function = functions.get(match["name"])
        if function is None:
            raise InvalidInput(
                f"The template action {match[0]} is not supported by the layered builder.",
                resolution="build this template with --builder packer",
            )
        return function(match["arg"])

    return _ACTION.sub(replace, text)


def interpolate_tree(value: Any, functions: Mapping[str, Callable[[str | None], str]]) -> Any:
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

    Raises InvalidInput for a required variable (null) without a value or an unknown override.
    """
    overrides = overrides or {}
    unknown = sorted(set(overrides) - set(template.variables))
    if unknown:
        raise InvalidInput(f"{template.source} has no variable {', '.join(unknown)}.")
    values = {}
    for name, default in template.variables.items():
        if name in overrides:
            values[name] = overrides[name]
        elif default is None:
            raise InvalidInput(f"{template.source}: the variable {name!r} is required.")
        else:
            functions = {"env": lambda arg: environ.get(arg or "", "")}
            values[name] = interpolate(str(default), functions)
    return values
