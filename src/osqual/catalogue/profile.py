"""Cluster profiles: reading Terraform variable files, and the topology they ask for.

python-hcl2 reads them. It needs half a second to start and 5 ms a file, so the plain lines that
nearly every profile is made of are recognised first; anything else goes to the library.
"""

import re
from collections.abc import Mapping
from typing import Any

from osqual.errors import InvalidFile
from osqual.formats.hcl import HclSyntaxError, HclUnusable, load_hcl
from osqual.model import Topology

MAX_NODES_OF_A_ROLE = 1_000

# `name = value` with a plain string, a boolean or a whole number, or a comment, and nothing else
# on the line. Escapes and `${` in strings are left to the library.
_PLAIN_LINE = re.compile(
    r"[ \t]*(?:(?P<name>[A-Za-z_][A-Za-z0-9_-]*)[ \t]*=[ \t]*"
    r'(?:"(?P<string>[^"\\$%\r\n]*)"|(?P<boolean>true|false)|(?P<number>-?(?:0|[1-9][0-9]{0,17})))'
    r"[ \t]*)?(?:(?:\#|//)[^\r\n]*)?"
)
# The names under which modules for DC/OS and others have asked for the counts.
_COUNTS: Mapping[str, tuple[str, ...]] = {
    "masters": ("num_of_masters", "num_masters", "masters"),
    "private_agents": ("num_of_private_agents", "num_private_agents", "private_agents"),
    "public_agents": ("num_of_public_agents", "num_public_agents", "public_agents"),
}


def parse_profile(text: str, source: str) -> Mapping[str, Any]:
    """The variables of a tfvars file: strings, booleans, numbers, lists and maps.

    Raises InvalidFile, with the line, for what Terraform would not take as a variable's value.
    """
    plain = parse_plain_profile(text)
    return _parse_with_library(text, source) if plain is None else plain


def parse_plain_profile(text: str) -> dict[str, Any] | None:
    """The variables, when every line is plain; None leaves the file to the library."""
    values: dict[str, Any] = {}
    for line in text.split("\n"):
        match = _PLAIN_LINE.fullmatch(line.removesuffix("\r"))
        if match is None:
            return None
        if match["name"] is None:
            continue
        if match["string"] is not None:
            values[match["name"]] = match["string"]
        elif match["boolean"] is not None:
            values[match["name"]] = match["boolean"] == "true"
        else:
            values[match["name"]] = int(match["number"])
    return values


def _parse_with_library(text: str, source: str) -> Mapping[str, Any]:
    try:
        values = load_hcl(text)
    except HclSyntaxError as error:
        message = "not a valid variable file: unexpected text" + (
            f" in column {error.column}" if error.column else ""
        )
        raise InvalidFile(source, message, line=error.line) from error
    except HclUnusable as error:
        raise InvalidFile(source, f"not a usable variable file: {error}") from error
    for name, value in values.items():
        if _is_expression(value):
            raise InvalidFile(
                source,
                "must be a plain value: a variable file holds no blocks, references or calls",
                line=line_of(text, name),
                key=name,
            )
    return values


def _is_expression(value: Any) -> bool:
    if isinstance(value, dict):
        return "__is_block__" in value or any(map(_is_expression, [*value, *value.values()]))
    if isinstance(value, list):
        return any(map(_is_expression, value))
    return isinstance(value, str) and re.search(r"(?<!\$)\$\{|(?<!%)%\{", value) is not None


def line_of(text: str, name: str) -> int:
    """The last line that sets a variable (the one that counts); 0 when none does."""
    lines = text.splitlines()
    setting = re.compile(rf"[ \t]*{re.escape(name)}[ \t]*=")
    return max((number for number, line in enumerate(lines, 1) if setting.match(line)), default=0)


def topology_of(variables: Mapping[str, Any], text: str = "", source: str = "") -> Topology:
    """The node counts; what the profile does not say is one of each role.

    `text` and `source` are for the message. Raises InvalidFile.
    """
    counts = {}
    for role, names in _COUNTS.items():
        name = next((name for name in names if name in variables), None)
        if name is not None:
            least = 1 if role == "masters" else 0
            counts[role] = _count(variables[name], name, least, text, source)
    return Topology(**counts)


def _count(value: Any, name: str, least: int, text: str, source: str) -> int:
    digits = str(value)
    if not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,6}", digits):
        number = int(digits)
        if least <= number <= MAX_NODES_OF_A_ROLE:
            return number
    message = f"must be a number of nodes from {least} to {MAX_NODES_OF_A_ROLE}, not {value!r}"
    raise InvalidFile(source, message, line=line_of(text, name), key=name)
