"""Editing Terraform variable files as text, so that nothing but the value changes.

Only values are recognised here (strings, lists, maps, heredocs); what they mean, and whether an
edit did just what was asked, the profile's parser says.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osqual.catalogue.profile import parse_profile
from osqual.changes.key_paths import drop, is_there, nested, put, told
from osqual.errors import InvalidFile
from osqual.formats.documents import KeyPath

_KEY = re.compile(
    r'(?:(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|"(?P<quoted>[^"\\\n$%]*)")[ \t]*(?:=(?!=)|:)'
)
_BLANK = re.compile(r"(?:[ \t\r\n,]|#[^\n]*|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_HEREDOC = re.compile(r"<<-?([A-Za-z_][A-Za-z0-9_-]*)[ \t]*\r?\n")
_COMMENT = re.compile(r"#|//|/\*")
_REST_OF_LINE = re.compile(r"[ \t,]*(?:(?:#|//)[^\r\n]*)?(?=\r?\n|\Z)")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_CLOSING: Mapping[str, str] = {"[": "]", "{": "}", "(": ")"}


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One `name = value`, or an item of a list, by positions in the text."""

    name: str | int
    start: int
    value: int
    end: int


def set_value(text: str, path: KeyPath, value: Any, source: str) -> str:
    """The text with a variable, or a key of a map or item of a list in it, set.

    A missing variable is added at the end, a missing key at the end of its map. Raises
    InvalidFile.
    """
    before = parse_profile(text, source)
    if re.search(r"[$%]\{", json.dumps(value)):
        raise InvalidFile(
            source, "a profile holds no ${…} or %{…}: write the value itself", key=told(path)
        )
    edited = _set(text, path, value, source)
    if parse_profile(edited, source) != put(before, path, value, source):
        raise InvalidFile(
            source, "is written in a way that cannot be edited safely", key=told(path)
        )
    return edited


def unset_value(text: str, path: KeyPath, source: str) -> str:
    """The text without a variable or key; as it is when it is not there. Raises InvalidFile."""
    before = parse_profile(text, source)
    if not is_there(before, path):
        return text
    edited = _unset(text, path, source)
    while isinstance(path[-1], str) and (again := _unset(edited, path, source)) != edited:
        edited = again  # a name may be set twice
    if parse_profile(edited, source) != drop(before, path, {}):
        raise InvalidFile(
            source, "is written in a way that cannot be edited safely", key=told(path)
        )
    return edited


def _unset(text: str, path: KeyPath, source: str) -> str:
    position, end = 0, len(text)
    for depth, step in enumerate(path):
        entries = list(_entries(text, position, end, source))
        found = _last(entries, step)
        if found is None:
            break
        if depth == len(path) - 1:
            return _cut(text, entries, found, end)
        position, end = found.value, found.end
    return text


def _set(text: str, path: KeyPath, value: Any, source: str) -> str:
    position, end = 0, len(text)
    for depth, step in enumerate(path):
        entries = list(_entries(text, position, end, source))
        found = _last(entries, step)
        if found is None:
            if isinstance(step, int):
                raise _no_such(text, position, path[: depth + 1], source)
            inner = nested(path[depth + 1 :], value)
            return _insert(text, position, end, entries, step, inner, top=depth == 0)
        if depth == len(path) - 1:
            return text[: found.value] + _written(value) + text[found.end :]
        position, end = found.value, found.end
        if text[position] not in "[{":
            raise _no_such(text, position, path[: depth + 2], source)
    return text


def _no_such(text: str, position: int, path: KeyPath, source: str) -> InvalidFile:
    line = text.count("\n", 0, position) + 1
    return InvalidFile(source, "there is no such place in the profile", line=line, key=told(path))


def _last(entries: Sequence[_Entry], step: str | int) -> _Entry | None:
    """Of a name that is set twice, the last counts."""
    return next((entry for entry in reversed(entries) if entry.name == step), None)


def _entries(text: str, position: int, end: int, source: str) -> Iterator[_Entry]:
    """The assignments of the document, or the members of the map or list between two positions."""
    opening = text[position : position + 1]
    is_list = position > 0 and opening == "["
    if position > 0:
        position, end = position + 1, end - 1
    index = 0
    while True:
        position = _skip_blank(text, position, end)
        if position >= end:
            return
        start, name = position, index
        key: str | int = name
        if not is_list:
            match = _KEY.match(text, position, end)
            if match is None:
                line = text.count("\n", 0, position) + 1
                raise InvalidFile(source, "cannot be edited: this is no `name = value`", line=line)
            key = match["name"] if match["name"] is not None else match["quoted"]
            position = match.end()
            while text[position : position + 1] in (" ", "\t"):
                position += 1
        value_end = _value_end(text, position, end)
        yield _Entry(name=key, start=start, value=position, end=value_end)
        position, index = value_end, index + 1


def _skip_blank(text: str, position: int, end: int) -> int:
    match = _BLANK.match(text, position, end)
    return match.end() if match else position


def _value_end(text: str, position: int, end: int) -> int:
    """Where the value that starts here ends: before a comma, comment, line end or bracket."""
    heredoc = _HEREDOC.match(text, position, end)
    if heredoc:
        closing = re.compile(rf"^[ \t]*{re.escape(heredoc[1])}[ \t]*$", re.MULTILINE)
        match = closing.search(text, heredoc.end(), end)
        return match.end() if match else end
    start = position
    while position < end:
        char = text[position]
        if char == '"':
            position = _string_end(text, position, end)
            continue
        if char in _CLOSING:
            position = _bracket_end(text, position, end)
            continue
        if char in ",\n\r]})" or (position > start and _COMMENT.match(text, position)):
            break
        position += 1
    return len(text[:position].rstrip(" \t")) if position > start else position


def _string_end(text: str, position: int, end: int) -> int:
    """After the closing quote; `${…}` may hold quotes of its own."""
    position += 1
    while position < end:
        if text[position] == "\\":
            position += 2
        elif text.startswith(("${", "%{"), position):
            position = _bracket_end(text, position + 1, end)
        elif text[position] == '"':
            return position + 1
        else:
            position += 1
    return end


def _bracket_end(text: str, position: int, end: int) -> int:
    stack = []
    while position < end:
        char = text[position]
        if char == '"':
            position = _string_end(text, position, end)
            continue
        if _COMMENT.match(text, position):
            position = max(_skip_blank(text, position, end), position + 1)
            continue
        if char in _CLOSING:
            stack.append(_CLOSING[char])
        elif stack and char == stack[-1]:
            stack.pop()
            if not stack:
                return position + 1
        position += 1
    return end


def _insert(
    text: str,
    position: int,
    end: int,
    entries: Sequence[_Entry],
    name: str,
    value: Any,
    *,
    top: bool,
) -> str:
    """Add an assignment at the end of the document, or of the map between two positions."""
    written = f"{_written_key(name)} = {_written(value)}"
    newline = "\r\n" if "\r\n" in text else "\n"
    if top:
        ended = text if not text or text.endswith("\n") else text + newline
        return f"{ended}{written}{newline}"
    if not entries:
        return f"{text[: position + 1]} {written} {text[end - 1 :]}"
    last = entries[-1]
    indent = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    rest = _REST_OF_LINE.match(text, last.end, end - 1)
    if not indent.strip() and rest:  # one line each: go on after the last one's comment
        return f"{text[: rest.end()]}{newline}{indent}{written}{text[rest.end() :]}"
    return f"{text[: last.end]}, {written}{text[last.end :]}"


def _cut(text: str, entries: Sequence[_Entry], found: _Entry, end: int) -> str:
    """Without the entry: its whole lines when nothing else stands on them but its comment."""
    start = text.rfind("\n", 0, found.start) + 1
    rest = _REST_OF_LINE.match(text, found.end, end)
    if not text[start : found.start].strip() and rest:
        return text[:start] + text[rest.end() :].removeprefix("\r").removeprefix("\n")
    index = entries.index(found)
    if index + 1 < len(entries):
        return text[: found.start] + text[entries[index + 1].start :]
    before = entries[index - 1].end if index else found.start
    return text[:before] + text[found.end :]


def _written(value: Any) -> str:
    """A value in the language of variable files."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_written_key(k)} = {_written(item)}" for k, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return "null" if value is None else json.dumps(value)


def _written_key(key: str) -> str:
    return key if _PLAIN_NAME.fullmatch(key) else json.dumps(key, ensure_ascii=False)
