"""Equal files that one file in a parent directory could replace, for every configuration alike.

The nearest file wins, so a file may move up to where nothing else would begin to see it. What
most configurations below a directory have becomes its file; the others keep their own.
"""

import posixpath
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
class _Planner:
    view: View
    _known: dict[str, set[str]] = field(default_factory=dict)
    """The known names of each directory, as they are after the moves planned so far."""

    def __post_init__(self) -> None:
        listings = self.view.catalogue.tree.listings
        self._known = {path: set(listing.names) for path, listing in listings.items()}
        self._leaves = {leaf.path for leaf in self.view.leaves}
        self._holders = {
            place for path in self._leaves for place in upwards(path.rpartition("/")[0])
        }

    def names(self) -> Iterator[str]:
        """The names under which configurations look up files that may move."""
        files = self.view.catalogue.conventions.files
        yield from (files.template, files.base_images, files.profile, files.config, files.setup)
        named = {
            posixpath.normpath(reference.name)
            for leaf in self.view.leaves
            for reference in self.view.references(leaf)
            if not reference.name.startswith("/")
        }
        yield from sorted(name for name in named if not name.startswith("..") and name != ".")

    def plan(self, name: str) -> Iterator[Hoist]:
        """The moves of one name."""
        users = self._users(name)
        copies = self._copies(name, users)
        if len(copies) < 2:
            return
        after = dict(copies)
        for directory in _deepest_first(users):
            self._improve(directory, name, users, after)
        moved: dict[str, list[str]] = {}
        for directory in sorted(copies.keys() - after.keys()):
            target = next(place for place in upwards(directory) if place in after)
            moved.setdefault(target, []).append(directory)
        for target, directories in sorted(moved.items()):
            served = (_provider(user, copies) for user in users)
            yield Hoist(
                target=_join(target, name),
                copies=tuple(_join(directory, name) for directory in directories),
                is_new=target not in copies,
                configurations=tuple(
                    user
                    for user, provider in zip(users, served, strict=True)
                    if provider in directories
                ),
            )

    def _users(self, name: str) -> tuple[str, ...]:
        """The configurations that look a file up by this name."""
        if name in self.view.catalogue.conventions.files.all:
            return tuple(sorted(self._leaves))
        return tuple(
            leaf.path
            for leaf in self.view.leaves
            if any(posixpath.normpath(ref.name) == name for ref in self.view.references(leaf))
        )

    def _copies(self, name: str, users: Iterable[str]) -> dict[str, Identity]:
        """Directory -> what lies there under the name, where some user would find it."""
        found: dict[str, Identity] = {}
        for directory in dict.fromkeys(place for user in users for place in upwards(user)):
            path = _join(directory, name)
            if path not in self.view.contents.files:
                continue
            place = self.view.catalogue.root / path
            content = self.view.contents.content(path)
            if content is None:
                continue
            # What has to stay takes part as something that equals nothing else.
            unique = not self._may_move(name, path)
            digest = path.encode(errors="surrogateescape") if unique else content.digest
            found[directory] = (digest, bool(place.stat().st_mode & 0o100))
        return found

    def _may_move(self, name: str, path: str) -> bool:
        """Whether a file means the same in another directory."""
        if not self.view.contents.may_move(path):
            return False
        if name != self.view.catalogue.conventions.files.base_images:
            return True
        images = self.view.base_images(path)  # a file on this machine is named relative to it
        local = images.get("local", "debian:")
        return local.startswith(("debian:", "https://", "http://"))

    def _improve(
        self, directory: str, name: str, users: tuple[str, ...], copies: dict[str, Identity]
    ) -> None:
        """Let one directory hold what is mostly found below it."""
        below = [user for user in users if _is_in(user, directory)]
        weights: dict[Identity, int] = {}
        top: dict[str, Identity] = {}
        for user in below:
            chain = [place for place in upwards(user) if place in copies]
            chain = [place for place in chain if _is_in(place, directory)]
            if not chain:
                return  # it would begin to see the file
            weights[copies[chain[0]]] = weights.get(copies[chain[0]], 0) + 1
            inner = [place for place in chain if place != directory]
            if inner:
                top[inner[-1]] = copies[inner[-1]]
        if directory in copies:
            same = [place for place, identity in top.items() if identity == copies[directory]]
            self._remove(same, name, copies)
            return
        usual = max(weights, key=lambda identity: (weights[identity], identity), default=None)
        same = [place for place, identity in top.items() if identity == usual]
        if usual is None or weights[usual] * 2 <= len(below) or len(same) < 2:
            return
        removable = [place for place in same if self._stays(place, name, adds=False)]
        if len(removable) > 1 and self._stays(directory, name, adds=True):
            copies[directory] = usual
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


def _deepest_first(users: Iterable[str]) -> list[str]:
    places = {place for user in users for place in upwards(user)}
    return sorted(places, key=lambda place: (-place.count("/") - bool(place), place))


def _provider(user: str, copies: Mapping[str, Identity]) -> str | None:
    return next((place for place in upwards(user) if place in copies), None)


def _is_in(path: str, directory: str) -> bool:
    return not directory or path == directory or path.startswith(f"{directory}/")


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
