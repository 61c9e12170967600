"""Adding, changing and removing entries of mutes files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from osqual.catalogue.catalogue import Catalogue
from osqual.changes import yaml_text
from osqual.changes.draft import Draft, inside, join
from osqual.errors import InvalidFile, NotFound, UsageError
from osqual.formats.documents import load_yaml
from osqual.model import Configuration
from osqual.mutes.entries import parse_mutes
from osqual.mutes.mute import Mute
from osqual.mutes.pattern import matches_test

Scope = Mapping[str, Sequence[str]]

_CONDITION = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9_-]*)\s*(?P<operator>=|!=|>=|<=|>|<)(?P<value>.*)"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What `osqual mute` is asked to write. What is empty is not written."""

    test: str
    scope: Scope = field(default_factory=dict)
    reason: str = ""
    ticket: str = ""
    owner: str = ""
    until: date | None = None
    run: str = ""
    signature: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """The entry as it stands in the file."""
        scope = {
            name: values[0] if len(values) == 1 else list(values)
            for name, values in self.scope.items()
        }
        whole = {
            "test": self.test,
            "scope": scope,
            "reason": self.reason,
            "ticket": self.ticket,
            "owner": self.owner,
            "until": self.until,
            "run": self.run,
            "signature": list(self.signature),
        }
        return {name: value for name, value in whole.items() if value}


def parse_scope(texts: Iterable[str]) -> dict[str, list[str]]:
    """`os=rhel`, `release=>=2.0` or `release>=2.0`; repeated ones become a list. UsageError."""
    scope: dict[str, list[str]] = {}
    for text in texts:
        match = _CONDITION.fullmatch(text.strip())
        value = match["value"].strip() if match else ""
        if match is None or not value:
            raise UsageError(
                f"--scope {text!r} must be DIMENSION=VALUE.",
                resolution="a value is a name, a glob such as 'selinux_*', or a comparison such "
                "as '>=2.0'",
            )
        operator = "" if match["operator"] == "=" else match["operator"]
        name = match["name"].replace("-", "_")
        scope.setdefault(name, []).append(f"{operator}{value}")
    return scope


def mutes_files(catalogue: Catalogue, directory: str = "") -> list[str]:
    """Every mutes file at or below a directory."""
    name = catalogue.conventions.files.mutes
    return sorted(
        join(place, name)
        for place, listing in catalogue.tree.listings.items()
        if name in listing.names and inside(place, directory)
    )


def read_mutes(catalogue: Catalogue, draft: Draft, place: str) -> tuple[Mute, ...]:
    """The entries of a mutes file as it will be. Raises InvalidFile."""
    text = draft.read_text(place)
    if text is None:
        return ()
    layout, aliases = catalogue.layout, catalogue.conventions.aliases
    return parse_mutes(text, place, layout.dimensions, aliases)


def directory_for(catalogue: Catalogue, wanted: str) -> str:
    """The directory that `--at` means, relative to the root. Raises UsageError."""
    for base in (Path.cwd(), catalogue.root):
        try:
            place = (base / wanted).resolve().relative_to(catalogue.root).as_posix()
        except (ValueError, OSError, RuntimeError):
            continue
        directory = "" if place == "." else place
        if directory in catalogue.tree.listings:
            return directory
    raise UsageError(
        f"{wanted!r} is no directory of the catalogue that configurations lie in.",
        resolution="name the root, a configuration, or a directory between them",
    )


@dataclass(frozen=True, kw_only=True)
class Muted:
    """A planned entry. `updated` tells that one for the same test and scope was there."""

    place: str
    configurations: tuple[Configuration, ...]
    updated: bool


def plan_mute(
    catalogue: Catalogue, draft: Draft, directory: str, entry: Entry, today: date
) -> Muted:
    """Plan one entry, or new values for the entry that is there for the same test and scope.

    Raises UsageError for an entry that mutes nothing, InvalidFile for a file that is broken.
    """
    _check_entry(entry, today)
    place = join(directory, catalogue.conventions.files.mutes)
    known = read_mutes(catalogue, draft, place)
    text = draft.read_text(place) or ""
    index = next((i for i, mute in enumerate(known) if _is_same(mute, entry)), None)
    if index is None:
        text = yaml_text.append_item(text, entry.document(), place)
    else:
        for key, value in entry.document().items():
            if key not in ("test", "scope"):
                text = yaml_text.set_value(text, [index, key], value, place)
    draft.write(place, text)
    try:
        planned = read_mutes(catalogue, draft, place)
    except InvalidFile as error:
        raise UsageError(f"This is no mute: {error.key}: {error.problem}") from error
    mute = planned[-1 if index is None else index]
    applies = tuple(
        item for item in catalogue.configurations() if mute.applies_to(item.path, item.dimensions)
    )
    if not applies:
        raise UsageError(
            "No configuration is in this scope, so nothing would be muted.",
            resolution="`osqual find` with the same filters shows which there are",
        )
    return Muted(place=place, configurations=applies, updated=index is not None)


def _check_entry(entry: Entry, today: date) -> None:
    texts = [entry.test, entry.reason, entry.ticket, entry.owner]
    texts += [value for values in entry.scope.values() for value in values]
    if not entry.test.strip() or any(not text.isprintable() for text in texts):
        raise UsageError("A mute needs a test, and text without line breaks.")
    if entry.until is not None and entry.until < today:
        raise UsageError(f"{entry.until} has passed, so nothing would be muted.")


def _is_same(mute: Mute, entry: Entry) -> bool:
    scope = {name: tuple(values) for name, values in entry.scope.items()}
    return mute.test == entry.test.strip() and dict(mute.written_scope) == scope


@dataclass(frozen=True, kw_only=True)
class Unmuted:
    """Planned removals. `also` are other entries that still mute the test."""

    removed: tuple[Mute, ...]
    also: tuple[Mute, ...]


def plan_unmute(
    catalogue: Catalogue, draft: Draft, test: str, scope: Scope | None, directory: str = ""
) -> Unmuted:
    """Plan that the entries of exactly this test go, in every mutes file or below a directory;
    with a scope only those of just that scope. Raises NotFound.
    """
    removed: list[Mute] = []
    also: list[Mute] = []
    for place in mutes_files(catalogue, directory):
        known = read_mutes(catalogue, draft, place)
        wanted = [
            index
            for index, mute in enumerate(known)
            if mute.test == test and (scope is None or _has_scope(mute, scope))
        ]
        removed += [known[index] for index in wanted]
        also += [
            mute
            for index, mute in enumerate(known)
            if index not in wanted and (mute.test == test or matches_test(mute.test, test))
        ]
        _remove(draft, place, wanted)
    if not removed:
        raise NotFound(
            f"No entry mutes {test!r}" + (" in that scope." if scope else "."),
            details="\n".join(f"{mute.source}:{mute.line} mutes {mute.test}" for mute in also),
            resolution="`osqual mutes --test NAME` shows everything that mutes a test; what "
            "`-k` leaves out becomes entries with `osqual import-mutes`",
        )
    return Unmuted(removed=tuple(removed), also=tuple(also))


def plan_removal(catalogue: Catalogue, draft: Draft, mutes: Sequence[Mute]) -> None:
    """Plan that just these entries go."""
    for place in dict.fromkeys(mute.source for mute in mutes):
        lines = {mute.line for mute in mutes if mute.source == place}
        known = read_mutes(catalogue, draft, place)
        _remove(draft, place, [i for i, mute in enumerate(known) if mute.line in lines])


def _has_scope(mute: Mute, scope: Scope) -> bool:
    return dict(mute.written_scope) == {name: tuple(values) for name, values in scope.items()}


def _remove(draft: Draft, place: str, indices: Sequence[int]) -> None:
    text = draft.read_text(place)
    if not indices or text is None:
        return
    if len(indices) == len(load_yaml(text, place) or ()):
        comments = [line for line in text.splitlines(keepends=True) if line.lstrip()[:1] == "#"]
        if comments:
            draft.write(place, "".join(comments))
        else:
            draft.remove(place)
        return
    for index in reversed(indices):
        text = yaml_text.unset_value(text, [index], place)
    draft.write(place, text)
