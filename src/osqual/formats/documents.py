"""Reading files that other people wrote: bounded, UTF-8, and every error with its place.

JSON and YAML come back as plain values; `line_of` finds where in the text a key of them stands.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osqual.errors import InvalidFile

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 4 * 1024 * 1024
"""No file of a catalogue that people write, or that publishing appends to, comes near this."""
MAX_DEPTH = 100
_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
MAX_NODES = 200_000

KeyPath = Sequence[str | int]


def read_document(root: Path, source: str) -> str:
    """The text of the file `source`, a path relative to `root`, which also names it in errors.

    Anything but a regular file inside of the root is refused before it is read: a link may lead
    out of it, and a pipe would block. Raises InvalidFile.
    """
    return decode(read_bytes(root, source), source)


def read_bytes(root: Path, source: str, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a file, under the conditions of `read_document`. Raises InvalidFile."""
    descriptor = _open_inside(root, source)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)  # before a stream is made of it: of a directory that fails
        raise InvalidFile(source, "is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        if status.st_size > limit:
            raise InvalidFile(source, f"is {status.st_size} bytes; the limit is {limit}")
        return stream.read(limit + 1)


def decode(data: bytes, source: str) -> str:
    """The text of a document's bytes. Raises InvalidFile with the line that is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidFile(source, f"is not UTF-8: {error.reason}", line=line) from error


def _open_inside(root: Path, source: str) -> int:
    path, flags = root / source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise InvalidFile(source, f"cannot be read: {error.strerror}") from error
    try:
        return os.open(resolve_inside(root, source), flags)
    except OSError as error:
        raise InvalidFile(source, f"cannot be read: {error.strerror}") from error


def resolve_inside(root: Path, source: str) -> Path:
    """Where the file really is, links followed. Raises InvalidFile when that is not in the root."""
    try:
        resolved = (root / source).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise InvalidFile(source, "is a link that leads nowhere") from error
    if not resolved.is_relative_to(root):
        raise InvalidFile(source, "is a link that leads out of the catalogue")
    return resolved


def load_json(text: str, source: str) -> Any:
    """Parse JSON; InvalidFile names the line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg} (column {error.colno})"
        raise InvalidFile(source, message, line=error.lineno) from error
    except RecursionError as error:
        raise InvalidFile(source, _TOO_DEEP) from error
    except ValueError as error:  # an integer of 5,000 digits
        raise InvalidFile(source, f"not usable JSON: {error}") from error
    if text.count("{") + text.count("[") > MAX_DEPTH:
        _check_depth(value, source)
    _check_text(value, text, source)
    return value


def load_yaml(text: str, source: str) -> Any:
    """Parse one YAML document of plain values; InvalidFile names the line.

    Anchors are allowed as long as what they expand to stays small.
    """
    import yaml

    try:
        if _may_be_deep(text):
            _check_yaml_depth(text, source)
        if "&" in text:
            _check_expansion(text, source)
        value = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(filter(None, (error.context, error.problem)))
        line = min(mark.line + 1, text.count("\n") + 1) if mark else 0  # may be past the end
        raise InvalidFile(source, f"not valid YAML: {problem}", line=line) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        brief = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidFile(source, f"not usable YAML: {brief}") from error
    return value


def _check_depth(value: Any, source: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return
        level = inner
    raise InvalidFile(source, _TOO_DEEP)


def _check_text(value: Any, text: str, source: str) -> None:
    """Refuse escapes that stand for half a character: such text can be neither shown nor kept."""
    if "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InvalidFile(source, "has an escape that is half a character") from error


def _may_be_deep(text: str) -> bool:
    """Whether the C parser, which recurses, could be sent deep by this text."""
    return (
        text.count("[") + text.count("{") > MAX_DEPTH
        or max(map(len, text.splitlines()), default=0) > MAX_DEPTH
    )


def _check_yaml_depth(text: str, source: str) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise InvalidFile(source, _TOO_DEEP, line=line)


def _check_expansion(text: str, source: str) -> None:
    """Refuse anchors that refer to themselves or expand to an enormous document."""
    import yaml

    sizes: dict[int, int | None] = {}

    def size(node: Any) -> int:
        known = sizes.get(id(node), -1)
        if known is None:
            line = node.start_mark.line + 1
            raise InvalidFile(source, "an anchor contains itself", line=line)
        if known < 0:
            sizes[id(node)] = None
            known = 1 + sum(map(size, _node_children(node)))
            if known > MAX_NODES:
                line = node.start_mark.line + 1
                raise InvalidFile(source, "its anchors expand to too much", line=line)
            sizes[id(node)] = known
        return known

    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    if node is not None:
        size(node)


def _node_children(node: "yaml.Node") -> Iterator["yaml.Node"]:
    import yaml

    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value


def yaml_line(text: str, path: KeyPath) -> int:
    """The line of a key (or list item) of a YAML text that parses; 0 when it is not there."""
    import yaml

    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    line = 0
    for step in path:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = (node.value[step],) * 2 if step < len(node.value) else None
        if found is None:
            return line
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def json_line(text: str, path: KeyPath) -> int:
    """The line of a key (or list item) of a JSON text that parses; 0 when it is not there."""
    position, line = 0, 0
    for step in path:
        for name, start, value in _json_members(text, position):
            if name == step:
                line, position = text.count("\n", 0, start) + 1, value
                break
        else:
            return line
    return line


_SPACE = re.compile(r"[ \t\r\n]*")


def _json_members(text: str, position: int) -> Iterator[tuple[str | int, int, int]]:
    """Name, start and value position of each member of the object or array at `position`."""

    def skip(index: int) -> int:
        match = _SPACE.match(text, index)
        return match.end() if match else index

    position = skip(position)
    is_object = text[position] == "{"
    if not is_object and text[position] != "[":
        return
    position, index = skip(position + 1), 0
    decoder = json.JSONDecoder()
    while text[position] not in "]}":
        start = position
        name: str | int = index
        if is_object:
            name, position = decoder.raw_decode(text, position)
            position = skip(skip(position) + 1)
        yield name, start, position
        _, position = decoder.raw_decode(text, position)
        position = skip(position)
        if text[position] == ",":
            position = skip(position + 1)
        index += 1
