"""Editing YAML so that nothing but the value changes: comments, quotes and spacing stay.

What stands on lines of its own is edited as text; anything else goes through ruamel.yaml, which
keeps comments too. Every result is read again and must mean just what was asked.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from itertools import pairwise
from typing import Any

import yaml

from osqual.changes.key_paths import drop, is_there, put, told
from osqual.errors import InvalidFile
from osqual.formats.documents import KeyPath, load_yaml

_WIDTH = 100_000
_COMMENT = re.compile(r"^[ \t]*(#.*?)[ \t\r]*$", re.MULTILINE)


def set_value(text: str, path: KeyPath, value: Any, source: str) -> str:
    """The text with the value at the path set; a missing key is added at the end of its mapping.

    Raises InvalidFile.
    """
    expected = put(load_yaml(text, source), path, value, source)
    attempts = (
        lambda: _replace_scalar(text, path, value),
        lambda: _replace_lines(text, path, value),
        lambda: _append_key(text, path, value),
        lambda: _with_ruamel(text, lambda data: _put_in_place(data, path, value)),
    )
    return _first_right(text, attempts, [expected], source, path)


def unset_value(text: str, path: KeyPath, source: str) -> str:
    """The text without a key or list item; as it is when it is not there. Raises InvalidFile."""
    before = load_yaml(text, source)
    if not is_there(before, path):
        return text
    attempts = (
        lambda: _cut_lines(text, path),
        lambda: _with_ruamel(text, lambda data: _delete(data, path)),
    )
    expected = (drop(before, path, None), drop(before, path, {}))
    return _first_right(text, attempts, expected, source, path)


def append_item(text: str, item: Mapping[str, Any], source: str) -> str:
    """The text of a list with one more entry at the end. Raises InvalidFile."""
    before = load_yaml(text, source)
    if before is not None and not isinstance(before, list):
        raise InvalidFile(source, "must be a list", line=1)
    attempts = (
        lambda: _append_entry(text, item),
        lambda: _with_ruamel(text, lambda data: data.append(dict(item))),
    )
    expected = [*(before or []), dict(item)]
    return _first_right(text, attempts, [expected], source, [len(expected) - 1])


def _first_right(
    text: str,
    attempts: Sequence[Callable[[], str | None]],
    expected: Sequence[Any],
    source: str,
    path: KeyPath,
) -> str:
    """The first result that means one of what is expected and still has every comment line."""
    comments = set(_COMMENT.findall(text))
    for attempt in attempts:
        edited = attempt()
        if edited is None:
            continue
        try:
            found = load_yaml(edited, source)
        except InvalidFile:
            continue
        if any(_same(found, one) for one in expected) and comments <= set(_COMMENT.findall(edited)):
            return edited
    raise InvalidFile(source, "is written in a way that cannot be edited safely", key=told(path))


def _same(left: Any, right: Any) -> bool:
    """Equal, and of the same types: true is not 1 here."""
    return repr(left) == repr(right) and bool(left == right)


# -- as text ------------------------------------------------------------------------------------


def _compose(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=yaml.CSafeLoader)


def _node_at(text: str, path: KeyPath) -> tuple[yaml.Node | None, yaml.Node | None]:
    """The key's (or item's) node and the value's; of a key that stands there twice, the last."""
    start = node = _compose(text)
    for step in path:
        found = None
        if isinstance(node, yaml.MappingNode):
            pairs = [(k, v) for k, v in node.value if k.value == str(step)]
            found = pairs[-1] if pairs else None
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = (node.value[step],) * 2 if 0 <= step < len(node.value) else None
        if found is None:
            return None, None
        start, node = found
    return start, node


def _replace_scalar(text: str, path: KeyPath, value: Any) -> str | None:
    """A plain or quoted value on one line, replaced by another such value."""
    _, node = _node_at(text, path)
    if not isinstance(node, yaml.ScalarNode) or isinstance(value, dict | list):
        return None
    start, end = node.start_mark, node.end_mark
    written = _scalar(value)
    if node.style in ("|", ">") or start.line != end.line or "\n" in written:
        return None
    lines = text.split("\n")
    line = lines[start.line]
    if start.column == end.column:  # `key:` with nothing behind it
        written = f" {written}"
    lines[start.line] = line[: start.column] + written + line[end.column :]
    return "\n".join(lines)


def _scalar(value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=_WIDTH)
    return str(written).removesuffix("\n").removesuffix("\n...")


def _append_key(text: str, path: KeyPath, value: Any) -> str | None:
    """A new key at the end of a document that is one block of keys."""
    if len(path) != 1 or _node_at(text, path)[0] is not None:
        return None
    return _ended(text) + _lines_as_in(text, _block({str(path[0]): value}))


class _Indented(yaml.SafeDumper):
    """Writes the items of a list further in than its key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def _block(value: Any) -> str:
    return str(
        yaml.dump(value, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=_WIDTH)
    )


def _append_entry(text: str, item: Mapping[str, Any]) -> str:
    node = _compose(text)
    column = node.start_mark.column if isinstance(node, yaml.SequenceNode) else 0
    lines = _block([dict(item)]).splitlines()
    indented = "".join(f"{' ' * column}{line}\n" for line in lines)
    return _ended(text) + _lines_as_in(text, indented)


def _lines_as_in(text: str, added: str) -> str:
    return added.replace("\n", "\r\n") if "\r\n" in text else added


def _ended(text: str) -> str:
    if not text or text.endswith("\n"):
        return text
    return text + ("\r\n" if "\r\n" in text else "\n")


def _replace_lines(text: str, path: KeyPath, value: Any) -> str | None:
    """The lines of a key replaced by its new value's; comments between them stay."""
    start, _ = _node_at(text, path)
    if start is None or not isinstance(path[-1], str):
        return None
    without = _cut_lines(text, path)
    if without is None:
        return None
    lines, first = without.split("\n"), start.start_mark.line
    indent = " " * start.start_mark.column
    added = [f"{indent}{line}" for line in _block({path[-1]: value}).splitlines()]
    end = "\r" if "\r\n" in text else ""
    rest = lines[first:] or [""]
    return "\n".join([*lines[:first], *(f"{line}{end}" for line in added), *rest])


def _cut_lines(text: str, path: KeyPath) -> str | None:
    """Without the lines of a key or item that has them for itself; comments around them stay."""
    start, value = _node_at(text, path)
    if start is None or value is None:
        return None
    lines = text.split("\n")
    first, last = start.start_mark.line, _last_line(start, value)
    lead = lines[first][: start.start_mark.column].strip()
    if lead != ("-" if isinstance(path[-1], int) else ""):
        return None
    comments = [line for line in lines[first : last + 1] if line.lstrip().startswith("#")]
    return "\n".join([*lines[:first], *comments, *(lines[last + 1 :] or [""])])


def _last_line(start: yaml.Node, value: yaml.Node) -> int:
    """The last line with something of the value on it (a block's end mark is further on)."""
    ends = [node.end_mark for node in _leaves(value)]
    last = start.end_mark.line
    for mark in ends:
        last = max(last, mark.line - (1 if mark.column == 0 and mark.line > last else 0))
    return last


def _leaves(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        for item in node.value:
            yield from _leaves(item)
    elif isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        for key, item in node.value:
            yield key
            yield from _leaves(item)
    else:
        yield node


# -- through ruamel.yaml ------------------------------------------------------------------------


def _with_ruamel(text: str, change: Callable[[Any], Any]) -> str | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    editor = YAML(typ="rt")
    editor.preserve_quotes = True
    editor.width = _WIDTH
    dashes = re.search(r"^( *)\S[^\n]*:[ \t]*\r?\n(?:[ \t]*#[^\n]*\n)*( *)- ", text, re.MULTILINE)
    offset = len(dashes[2]) - len(dashes[1]) if dashes else 2
    editor.indent(mapping=2, sequence=offset + 2, offset=offset)
    try:
        data = editor.load(text)
        change(data)
        stream = StringIO()
        editor.dump(data, stream)
    except (YAMLError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return _lines_as_in(text, stream.getvalue())


def _put_in_place(data: Any, path: KeyPath, value: Any) -> None:
    for step, following in pairwise(path):
        if isinstance(data, dict) and str(step) not in data and not isinstance(following, int):
            data[str(step)] = {}
        data = data[_key(data, step)]
    data[_key(data, path[-1])] = value


def _delete(data: Any, path: KeyPath) -> None:
    for step in path[:-1]:
        data = data[_key(data, step)]
    del data[_key(data, path[-1])]


def _key(data: Any, step: str | int) -> str | int:
    return step if isinstance(data, list) else str(step)
