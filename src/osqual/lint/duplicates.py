"""Keys that a file sets twice: every format takes one of the values without a word."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]')
_HCL_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_HCL_NAME = re.compile(r"\s*(?P<name>[A-Za-z_][\w-]*)\s*=(?!=)")
_HCL_HEREDOC = re.compile(r"<<-?\s*(?P<end>\w+)\s*$")

Duplicate = tuple[str, int, int]
"""Name, the line where it stands again, and the line where it stood before."""


def json_duplicates(text: str) -> list[Duplicate]:
    """Of a JSON text that parses."""
    return list(_walk_json(text)) if _has_json_duplicates(text) else []


def _has_json_duplicates(text: str) -> bool:
    found = False

    def check(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in pairs}) != len(pairs)

    json.loads(text, object_pairs_hook=check)
    return found


def _walk_json(text: str) -> Iterator[Duplicate]:
    """Tokens are enough: a string before a colon is a name of the innermost object."""
    scopes: list[dict[str, int]] = []
    last, line, position = ("", 0), 1, 0
    for match in _JSON_TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        char = match[0]
        if char in "{[":
            scopes.append({})
        elif char in "}]":
            scopes.pop()
        elif char == ":":
            name, where = last
            if name in scopes[-1]:
                yield name, where, scopes[-1][name]
            scopes[-1][name] = where
        elif char != ",":
            last = (str(json.loads(char)), line)


def yaml_duplicates(text: str) -> list[Duplicate]:
    """Of a YAML text that parses."""
    return list(_walk_yaml(yaml.compose(text, Loader=yaml.CSafeLoader)))


def _walk_yaml(node: yaml.Node | None) -> Iterator[Duplicate]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _walk_yaml(item)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key.value, line, seen[key.value]
                seen[key.value] = line
            yield from _walk_yaml(value)


def profile_duplicates(text: str) -> list[Duplicate]:
    """Of a variable file that parses: its variables, not what is inside of maps."""
    return list(_walk_profile(text))


def _walk_profile(text: str) -> Iterator[Duplicate]:
    seen: dict[str, int] = {}
    depth, heredoc = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        if heredoc:
            heredoc = "" if line.strip() == heredoc else heredoc
            continue
        bare = re.split(r"#|//", _HCL_STRING.sub('""', line), maxsplit=1)[0]
        match = _HCL_NAME.match(bare)
        if match is not None and depth == 0:
            name = match["name"]
            if name in seen:
                yield name, number, seen[name]
            seen[name] = number
        depth += sum(bare.count(char) for char in "[{(") - sum(bare.count(char) for char in "]})")
        end = _HCL_HEREDOC.search(bare)
        heredoc = end["end"] if end else ""
