"""What was found in a catalogue before, so that an unchanged one is not read again.

A file in the cache directory that may be deleted at any time. Every entry proves itself: it counts
only while the directory or file that it tells of still has the change time and inode it had.
"""

import json
import os
import stat
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from osqual import __version__
from osqual.conventions import Conventions, FileNames

FORMAT = 1
# What changed this shortly before it was looked at could change again without a new change time:
# clocks of file systems tick in up to two seconds.
_SETTLED_NS = 2_000_000_000


def index_directory(environ: Mapping[str, str]) -> Path:
    """Where indexes are kept."""
    if environ.get("OSQUAL_CACHE_DIR"):
        return Path(environ["OSQUAL_CACHE_DIR"]) / "catalogues"
    import platformdirs

    return platformdirs.user_cache_path("osqual") / "catalogues"


def stamp_of(status: os.stat_result) -> str:
    """What changes whenever a file or directory does. Nobody can set a change time back."""
    return f"{status.st_ctime_ns:x}.{status.st_ino:x}.{status.st_size:x}"


def remembered_conventions(
    directory: Path, settings: str, read: Callable[[], Conventions]
) -> Conventions:
    """The conventions that a settings file of this text says, read the first time only.

    Reading settings takes longer than answering a question about the catalogue.
    """
    name = sha256(f"{FORMAT} {__version__}\n{settings}".encode()).hexdigest()[:24]
    file = directory / f"{name}.conventions"
    with suppress(OSError, ValueError, KeyError, TypeError):
        values = json.loads(file.read_text(encoding="utf-8"))
        return Conventions(**{**values, "files": FileNames(**values["files"])})
    conventions = read()
    _write_quietly(file, json.dumps(asdict(conventions)).encode())
    return conventions


def _write_quietly(file: Path, content: bytes) -> bool:
    """Write a whole file or none. What cannot be remembered is not missed."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(file)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        return False
    return True


@dataclass(kw_only=True)
class Index:
    """Entries by path relative to the root. Each is one line of text, parsed when it is asked for.

    `file` is None for an index that is forgotten at the end.
    """

    root: Path
    conventions: Conventions
    now_ns: int
    file: Path | None = None
    _directories: dict[str, str] = field(default_factory=dict)
    _facts: dict[str, str] = field(default_factory=dict)
    _changed: bool = False

    @classmethod
    def load(
        cls, root: Path, conventions: Conventions, directory: Path | None, now_ns: int
    ) -> "Index":
        """The index of a catalogue; empty when there is none, or when it is of no use any more.

        `now_ns` is the time since the epoch: what changed just before is looked at again.
        """
        if directory is None:
            return cls(root=root, conventions=conventions, now_ns=now_ns)
        name = sha256(os.fsencode(root)).hexdigest()[:24]
        file = directory / f"{name}.index"
        index = cls(root=root, conventions=conventions, now_ns=now_ns, file=file)
        with suppress(OSError, ValueError, KeyError, TypeError):
            index._read()
        return index

    def _read(self) -> None:
        assert self.file is not None  # noqa: S101 - only called with one
        header, _, body = self.file.read_bytes().partition(b"\n")
        facts = json.loads(header)
        if facts["for"] != self._identity() or facts["crc"] != zlib.crc32(body):
            return
        lines = body.decode("utf-8", "surrogateescape").split("\n")
        count = facts["directories"]
        self._directories = dict(line.split("\t", 1) for line in lines[:count])
        self._facts = dict(line.split("\t", 1) for line in lines[count:-1])

    def _identity(self) -> str:
        """What an index is good for: one version, one root, one set of conventions."""
        return repr((FORMAT, __version__, str(self.root), self.conventions))

    def listing(self, path: str, stamp: str) -> tuple[list[str], list[str]] | None:
        """Known names and sub-directories of a directory whose stamp is the same as then."""
        entry = self._directories.get(path)
        if entry is None:
            return None
        known, names, folders = entry.split("\t")
        if known != stamp:
            return None
        return names.split("/") if names else [], folders.split("/") if folders else []

    def remember_listing(
        self, path: str, status: os.stat_result, names: Sequence[str], folders: Sequence[str]
    ) -> None:
        """Keep a directory's listing; `status` was taken before it was listed."""
        if self._is_settled(status):
            entry = f"{stamp_of(status)}\t{'/'.join(names)}\t{'/'.join(folders)}"
            self._keep(self._directories, path, entry)
        else:
            self._forget(self._directories, path)

    def facts(self, path: str, stamps: str) -> list[str] | None:
        """What was remembered of a configuration whose published files have these stamps."""
        entry = self._facts.get(path)
        if entry is None:
            return None
        known, *values = entry.split("\t")
        return values if known == stamps else None

    def remember_facts(self, path: str, stamps: str, values: Sequence[str]) -> None:
        """Keep facts; text that would not come back the same is not kept."""
        entry = "\t".join((stamps, *values))
        if entry.count("\t") == len(values) and "\n" not in entry:
            self._keep(self._facts, path, entry)

    def stamps(self, paths: Sequence[str]) -> str | None:
        """The stamps of regular files, together; None when one of them is none, or not settled."""
        found = []
        for path in paths:
            try:
                status = os.lstat(f"{self.root}/{path}")
            except OSError:
                return None
            if not stat.S_ISREG(status.st_mode) or not self._is_settled(status):
                return None
            found.append(stamp_of(status))
        return " ".join(found)

    def _is_settled(self, status: os.stat_result) -> bool:
        return status.st_ctime_ns < self.now_ns - _SETTLED_NS

    def _keep(self, entries: dict[str, str], path: str, entry: str) -> None:
        if entries.get(path) != entry:
            entries[path] = entry
            self._changed = True

    def _forget(self, entries: dict[str, str], path: str) -> None:
        self._changed |= entries.pop(path, None) is not None

    def retain(self, paths: Mapping[str, object]) -> None:
        """Forget every directory that is not among these: the whole catalogue was walked."""
        for entries in (self._directories, self._facts):
            if len(entries) > len(paths) or not entries.keys() <= paths.keys():
                for path in [path for path in entries if path not in paths]:
                    self._forget(entries, path)

    def save(self) -> None:
        """Write the index if anything changed. One that cannot be written is not missed."""
        if self.file is None or not self._changed:
            return
        lines = [f"{path}\t{entry}\n" for path, entry in self._directories.items()]
        lines += [f"{path}\t{entry}\n" for path, entry in self._facts.items()]
        body = "".join(lines).encode("utf-8", "surrogateescape")
        header = {
            "for": self._identity(),
            "directories": len(self._directories),
            "crc": zlib.crc32(body),
        }
        if _write_quietly(self.file, json.dumps(header).encode() + b"\n" + body):
            self._changed = False
