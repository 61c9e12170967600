"""The files of a catalogue, each read once; equal contents are kept once."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from osqual.catalogue.git import GitTree
from osqual.errors import InvalidFile
from osqual.formats.documents import MAX_BYTES, decode, read_bytes
from osqual.processes.process import run


@dataclass(frozen=True, kw_only=True)
class Content:
    """The bytes of a file; copies share one."""

    digest: bytes
    data: bytes

    @cached_property
    def is_binary(self) -> bool:
        """Whether it is not text, by git's measure."""
        return b"\0" in self.data[:8000]


@dataclass(kw_only=True)
class Contents:
    """Files by path relative to the root. `problems`: why a file could not be read."""

    root: Path
    in_git: bool = True
    problems: dict[str, InvalidFile] = field(default_factory=dict)
    _read: dict[str, Content | None] = field(default_factory=dict)
    _known: dict[bytes, Content] = field(default_factory=dict)
    _texts: dict[bytes, str] = field(default_factory=dict)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every file that git tracks, or would track; without git every file. Sorted."""
        return tuple(sorted(path for path in self._listed if path.isascii() or _is_text(path)))

    @cached_property
    def unnameable(self) -> tuple[str, ...]:
        """Files whose names are no text, as far as they can be shown."""
        odd = (path for path in self._listed if not path.isascii() and not _is_text(path))
        return tuple(sorted(ascii(path)[1:-1] for path in odd))

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        tracked = self.in_git and GitTree(root=self.root).is_work_tree()
        return tuple(_in_git(self.root) if tracked else _walk(self.root))

    @cached_property
    def files(self) -> frozenset[str]:
        """The same, to ask whether there is one."""
        return frozenset(self.paths)

    @cached_property
    def links(self) -> Mapping[str, str]:
        """Symbolic link -> where it leads in the end, relative to the root where it is inside."""
        found = {}
        for path in self.paths:
            place = self.root / path
            if place.is_symlink():
                target = place.resolve()
                inside = target.is_relative_to(self.root)
                found[path] = target.relative_to(self.root).as_posix() if inside else str(target)
        return found

    def may_move(self, path: str) -> bool:
        """Whether a file is no link, and no link leads to it."""
        return path not in self.links and path not in self._link_targets

    @cached_property
    def _link_targets(self) -> frozenset[str]:
        return frozenset(self.links.values())

    def content(self, path: str) -> Content | None:
        """A file's bytes; None, with a problem, when it cannot be read."""
        if path not in self._read:
            self._read[path] = self._load(path)
        return self._read[path]

    def text(self, path: str) -> str | None:
        """A file's text; None, with a problem, when it cannot be read or is not UTF-8."""
        content = self.content(path)
        if content is None:
            return None
        if content.digest not in self._texts:
            try:
                self._texts[content.digest] = decode(content.data, path)
            except InvalidFile as error:
                self.problems[path] = error
                return None
        return self._texts[content.digest]

    def _load(self, path: str) -> Content | None:
        try:
            data = read_bytes(self.root, path, MAX_BYTES)
        except InvalidFile as error:
            self.problems[path] = error
            return None
        digest = hashlib.blake2b(data, digest_size=20).digest()
        return self._known.setdefault(digest, Content(digest=digest, data=data))


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_git(root: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="osqual-lint-") as directory:
        listing = Path(directory) / "files"
        run(
            [
                *("git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached"),
                *("--others", "--exclude-standard", "--deduplicate"),
            ],
            cwd=root,
            env={"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"},
            stdout=listing,
        )
        names = listing.read_bytes().split(b"\0")
    for path in map(os.fsdecode, filter(None, names)):
        if os.path.isfile(os.path.join(root, path)):  # noqa: PTH113, PTH118 - thousands of them
            yield path  # else it is deleted, or a submodule


def _walk(root: Path) -> Iterator[str]:
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(directory, name)
            if path.is_file():
                yield path.relative_to(root).as_posix()
