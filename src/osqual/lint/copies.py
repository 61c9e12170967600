"""Equal files that one file in a parent directory could replace, for every configuration alike.

The nearest file wins, so a file may move up to where nothing else would begin to see it. What
most configurations below a directory have becomes its file; the others keep their own.
"""

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from osqual.catalogue.tree import is_configuration, upwards
from osqual.lint.view import View

Identity = tuple[bytes, bool]
"""What makes two files the same: content, and whether it may be executed."""


@dataclass(frozen=True, kw_only=True)
class Hoist:
    """One move: `copies` go, `target` serves in their place. Paths relative to the root."""

    target: str
    copies: tuple[str, ...]
    is_new: bool
    """Whether the target is made, rather than there already."""
    configurations: tuple[str, ...]
    """Those that are served by the target afterwards instead of by a copy."""


def find_hoists(view: View) -> tuple[Hoist, ...]:
    """Every move that is possible, sorted by target."""
    planner = _Planner(view=view)
    found = [hoist for name in planner.names() for hoist in planner.plan(name)]
    return tuple(sorted(found, key=lambda hoist: hoist.target))


@dataclass(kw_only=True)
class _State:
    """What the configurations in and below one directory find there."""

    uncovered: int = 0
    """How many find nothing in it: they look further up."""
    weights: Counter[Identity] = field(default_factory=Counter)
    """What the others find, and how many."""
    top: list[str] = field(default_factory=list)
    """The copies that a file in the directory would be above of."""

    def add(self, below: "_State") -> None:
        """Take in a directory below."""
        self.uncovered += below.uncovered
        self.weights.update(below.weights)
        self.top += below.top

    def usual(self) -> Identity | None:
        """What more than half find, if all find something."""
        if self.uncovered or not self.weights:
            return None
        identity, count = max(self.weights.items(), key=lambda item: (item[1], item[0]))
        return identity if count * 2 > self.weights.total() else None


@dataclass(kw_only=True)
class _Planner:
    view: View
    _known: dict[str, set[str]] = field(default_factory=dict)
    """The known names of each directory, as they are after the moves planned so far."""

    def __post_init__(self) -> None:
        listings = self.view.catalogue.tree.listings
        self._known = {path: set(listing.names) for path, listing in listings.items()}
        self._leaves = dict.fromkeys(leaf.path for leaf in self.view.leaves)
        self._holders = {
            place for path in self._leaves for place in upwards(path.rpartition("/")[0])
        }
        self._named: dict[str, dict[str, None]] = {}
        for leaf in self.view.leaves:
            for reference in self.view.references(leaf):
                name = posixpath.normpath(reference.name)
                if not name.startswith(("/", "..")) and name != ".":
                    self._named.setdefault(name, {})[leaf.path] = None
        self._known_places: dict[tuple[str, ...], list[str]] = {}

    def names(self) -> Iterator[str]:
        """The names under which configurations look up files that may move."""
        files = self.view.catalogue.conventions.files
        yield from (files.template, files.base_images, files.profile, files.config, files.setup)
        yield from sorted(self._named.keys() - set(files.all))

    def plan(self, name: str) -> Iterator[Hoist]:
        """The moves of one name."""
        users = self._users(name)
        places = self._places(users)
        copies = self._copies(name, places)
        if len(copies) < 2:
            return
        after = dict(copies)
        states: dict[str, _State] = {}
        for directory in places:
            self._improve(directory, name, states, after, is_user=directory in users)
        moved: dict[str, list[str]] = {}
        for directory in sorted(copies.keys() - after.keys()):
            target = next(place for place in upwards(directory) if place in after)
            moved.setdefault(target, []).append(directory)
        served: dict[str | None, list[str]] = {}
        for user in users if moved else ():
            served.setdefault(_provider(user, copies), []).append(user)
        for target, directories in sorted(moved.items()):
            yield Hoist(
                target=_join(target, name),
                copies=tuple(_join(directory, name) for directory in directories),
                is_new=target not in copies,
                configurations=tuple(
                    sorted(user for copy in directories for user in served.get(copy, ()))
                ),
            )

    def _users(self, name: str) -> Mapping[str, None]:
        """The configurations that look a file up by this name, sorted."""
        if name in self.view.catalogue.conventions.files.all:
            return self._leaves
        return self._named.get(name, {})

    def _places(self, users: Mapping[str, None]) -> list[str]:
        """Every directory in which some of them look, the deepest first."""
        key = tuple(users)
        if key not in self._known_places:
            places = {place for user in users for place in upwards(user)}
            self._known_places[key] = sorted(
                places, key=lambda place: (-place.count("/") - bool(place), place)
            )
        return self._known_places[key]

    def _copies(self, name: str, places: list[str]) -> dict[str, Identity]:
        """Directory -> what lies there under the name, where some user would find it."""
        found: dict[str, Identity] = {}
        for directory in places:
            path = _join(directory, name)
            is_there = (
                path in self.view.contents.files
                or name in self.view.catalogue.tree.listings[directory].names
            )
            content = self.view.contents.content(path) if is_there else None
            if content is None:
                continue
            # What has to stay takes part as something that equals nothing else.
            stays = not self._may_move(name, path)
            digest = path.encode(errors="surrogateescape") if stays else content.digest
            mode = (self.view.catalogue.root / path).stat().st_mode
            found[directory] = (digest, bool(mode & 0o100))
        return found

    def _may_move(self, name: str, path: str) -> bool:
        """Whether a file means the same in another directory."""
        contents = self.view.contents
        if path not in contents.files or not contents.may_move(path):  # git ignores the former
            return False
        if name != self.view.catalogue.conventions.files.base_images:
            return True
        images = self.view.base_images(path)  # a file on this machine is named relative to it
        local = images.get("local", "debian:")
        return local.startswith(("debian:", "https://", "http://"))

    def _improve(
        self,
        directory: str,
        name: str,
        states: dict[str, "_State"],
        copies: dict[str, Identity],
        *,
        is_user: bool,
    ) -> None:
        """Let one directory hold what is mostly found below it, when all below was improved."""
        state = states.pop(directory, None) or _State()
        if directory in copies:
            same = [place for place in state.top if copies[place] == copies[directory]]
            self._remove(same, name, copies)
        else:
            state.uncovered += is_user
            usual = state.usual()
            same = [place for place in state.top if copies[place] == usual]
            if usual is not None and len(same) > 1:
                self._hoist(directory, name, usual, same, copies)
        if directory in copies:
            state.weights[copies[directory]] += state.uncovered + is_user
            state.uncovered, state.top = 0, [directory]
        if directory:
            above = states.setdefault(directory.rpartition("/")[0], _State())
            above.add(state)

    def _hoist(
        self,
        directory: str,
        name: str,
        identity: Identity,
        places: list[str],
        copies: dict[str, Identity],
    ) -> None:
        removable = [place for place in places if self._stays(place, name, adds=False)]
        if len(removable) > 1 and self._stays(directory, name, adds=True):
            copies[directory] = identity
            self._note(directory, name, adds=True)
            self._remove(removable, name, copies)

    def _remove(self, places: Iterable[str], name: str, copies: dict[str, Identity]) -> None:
        for place in places:
            if self._stays(place, name, adds=False):
                del copies[place]
                self._note(place, name, adds=False)

    def _note(self, directory: str, name: str, *, adds: bool) -> None:
        if adds:
            self._known[directory].add(name)
        else:
            self._known[directory].discard(name)

    def _stays(self, directory: str, name: str, *, adds: bool) -> bool:
        """Whether a directory is a configuration afterwards exactly if it is one now."""
        files = self.view.catalogue.conventions.files
        listing = self.view.catalogue.tree.listings[directory]
        if name not in files.all or listing.dimensions is None:
            return True
        names = self._known[directory] | {name} if adds else self._known[directory] - {name}
        now = is_configuration(frozenset(names), files, has_others_below=directory in self._holders)
        return now == (directory in self._leaves)


def _provider(user: str, copies: Mapping[str, Identity]) -> str | None:
    return next((place for place in upwards(user) if place in copies), None)


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
