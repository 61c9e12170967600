"""Files as they are going to be: planned changes as values, over what is on disk."""

import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from osqual.errors import InvalidFile, UsageError
from osqual.formats.documents import decode, read_bytes, read_document

# Scripts and whatever they upload may be large; more than this does not belong in a catalogue.
MAX_BYTES = 64 * 1024 * 1024
EXECUTABLE, PLAIN = 0o755, 0o644


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One file before and after, by its path relative to the root; None: there is none.

    `executable` is the permission afterwards. `copied_from` names the file that a new one was
    made from, so that its difference from that can be shown.
    """

    path: str
    before: bytes | None
    after: bytes | None
    executable: bool = False
    copied_from: str | None = None
    original: bytes | None = None
    """The content of `copied_from`."""

    @property
    def kind(self) -> str:
        """What happens to the file: added, changed or removed."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


class Draft:
    """What files hold once the planned writes are made. Nothing touches the disk but reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._planned: dict[str, FileChange] = {}
        self._directories: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """The planned content, or what is on disk; None when there is no file. InvalidFile."""
        if path in self._planned:
            return self._planned[path].after
        return self._on_disk(path)

    def read_text(self, path: str) -> str | None:
        """The content of a document, which is never as large as a script may be. InvalidFile."""
        if path in self._planned:
            data = self._planned[path].after
            return None if data is None else decode(data, path)
        if _status(self.root / path, follow=False) is None:
            return None
        return read_document(self.root, path)

    def exists(self, path: str) -> bool:
        """Whether something will be there: a file, a directory, or on disk also anything else."""
        if path in self._planned:
            return self._planned[path].after is not None
        return path in self._directories or _status(self.root / path, follow=False) is not None

    def files_below(self, path: str) -> dict[str, str]:
        """Every file that will be at or below a path, by its place relative to that.

        Directories behind links are not entered: InvalidFile.
        """
        if path in self._planned:
            return {"": path} if self._planned[path].after is not None else {}
        found = dict(_walk(self.root, path))
        if not path or path in self._directories:
            below = (place for place in self._planned if inside(place, path))
            for place in below:
                inner = place[len(path) :].lstrip("/")
                found.pop(inner, None)
                if self._planned[place].after is not None:
                    found[inner] = place
        return dict(sorted(found.items()))

    def write(
        self,
        path: str,
        content: bytes | str,
        *,
        copied_from: str | None = None,
        executable: bool | None = None,
    ) -> None:
        """Plan a file's content; its permission stays, or is that of `copied_from`.

        Raises UsageError for a path that does not stay in the root.
        """
        check_path(path)
        data = content.encode() if isinstance(content, str) else content
        if executable is None:
            executable = self.is_executable(copied_from if copied_from else path)
        self._planned[path] = FileChange(
            path=path,
            before=self._before(path),
            after=data,
            executable=executable,
            copied_from=copied_from,
            original=self.read(copied_from) if copied_from else None,
        )
        while "/" in path:
            path = path.rpartition("/")[0]
            self._directories.add(path)

    def remove(self, path: str) -> None:
        """Plan that a file goes away."""
        check_path(path)
        self._planned[path] = FileChange(
            path=path,
            before=self._before(path),
            after=None,
            executable=self.is_executable(path),  # to be put back as it was
        )

    def is_executable(self, path: str) -> bool:
        """Whether the owner may execute the file."""
        if path in self._planned:
            return self._planned[path].executable
        status = _status(self.root / path)
        return status is not None and bool(status & stat.S_IXUSR)

    def changes(self) -> tuple[FileChange, ...]:
        """Every planned change that changes something, sorted by path."""
        return tuple(
            self._planned[path]
            for path in sorted(self._planned)
            if self._planned[path].before != self._planned[path].after
        )

    def _before(self, path: str) -> bytes | None:
        if path in self._planned:
            return self._planned[path].before
        return self._on_disk(path)

    def _on_disk(self, path: str) -> bytes | None:
        if _status(self.root / path, follow=False) is None:
            return None
        return read_bytes(self.root, path, MAX_BYTES)


def _walk(root: Path, path: str) -> Iterator[tuple[str, str]]:
    """Files on disk at or below a path: where they are from there, and from the root."""
    mode = _status(root / path, follow=False)
    if mode is None or not stat.S_ISDIR(mode):
        if mode is not None:
            yield "", path
        return
    waiting = [path]
    while waiting:
        directory = waiting.pop()
        for entry in _entries(root, directory):
            place = f"{directory}/{entry.name}".lstrip("/")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(place)
            elif stat.S_ISDIR(_status(root / place) or 0):
                raise InvalidFile(place, "is a link to a directory, which is not followed")
            else:
                yield place[len(path) :].lstrip("/"), place


def _entries(root: Path, directory: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(root / directory) as entries:
            return list(entries)
    except OSError as error:
        raise InvalidFile(directory, f"cannot be listed: {error.strerror}") from error


def _status(path: Path, *, follow: bool = True) -> int | None:
    try:
        return (path.stat() if follow else path.lstat()).st_mode
    except OSError:
        return None


def check_path(path: str) -> None:
    """Refuse a path that is not relative, not normal, or leads into git's own directory."""
    parts = path.split("/")
    if (
        "\0" in path
        or path != posixpath.normpath(path)
        or parts[0] in ("", ".", "..")
        or any(part.lower() == ".git" for part in parts)
    ):
        raise UsageError(
            f"{path!r} is not a place in the catalogue, so nothing is written there.",
            resolution="name a path below the catalogue's root",
        )


def inside(path: str, directory: str) -> bool:
    """Whether a path is the directory or lies below it; the root is the empty path."""
    return directory in ("", path) or path.startswith(f"{directory}/")


def join(directory: str, name: str) -> str:
    """A path below a directory, in normal form; InvalidFile when it leads out of the root."""
    path = posixpath.normpath(posixpath.join(directory, name))
    if name.startswith("/") or path == ".." or path.startswith("../"):
        raise InvalidFile(directory or ".", f"{name!r} leads out of the catalogue")
    return path
