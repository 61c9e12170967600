"""Planned changes as a diff in git's format: people read it, and `git apply` takes it."""

import difflib
from collections.abc import Iterable, Iterator, Sequence

from osqual.changes.draft import FileChange

# difflib's time grows with the square of what differs; a longer file is compared from both ends.
_LONG_FILE_LINES = 5_000


def format_diff(changes: Iterable[FileChange]) -> str:
    """Every change; the empty text when there is none. A copy whose original goes is a rename."""
    changes = list(changes)
    gone = {change.path for change in changes if change.after is None}
    renames = {
        change.copied_from: change.path
        for change in changes
        if change.before is None and change.copied_from in gone
    }  # of several copies the last, as git has it
    return "".join(
        line
        for change in changes
        if change.path not in renames
        for line in diff_lines(change, renamed=renames.get(change.copied_from or "") == change.path)
    )


def diff_lines(change: FileChange, *, renamed: bool = False) -> Iterator[str]:
    """One change, line by line with their ends; `renamed` tells that its original goes."""
    before, source = change.before, change.path
    if before is None and change.copied_from is not None:
        before, source = change.original, change.copied_from
    old, new = _quoted(f"a/{source}"), _quoted(f"b/{change.path}")
    yield f"diff --git {old} {new}\n"
    mode = "100755" if change.executable else "100644"
    if source != change.path:
        yield f"similarity index {_similarity(before, change.after)}%\n"
        how = "rename" if renamed else "copy"
        yield f"{how} from {_quoted(source)}\n{how} to {_quoted(change.path)}\n"
    elif before is None:
        yield f"new file mode {mode}\n"
    elif change.after is None:
        yield f"deleted file mode {mode}\n"
    if before == change.after:
        return
    if _is_binary(before) or _is_binary(change.after):
        yield f"Binary files {old} and {new} differ\n"
        return
    yield f"--- {old if before is not None else '/dev/null'}\n"
    yield f"+++ {new if change.after is not None else '/dev/null'}\n"
    yield from _hunks(_lines(before), _lines(change.after))


def _hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    if max(len(before), len(after)) > _LONG_FILE_LINES:
        yield from _one_hunk(before, after)
        return
    lines = difflib.unified_diff(before, after)
    for number, line in enumerate(lines):
        if number >= 2:  # the names, which are written already
            yield _ended(line)


def _one_hunk(before: Sequence[str], after: Sequence[str], context: int = 3) -> Iterator[str]:
    """Everything between the first and the last line that differ."""
    shortest = min(len(before), len(after))
    start = 0
    while start < shortest and before[start] == after[start]:
        start += 1
    end = 0
    while end < shortest - start and before[-1 - end] == after[-1 - end]:
        end += 1
    head, tail = max(0, start - context), max(0, end - context)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    kept = min(end, context)
    yield f"@@ -{_range(head, len(old))} +{_range(head, len(new))} @@\n"
    for line in old[: start - head]:
        yield _ended(f" {line}")
    for line in old[start - head : len(old) - kept]:
        yield _ended(f"-{line}")
    for line in new[start - head : len(new) - kept]:
        yield _ended(f"+{line}")
    for line in old[len(old) - kept :]:
        yield _ended(f" {line}")


def _range(start: int, length: int) -> str:
    first = start + 1 if length else start
    return str(first) if length == 1 else f"{first},{length}"


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(data: bytes | None) -> list[str]:
    text = (data or b"").decode(errors="surrogateescape")
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _is_binary(data: bytes | None) -> bool:
    if data is None:
        return False
    try:
        return "\0" in data.decode()
    except UnicodeDecodeError:
        return True


def _similarity(before: bytes | None, after: bytes | None) -> int:
    """The percentage of lines that a copy kept, as git tells it."""
    if before == after:
        return 100
    old, new = set(_lines(before)), set(_lines(after))
    return max(1, min(99, 100 * len(old & new) // max(len(old), len(new), 1)))


_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\", "\r": "\\r"}


def _quoted(path: str) -> str:
    """A path as git writes it: quoted, with octal bytes, when it holds anything unusual."""
    if path.isprintable() and not any(char in _ESCAPES for char in path):
        return path
    escaped = (
        _ESCAPES.get(char)
        or (char if char.isprintable() else "".join(f"\\{byte:03o}" for byte in _bytes(char)))
        for char in path
    )
    return f'"{"".join(escaped)}"'


def _bytes(char: str) -> bytes:
    return char.encode(errors="surrogateescape")
