"""Nearest-wins over a draft: what a configuration is going to find by a name."""

from collections.abc import Mapping
from dataclasses import dataclass

from osqual.catalogue.tree import upwards
from osqual.catalogue.usage import lookups
from osqual.changes.draft import Draft, join
from osqual.errors import InvalidFile


@dataclass(frozen=True, kw_only=True)
class Content:
    """A file's bytes and permission."""

    data: bytes
    executable: bool


Contents = Mapping[str, Content]
"""A file under the empty name, or a directory's files by their places in it."""


def find(draft: Draft, leaf: str, name: str) -> str | None:
    """Where a name is found from a directory: there, or in the nearest one above that has it."""
    return next((place for place in lookups(leaf, name, draft.exists) if draft.exists(place)), None)


def contents_at(draft: Draft, path: str) -> Contents:
    """What will be at a path. Raises InvalidFile for links that lead out and things unreadable."""
    found = {}
    for inner, place in draft.files_below(path).items():
        data = draft.read(place)
        if data is not None:
            found[inner] = Content(data=data, executable=draft.is_executable(place))
    return found


def contents_found(draft: Draft, leaf: str, name: str) -> Contents | None:
    """What a name gives from a directory; None when it is not found."""
    place = find(draft, leaf, name)
    return None if place is None else contents_at(draft, place)


def directory_of(leaf: str, name: str, place: str) -> str:
    """The directory, `leaf` or one above it, in which a name was found at a place."""
    return next(directory for directory in upwards(leaf) if _joined(directory, name) == place)


def _joined(directory: str, name: str) -> str | None:
    try:
        return join(directory, name)
    except InvalidFile:  # `../x` from the root
        return None


def parent_of(path: str) -> str:
    """The directory above; of the first ones, the root (the empty path)."""
    return path.rpartition("/")[0]
