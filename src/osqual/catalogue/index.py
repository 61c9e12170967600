"""What was found in a catalogue before, so that an unchanged one is not read again.

A file in the cache directory that may be deleted at any time. Every entry proves itself: it counts
only while the directory or file that it tells of still has the change time and inode it had.
"""

import json
import os
import stat
import zlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from osqual import __version__
from osqual.conventions import Conventions, FileNames

Entries = dict[str, tuple[str, str, str]]
# From the paths of all directories, parents first, to those that matter.
Reach = Callable[[Sequence[str]], Collection[str]]

FORMAT = 4
# What changed this shortly before it was looked at could change again without a new change time:
# clocks of file systems tick in up to two seconds.
_SETTLED_NS = 2_000_000_000


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


def _row_files(names: Sequence[str], read: Collection[str]) -> str:
    """The published files of a row: those that were read, and behind `//` the others."""
    groups = ([n for n in names if n in read], [n for n in names if n not in read])
    return "//".join("/".join(group) for group in groups if group)


def _read_of(row_files: str) -> list[str]:
    return row_files.partition("//")[0].split("/")


def stamp_of(status: os.stat_result) -> str:
    """What changes whenever a file or directory does. Nobody can set a change time back."""
    return f"{status.st_ctime_ns} {status.st_ino}"


@dataclass(kw_only=True)
class Columns:
    """The entries of an index, column by column: thousands of them are compared at once.

    Directories come with their stamp, the known names in them and the sub-directories that the
    layout leads on to. Rows are configurations, with the published files they have (names joined
    by `/`; after `//` those that the values do not depend on), the stamps of those that were read
    (joined by `|`; empty when they must be read again), and values; those of a complete index are
    in the order in which `retain` was given them.
    """

    directories: list[str] = field(default_factory=list)
    stamps: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    row_files: list[str] = field(default_factory=list)
    row_stamps: list[str] = field(default_factory=list)
    row_values: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, directories: Entries, rows: Entries) -> "Columns":
        """From entries by path; directories sorted, a parent before what it contains."""
        columns = cls()
        for path, (stamp, names, folders) in sorted(directories.items()):
            columns.directories.append(path)
            columns.stamps.append(stamp)
            columns.names.append(names)
            columns.folders.append(folders)
        for path, (files, stamps, values) in rows.items():
            columns.rows.append(path)
            columns.row_files.append(files)
            columns.row_stamps.append(stamps)
            columns.row_values.append(values)
        return columns

    def dump(self) -> tuple[bytes, list[int]]:
        """As text, one line an entry, and the number of lines of each column."""
        columns = list(vars(self).values())
        text = "".join(f"{line}\n" for column in columns for line in column)
        return text.encode("utf-8", "surrogateescape"), [len(column) for column in columns]

    @classmethod
    def parse(cls, content: bytes, counts: Sequence[int]) -> "Columns":
        """What `dump` gave. Raises ValueError."""
        lines = content.decode("utf-8", "surrogateescape").split("\n")
        columns = cls()
        position = 0
        for name, count in zip(list(vars(columns)), counts, strict=True):
            setattr(columns, name, lines[position : position + count])
            position += count
        if position != len(lines) - 1:
            raise ValueError("the number of lines is wrong")
        return columns


class Row(NamedTuple):  # there are many, and a frozen dataclass takes four times as long to make
    """One remembered configuration; `values` is empty when its files must be read again."""

    path: str
    values: Sequence[str]


@dataclass(kw_only=True)
class Index:
    """The index of one catalogue. `file` is None for one that is forgotten at the end.

    `complete` says that the columns hold every directory and configuration there is, provided
    that no stamp has changed.
    """

    root: Path
    conventions: Conventions
    now_ns: int
    file: Path | None = None
    complete: bool = False
    columns: Columns = field(default_factory=Columns)
    _directories: Entries | None = None
    _rows: Entries | None = None
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
            header, _, content = file.read_bytes().partition(b"\n")
            facts = json.loads(header)
            if facts["for"] == index._identity() and facts["crc"] == zlib.crc32(content):
                index.columns = Columns.parse(content, facts["counts"])
                index.complete = facts["complete"]
        return index

    def _identity(self) -> str:
        """What an index is good for: one version, one root, one set of conventions."""
        return repr((FORMAT, __version__, str(self.root), self.conventions))

    # -- an unchanged catalogue, all at once

    def unchanged_rows(self, reach: Reach | None = None) -> list[Row] | None:
        """Every configuration, or None when a directory is not as it was.

        `reach` chooses, from every directory, those that matter; rows elsewhere are left out.
        """
        if not self.complete:
            return None
        columns = self.columns
        directories, stamps = columns.directories, columns.stamps
        chosen: Sequence[int] = range(len(columns.rows))
        if reach is not None:
            wanted = reach(directories)
            pairs = [pair for pair in zip(directories, stamps, strict=True) if pair[0] in wanted]
            directories, stamps = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            chosen = [number for number in chosen if columns.rows[number] in wanted]
        if self._stamps_of(directories) != stamps:
            return None
        return self._fresh_rows(chosen)

    def _fresh_rows(self, chosen: Sequence[int]) -> list[Row]:
        columns = self.columns
        paths, names, texts = columns.rows, columns.row_files, columns.row_values
        known = columns.row_stamps
        remembered = [number for number in chosen if known[number]]
        changed = self._changed_rows(remembered)
        rows = []
        for number in chosen:
            # Without files there is nothing that could change, and nothing was remembered of it.
            sure = number not in changed if known[number] else not names[number]
            rows.append(Row(paths[number], texts[number].split("\t") if sure else []))
        return rows

    def _changed_rows(self, remembered: Sequence[int]) -> set[int]:
        """Those of some rows of which a file is not as it was."""
        columns = self.columns
        paths, known = columns.rows, columns.row_stamps
        names = {text: _read_of(text) for text in set(columns.row_files)}
        files = [
            f"{paths[number]}/{name}"
            for number in remembered
            for name in names[columns.row_files[number]]
        ]
        now = self._stamps_of(files)
        if now == "|".join([known[number] for number in remembered]).split("|"):
            return set()
        if now is None:
            return set(remembered)
        left = iter(now)
        return {
            number
            for number in remembered
            if [*islice(left, known[number].count("|") + 1)] != known[number].split("|")
        }

    def _stamps_of(self, paths: Sequence[str]) -> list[str] | None:
        """The stamps of all paths; None when one of them is gone."""
        prefix = f"{self.root}/"
        try:
            return [
                f"{status.st_ctime_ns} {status.st_ino}"
                for status in map(os.lstat, [prefix + path for path in paths])
            ]
        except OSError:
            return None

    # -- a changed catalogue, one by one

    def listing(self, path: str, stamp: str) -> tuple[list[str], list[str]] | None:
        """Known names and sub-directories of a directory whose stamp is the same as then."""
        entry = self._known_directories().get(path)
        if entry is None or entry[0] != stamp:
            return None
        return entry[1].split("/") if entry[1] else [], entry[2].split("/") if entry[2] else []

    def remember_listing(
        self, path: str, status: os.stat_result, names: Sequence[str], folders: Sequence[str]
    ) -> None:
        """Keep a directory's listing; `status` was taken before it was listed."""
        stamp = stamp_of(status) if self._is_settled(status) else ""
        self._known_directories()[path] = (stamp, "/".join(names), "/".join(folders))
        self._changed = True

    def values(self, path: str, names: Sequence[str]) -> Sequence[str] | None:
        """What was remembered of a configuration that has these published files, if still true."""
        entry = self._known_rows().get(path)
        if entry is None or not entry[1]:
            return None
        read = _read_of(entry[0])
        if _row_files(names, read) != entry[0] or entry[1] != self.stamps(path, read):
            return None
        return entry[2].split("\t")

    def stamps(self, path: str, names: Sequence[str]) -> str:
        """The stamps of a configuration's files; empty when they are not settled regular files."""
        found = []
        for name in names:
            try:
                status = os.lstat(f"{self.root}/{path}/{name}")
            except OSError:
                return ""
            if not stat.S_ISREG(status.st_mode) or not self._is_settled(status):
                return ""
            found.append(stamp_of(status))
        return "|".join(found)

    def remember_row(
        self,
        path: str,
        names: Sequence[str],
        read: Collection[str],
        stamps: str,
        values: Sequence[str],
    ) -> None:
        """Keep a configuration; text that would not come back the same is not kept.

        `stamps` are those of all `names`. Only those that were read can change the values.
        """
        text = "\t".join(values)
        if (names and not stamps) or "\n" in text or text.count("\t") != len(values) - 1:
            stamps, text = "", ""
        if stamps:
            pairs = zip(names, stamps.split("|"), strict=True)
            stamps = "|".join(stamp for name, stamp in pairs if name in read)
        entry = (_row_files(names, read), stamps, text)
        rows = self._known_rows()
        if rows.get(path) != entry:
            rows[path] = entry
            self._changed = True

    def _is_settled(self, status: os.stat_result) -> bool:
        return status.st_ctime_ns < self.now_ns - _SETTLED_NS

    def _known_directories(self) -> Entries:
        if self._directories is None:
            columns = self.columns
            entries = zip(columns.stamps, columns.names, columns.folders, strict=True)
            self._directories = dict(zip(columns.directories, entries, strict=True))
        return self._directories

    def _known_rows(self) -> Entries:
        if self._rows is None:
            columns = self.columns
            entries = zip(columns.row_files, columns.row_stamps, columns.row_values, strict=True)
            self._rows = dict(zip(columns.rows, entries, strict=True))
        return self._rows

    def retain(self, directories: Collection[str], rows: Sequence[str]) -> None:
        """Forget all others: these are what there is, the rows in this order from now on."""
        known = self._known_directories()
        for path in known.keys() - set(directories):
            del known[path]
            self._changed = True
        known = self._known_rows()
        if list(known) != list(rows):
            self._rows = {path: known[path] for path in rows}
            self._changed = True

    def save(self, *, complete: bool) -> None:
        """Write the index if anything changed."""
        if self.file is None or not (self._changed or complete != self.complete):
            return
        self.complete = complete
        self.columns = Columns.of(self._known_directories(), self._known_rows())
        content, counts = self.columns.dump()
        header = {
            "for": self._identity(),
            "complete": complete,
            "counts": counts,
            "crc": zlib.crc32(content),
        }
        _write_quietly(self.file, json.dumps(header).encode() + b"\n" + content)
        self._changed = False
