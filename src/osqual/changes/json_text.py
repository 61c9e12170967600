"""Editing JSON as text, so that nothing but the value changes: spacing and key order stay."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from osqual.changes.key_paths import drop, nested, put, told
from osqual.errors import InvalidFile
from osqual.formats.documents import KeyPath, load_json

_SPACE = re.compile(r"[ \t\r\n]*")
_DEFAULT_INDENT = "  "


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One member of an object or item of a list, by positions in the text."""

    name: str | int
    start: int
    value: int
    end: int


def set_value(text: str, path: KeyPath, value: Any, source: str) -> str:
    """The text with the value at the path set; missing keys are added at the end of their object.

    Raises InvalidFile for a text that is not JSON and for a path that cannot be.
    """
    load_json(text, source)
    edited = _set(text, path, value, source)
    return _check(text, edited, path, lambda old: put(old, path, value, source))


def unset_value(text: str, path: KeyPath, source: str) -> str:
    """The text without the key (or list item) at the path; as it is when it is not there."""
    load_json(text, source)
    edited = _unset(text, path, source)
    if edited == text:
        return text
    while isinstance(path[-1], str) and (again := _unset(edited, path, source)) != edited:
        edited = again  # a key may stand there twice
    return _check(text, edited, path, lambda old: drop(old, path, {}))


def _unset(text: str, path: KeyPath, source: str) -> str:
    position = _skip(text, 0)
    for depth, step in enumerate(path):
        members = _members(text, position)
        found = _find(members, step, text, position, path[:depth], source)
        if found is None:
            return text
        if depth == len(path) - 1:
            return _cut(text, members or [], found, position)
        position = found.value
    return text


def _set(text: str, path: KeyPath, value: Any, source: str) -> str:
    position = _skip(text, 0)
    for depth, step in enumerate(path):
        members = _members(text, position)
        found = _find(members, step, text, position, path[:depth], source)
        if found is None:
            return _insert(text, position, members, step, nested(path[depth + 1 :], value))
        if depth == len(path) - 1:
            return text[: found.value] + _written(text, found, value) + text[found.end :]
        position = found.value
    return json.dumps(value, ensure_ascii=False)


def _find(
    members: list[_Member] | None,
    step: str | int,
    text: str,
    position: int,
    above: KeyPath,
    source: str,
) -> _Member | None:
    """The member that counts: of a key that stands there twice, the last."""
    where = told(above) or "the document"
    line = text.count("\n", 0, position) + 1
    if members is None:
        raise InvalidFile(source, f"{where} is a plain value and has no {step!r}", line=line)
    is_list = text[position] == "["
    if is_list and not isinstance(step, int):
        raise InvalidFile(source, f"{where} is a list: {step!r} must be a number", line=line)
    found = [member for member in members if member.name == (step if is_list else str(step))]
    if not found and is_list:
        raise InvalidFile(source, f"{where} has {len(members)} items, no number {step}", line=line)
    return found[-1] if found else None


def _members(text: str, position: int) -> list[_Member] | None:
    """The members of the object or list that starts at a position; None for a plain value."""
    is_object = text[position] == "{"
    if not is_object and text[position] != "[":
        return None
    decoder = json.JSONDecoder()
    members: list[_Member] = []
    position = _skip(text, position + 1)
    while text[position] not in "]}":
        start, name = position, len(members)
        key: str | int = name
        if is_object:
            key, position = decoder.raw_decode(text, position)
            position = _skip(text, _skip(text, position) + 1)
        _, end = decoder.raw_decode(text, position)
        members.append(_Member(name=key, start=start, value=position, end=end))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return members


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _written(text: str, found: _Member, value: Any) -> str:
    """The value as text, indented as its surroundings when it takes several lines."""
    return _dump(value, _indent_of(text, found.start), _step_of(text))


def _dump(value: Any, indent: str, step: str) -> str:
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, ensure_ascii=False, indent=step).split("\n")
    return f"\n{indent}".join(lines)


def _indent_of(text: str, position: int) -> str:
    """The white space at the beginning of the line."""
    start = text.rfind("\n", 0, position) + 1
    line = text[start:position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _step_of(text: str) -> str:
    """What the document indents by."""
    match = re.search(r"[{\[]\r?\n([ \t]+)", text)
    return match[1] if match else _DEFAULT_INDENT


def _insert(
    text: str, position: int, members: list[_Member] | None, key: str | int, value: Any
) -> str:
    """Add a key at the end of the object, separated as its last two are."""
    name = json.dumps(str(key), ensure_ascii=False)
    if not members:
        indent, step = _indent_of(text, position), _step_of(text)
        inner = f"\n{indent}{step}{name}: {_dump(value, indent + step, step)}\n{indent}"
        end = text.index("}", position)
        return text[: position + 1] + inner + text[end:]
    last = members[-1]
    before = members[-2].end if len(members) > 1 else position
    gap = text[before : last.start]
    gap = gap[gap.index(",") + 1 :] if "," in gap else text[position + 1 : members[0].start]
    between = _between(text, last)
    written = _dump(value, _indent_of(text, last.start), _step_of(text))
    return text[: last.end] + "," + gap + name + between + written + text[last.end :]


def _between(text: str, member: _Member) -> str:
    """What stands between a key and its value, without the padding that lines columns up."""
    name_end = json.JSONDecoder().raw_decode(text, member.start)[1]
    return re.sub(r"(?<=:)[ \t]{2,}", " ", text[name_end : member.value])


def _cut(text: str, members: list[_Member], found: _Member, position: int) -> str:
    """The text without a member, the comma that separated it, and its line."""
    index = members.index(found)
    if index + 1 < len(members):
        return text[: found.start] + text[members[index + 1].start :]
    if index > 0:
        return text[: members[index - 1].end] + text[found.end :]
    return text[: position + 1] + text[_skip(text, found.end) :]


def _check(text: str, edited: str, path: KeyPath, expect: Callable[[Any], Any]) -> str:
    """Hold that the edit did what was asked and nothing else, whatever the text looked like."""
    if _loads(edited) != expect(_loads(text)):
        raise AssertionError(f"editing {path} changed something else")
    return edited


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=str)  # NaN, which equals nothing, as its name
