"""A picture of the directories that the layout leads to, and of the known files in each.

Made by listing directories only: no file is opened, no link is followed.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from osqual.catalogue.index import Index
from osqual.catalogue.layout import Layout, Segment
from osqual.catalogue.stamps import stamp_of
from osqual.conventions import FileNames
from osqual.errors import InvalidFile

# Which segments may come next, the dimensions found so far, and whether the layout may end here.
_State = tuple[tuple[Segment, ...], Mapping[str, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One directory. `dimensions` is set when its path matches the whole layout."""

    dimensions: Mapping[str, str] | None
    names: frozenset[str]
    """Those known file names that exist here, whatever kind of thing they are."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Listings by path relative to the root (the root itself is the empty path)."""

    listings: Mapping[str, Listing]
    problems: tuple[InvalidFile, ...] = ()
    """Directories that could not be listed."""

    def configurations(self, files: FileNames) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Path and dimensions of every configuration, sorted by path."""
        holders = _with_configurations_below(self.listings, files)
        for path in sorted(self.listings):
            listing = self.listings[path]
            if listing.dimensions is not None and is_configuration(
                listing.names, files, has_others_below=path in holders
            ):
                yield path, listing.dimensions

    def nearest(self, path: str, name: str) -> str | None:
        """The directory nearest to `path`, itself first and up to the root, that has the file."""
        for directory in upwards(path):
            listing = self.listings.get(directory)
            if listing is not None and name in listing.names:
                return directory
        return None


def upwards(path: str) -> Iterator[str]:
    """The path and each of its parents; the root, as the empty path, comes last."""
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def is_configuration(
    names: frozenset[str], files: FileNames, *, has_others_below: bool = False
) -> bool:
    """Whether a directory that matches the whole layout is a configuration, by its own files.

    Any published file makes it one, and so does a template together with a profile or a config.
    A directory with configurations below it may hold less than that for them to share, and is
    then only their parent; without any below, each known file is enough.
    """
    if not names.isdisjoint(files.published):
        return True
    others = {files.profile, files.old_profile, files.config}
    if files.template in names and not names.isdisjoint(others):
        return True
    return bool(names) and not has_others_below


def _with_configurations_below(listings: Mapping[str, Listing], files: FileNames) -> set[str]:
    """Paths that match the layout and have a configuration below them, deepest decided first."""
    holders: set[str] = set()
    matching = [path for path, listing in listings.items() if listing.dimensions is not None]
    for path in sorted(matching, key=lambda path: -path.count("/")):
        if is_configuration(listings[path].names, files, has_others_below=path in holders):
            for parent in upwards(path.rpartition("/")[0]):
                if parent in holders:
                    break
                holders.add(parent)
    return holders


Wanted = Callable[[Mapping[str, str]], bool]


def reachable(paths: Iterable[str], layout: Layout, wanted: Wanted) -> set[str]:
    """Those of a tree's paths, parents first, that a scan with `wanted` would look into.

    Conditions are on single dimensions, so that each name decides for itself.
    """
    # The few sets of segments that may come next, whether a path ended above, and by the set's
    # number and a name the number of the set that follows: -1 where the scan would turn back.
    states: list[tuple[tuple[Segment, ...], bool]] = [(layout.segments, False)]
    steps: dict[tuple[int, str], int] = {}
    reached = {"": 0}
    for path in paths:
        parent, _, name = path.rpartition("/")
        state = reached.get(parent)
        if state is None or not path:
            continue
        step = steps.get((state, name))
        if step is None:
            step = steps[state, name] = _next_state(states, state, name, wanted)
        if step >= 0:
            reached[path] = step
    return set(reached)


def _next_state(
    states: list[tuple[tuple[Segment, ...], bool]], state: int, name: str, wanted: Wanted
) -> int:
    segments, ended = states[state]
    matching = [
        segment
        for segment in segments
        if (found := segment.match(name)) is not None and (ended or wanted(found))
    ]
    if not matching:
        return -1
    following = tuple(inner for segment in matching for inner in segment.following)
    states.append((following, any(segment.last for segment in matching)))
    return len(states) - 1


@dataclass(kw_only=True)
class Scanner:
    """Lists a catalogue's directories, or one branch of them.

    `wanted` is asked about the dimensions that a path has named so far; branches that it declines
    are not looked into. Below a path that matches the whole layout every branch is looked into:
    whether that is a configuration depends on what it contains.
    """

    root: Path
    layout: Layout
    known: frozenset[str]
    index: Index
    wanted: Wanted | None = None
    problems: list[InvalidFile] = field(default_factory=list)
    _matches: dict[tuple[int, str], list[_State]] = field(default_factory=dict)

    def scan(self, start: str = "") -> Tree:
        """The tree from `start` down."""
        return Tree(listings=dict(self.visit(start)), problems=tuple(self.problems))

    def visit(self, start: str = "") -> Iterator[tuple[str, Listing]]:
        """Each directory from `start` down as it is listed, in no particular order."""
        states: list[_State] = [(self.layout.segments, {}, False)]
        for name in start.split("/") if start else []:
            states = self._advance(states, name)
        waiting = [(start, states)]
        while waiting:
            path, states = waiting.pop()
            names, folders = self._list(path, states)
            dimensions = next((found for _, found, last in states if last), None)
            for name in folders:
                following = self._advance(states, name)
                if dimensions is None and self.wanted is not None:
                    following = [state for state in following if self.wanted(state[1])]
                if following:
                    waiting.append((f"{path}/{name}" if path else name, following))
            yield path, Listing(dimensions=dimensions, names=frozenset(names))

    def _list(self, path: str, states: list[_State]) -> tuple[list[str], list[str]]:
        """The known names in a directory, and the sub-directories that the layout leads on to."""
        directory = f"{self.root}/{path}"
        try:
            status = os.lstat(directory)
            remembered = self.index.listing(path, stamp_of(status))
            if remembered is not None:
                return remembered
            names, folders = [], []
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name in self.known:
                        names.append(entry.name)
                    elif self._advance(states, entry.name) and entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
        except OSError as error:
            message = f"cannot be listed: {error.strerror}"
            self.problems.append(InvalidFile(path or ".", message))
            return [], []
        self.index.remember_listing(path, status, names, folders)
        return names, folders

    def _advance(self, states: list[_State], name: str) -> list[_State]:
        """Where a further directory name leads."""
        return [
            (following, {**found, **matched} if matched else found, last)
            for segments, found, _ in states
            for following, matched, last in self._step(segments, name)
        ]

    def _step(self, segments: tuple[Segment, ...], name: str) -> list[_State]:
        # The same few names come up at each level again and again.
        key = (id(segments), name)
        steps = self._matches.get(key)
        if steps is None:
            steps = self._matches[key] = [
                (segment.following, matched, segment.last)
                for segment in segments
                if (matched := segment.match(name)) is not None
            ]
        return steps
