"""Making planned changes: all of them or none, and nothing outside of the catalogue."""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from osqual.changes.draft import EXECUTABLE, PLAIN, FileChange, check_path
from osqual.errors import InfrastructureError, UsageError

_FLUSHED_AT_ONCE = 32


def apply(root: Path, changes: Sequence[FileChange]) -> None:
    """Write every change, or leave everything as it was.

    New contents are first written completely beside their places; then each is moved over what
    it replaces. When anything fails before the last move, also an interrupt, the moves are taken
    back. Raises UsageError for a place that cannot be meant, InfrastructureError for a disk that
    fails.
    """
    for change in changes:
        _check_place(root, change)
    transaction = _Transaction(root)
    try:
        for change in changes:
            transaction.stage(change)
        transaction.flush()
        for change in changes:
            transaction.commit(change)
    except BaseException as error:
        left = transaction.roll_back()
        if left:
            raise InfrastructureError(
                "Writing failed, and what was written could not all be taken back.",
                details="\n".join([f"{type(error).__name__}: {error}", *left]),
                resolution="repair the disk and compare with `git status` and `git diff`",
            ) from error
        if isinstance(error, OSError):
            raise InfrastructureError(
                f"Writing failed, so nothing was changed: {error}",
                resolution="make the catalogue writable and repeat the command",
            ) from error
        raise


class _Transaction:
    """Staged files and what has been moved so far. Paths are relative to the root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._staged: dict[str, Path] = {}
        self._made: list[Path] = []
        self._done: list[FileChange] = []

    def stage(self, change: FileChange) -> None:
        """Write the new content beside its place."""
        if change.after is None:
            return
        target = self.root / change.path
        self._make_directories(target.parent)
        mode = EXECUTABLE if change.executable else PLAIN
        self._staged[change.path] = _write_beside(target, change.after, mode)

    def flush(self) -> None:
        """Have on disk what is going to replace something. All at once: one after the other, a
        few hundred files take minutes on a busy disk.
        """
        replacing = [path for place, path in self._staged.items() if (self.root / place).exists()]
        with ThreadPoolExecutor(max_workers=_FLUSHED_AT_ONCE) as threads:
            list(threads.map(_flush, replacing))

    def commit(self, change: FileChange) -> None:
        """Move the content to its place; UsageError when somebody wrote there meanwhile."""
        target = self.root / change.path
        if _content(target) != change.before:
            raise UsageError(
                f"{change.path} was changed by somebody else just now, so nothing was written.",
                resolution="look at the file and repeat the command",
            )
        self._done.append(change)
        if change.after is None:
            target.unlink()
        else:
            self._staged[change.path].replace(target)
            del self._staged[change.path]

    def roll_back(self) -> list[str]:
        """Undo everything; returns what could not be undone."""
        left = []
        for change in reversed(self._done):
            try:
                self._restore(change)
            except OSError as error:
                left.append(f"{change.path}: {error}")
        for temporary in self._staged.values():
            with suppress(OSError):
                temporary.unlink()
        for directory in reversed(self._made):
            with suppress(OSError):  # not empty: somebody else's file is in it
                directory.rmdir()
        return left

    def _restore(self, change: FileChange) -> None:
        target = self.root / change.path
        if change.before is None:
            target.unlink(missing_ok=True)
        elif _content(target) != change.before:
            mode = EXECUTABLE if change.executable else PLAIN
            _write_beside(target, change.before, mode).replace(target)

    def _make_directories(self, directory: Path) -> None:
        for parent in reversed([directory, *directory.parents]):
            if parent.is_relative_to(self.root) and not parent.exists():
                parent.mkdir()
                self._made.append(parent)


def _write_beside(target: Path, content: bytes, mode: int) -> Path:
    """A finished temporary file in the target's directory; a kept file keeps its permissions."""
    with suppress(OSError):
        kept = stat.S_IMODE(target.lstat().st_mode)
        mode = kept if bool(kept & stat.S_IXUSR) == (mode == EXECUTABLE) else mode
    descriptor, name = tempfile.mkstemp(prefix=".osqual-", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        temporary.chmod(mode)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _check_place(root: Path, change: FileChange) -> None:
    """Refuse everything that is not a regular file, or a new one, in the root's own directories."""
    check_path(change.path)
    *above, _ = _steps(root, change.path)
    for directory in above:
        mode = _mode(directory)
        if mode is None:
            return
        if not stat.S_ISDIR(mode):
            raise _refused(change, f"{directory.name} is a link or a file, not a directory")
    mode = _mode(root / change.path)
    if mode is not None and not stat.S_ISREG(mode):
        raise _refused(change, "it is a link, a directory or something else, not a regular file")


def _steps(root: Path, path: str) -> Iterator[Path]:
    for part in path.split("/"):
        root = root / part
        yield root


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:  # a name that is too long for the disk, a directory without access
        raise UsageError(f"{path.name[:60]!r} cannot be a file there: {error.strerror}.") from error


def _refused(change: FileChange, why: str) -> UsageError:
    return UsageError(
        f"{change.path} is not written: {why}.",
        resolution="replace the link by what it leads to, or change the file there",
    )
