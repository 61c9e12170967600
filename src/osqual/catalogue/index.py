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
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from hashlib import sha256
from itertools import accumulate, islice, pairwise
from pathlib import Path

from osqual import __version__
from osqual.catalogue.stamps import beside, stamp_of, stamps_of
from osqual.conventions import Conventions, FileNames

Entries = dict[str, tuple[str, str, str]]
# From the paths of all directories, parents first, to those that matter.
Reach = Callable[[Sequence[str]], Collection[str]]
# The path of a remembered configuration, and its values with tabs between: empty when its files
# must be read again.
Row = tuple[str, str]

FORMAT = 5
_ENCODING = ("utf-8", "surrogateescape")  # of names, which may be any bytes
# What changed this shortly before it was looked at could change again without a new change time:
# clocks of file systems tick in up to two seconds.
_SETTLED_NS = 2_000_000_000
# Rows whose files take longer to look at than a process takes to begin and end.
_MANY = 4_000


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


@dataclass(frozen=True, eq=False)
class Lines:
    """A column: one line an entry, taken apart when it is looked into."""

    content: bytes | memoryview = b""

    @classmethod
    def of(cls, lines: Collection[str]) -> "Lines":
        """Raises ValueError where an entry is not one line."""
        text = "".join([f"{line}\n" for line in lines])
        if text.count("\n") != len(lines):
            raise ValueError("an entry has several lines")
        return cls(text.encode(*_ENCODING))

    @cached_property
    def each(self) -> list[str]:
        """The entries."""
        return str(self.content, *_ENCODING).split("\n")[:-1]

    def are(self, lines: Collection[str]) -> bool:
        """Whether these are the entries."""
        return bytes(self.content) == Lines.of(lines).content


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The entries of an index, column by column: thousands of them are compared at once.

    Directories come with their stamp, the known names in them and the sub-directories that the
    layout leads on to. Rows are configurations, with the published files they have (names joined
    by `/`; after `//` those that the values do not depend on), the stamps of those that were read
    (joined by `|`; empty when they must be read again), and values; those of a complete index are
    in the order in which `retain` was given them.
    """

    directories: Lines = Lines()
    stamps: Lines = Lines()
    names: Lines = Lines()
    folders: Lines = Lines()
    rows: Lines = Lines()
    row_files: Lines = Lines()
    row_stamps: Lines = Lines()
    row_values: Lines = Lines()

    @classmethod
    def of(cls, directories: Entries, rows: Entries) -> "Columns":
        """From entries by path; directories sorted, a parent before what it contains.

        Raises ValueError, as Lines.
        """
        paths = sorted(directories)
        return cls(
            directories=Lines.of(paths),
            stamps=Lines.of([directories[path][0] for path in paths]),
            names=Lines.of([directories[path][1] for path in paths]),
            folders=Lines.of([directories[path][2] for path in paths]),
            rows=Lines.of(rows),
            row_files=Lines.of([files for files, _, _ in rows.values()]),
            row_stamps=Lines.of([stamps for _, stamps, _ in rows.values()]),
            row_values=Lines.of([values for _, _, values in rows.values()]),
        )

    def dump(self) -> tuple[bytes, list[int]]:
        """All content, and how many bytes of it are each column's."""
        contents = [getattr(self, column.name).content for column in fields(self)]
        return b"".join(contents), list(map(len, contents))

    @classmethod
    def parse(cls, content: memoryview, lengths: Sequence[int]) -> "Columns":
        """What `dump` gave. Raises ValueError."""
        ends = [0, *accumulate(lengths)]
        if ends[-1] != len(content):
            raise ValueError("the length is wrong")
        parts = [Lines(content[start:end]) for start, end in pairwise(ends)]
        names = [column.name for column in fields(cls)]
        return cls(**dict(zip(names, parts, strict=True)))


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
    columns: Columns = Columns()
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
            content = file.read_bytes()
            start = content.index(b"\n") + 1
            facts, columns = json.loads(content[:start]), memoryview(content)[start:]
            if facts["for"] == index._identity() and facts["crc"] == zlib.crc32(columns):
                index.columns = Columns.parse(columns, facts["lengths"])
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
        directories, stamps = columns.directories.each, columns.stamps
        rows = columns.rows.each
        chosen: Sequence[int] = range(len(rows))
        if reach is not None:
            wanted = reach(directories)
            entries = zip(directories, stamps.each, strict=True)
            stamps = Lines.of([stamp for path, stamp in entries if path in wanted])
            directories = [path for path in directories if path in wanted]
            chosen = [number for number in chosen if rows[number] in wanted]
        known = columns.row_stamps.each
        remembered = [number for number in chosen if known[number]]
        with beside(  # the files are nearly half of what there is to look at
            lambda: not self._changed_rows(remembered), worthwhile=len(remembered) > _MANY
        ) as unchanged:
            now = stamps_of(str(self.root), directories)
            if now is None or not stamps.are(now):
                return None
            changed = set() if unchanged() else self._changed_rows(remembered)
        values = columns.row_values.each
        return [(rows[n], "" if n in changed else values[n]) for n in chosen]

    def _changed_rows(self, remembered: Sequence[int]) -> set[int]:
        """Those of some rows of which a file is not as it was."""
        columns = self.columns
        paths, row_files = columns.rows.each, columns.row_files.each
        known = columns.row_stamps.each
        names = {text: _read_of(text) for text in set(row_files)}
        files = [
            f"{paths[number]}/{name}" for number in remembered for name in names[row_files[number]]
        ]
        now = stamps_of(str(self.root), files)
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
            entries = zip(
                columns.stamps.each, columns.names.each, columns.folders.each, strict=True
            )
            self._directories = dict(zip(columns.directories.each, entries, strict=True))
        return self._directories

    def _known_rows(self) -> Entries:
        if self._rows is None:
            columns = self.columns
            values = (columns.row_files.each, columns.row_stamps.each, columns.row_values.each)
            entries = zip(*values, strict=True)
            self._rows = dict(zip(columns.rows.each, entries, strict=True))
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
        try:
            self.columns = Columns.of(self._known_directories(), self._known_rows())
        except ValueError:  # a name with a line break in it, or text that no file can hold
            return
        self.complete = complete
        content, lengths = self.columns.dump()
        header = {
            "for": self._identity(),
            "complete": complete,
            "lengths": lengths,
            "crc": zlib.crc32(content),
        }
        _write_quietly(self.file, json.dumps(header).encode() + b"\n" + content)
        self._changed = False
