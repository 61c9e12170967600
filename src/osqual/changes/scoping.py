"""Saying exactly for which configurations something holds: directories, each with a scope.

As high in the tree as directory and scope together mean just those configurations.
"""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from osqual.catalogue.filters import ABSENT, parse_filters
from osqual.changes.draft import inside
from osqual.errors import UsageError
from osqual.model import Configuration

MOST_VALUES = 4
"""A scope that has to list more values of a dimension says less than several entries do."""

Aliases = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Scoped:
    """A directory, and what of the configurations below it is meant (all, without a scope)."""

    directory: str
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def scopes_for(
    meant: Iterable[Configuration],
    everyone: Sequence[Configuration],
    dimensions: Sequence[str],
    aliases: Aliases,
) -> list[Scoped]:
    """Directories and scopes that together mean exactly these configurations."""
    wanted = sorted(meant, key=lambda item: item.path)
    if not wanted:
        return []
    directory = _common([item.path for item in wanted])
    below = [item for item in everyone if inside(item.path, directory)]
    scope = _exact_scope(wanted, below, dimensions, aliases)
    if scope is not None:
        return [Scoped(directory=directory, scope=scope)]
    parts: dict[str, list[Configuration]] = {}
    for item in wanted:
        rest = item.path[len(directory) :].strip("/")
        parts.setdefault(rest.partition("/")[0], []).append(item)
    if len(parts) == 1:  # one configuration inside of which another lies: nothing tells them apart
        raise UsageError(f"No scope means {wanted[0].path} without what lies in it.")
    return [
        scoped
        for part in parts.values()
        for scoped in scopes_for(part, everyone, dimensions, aliases)
    ]


def _common(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else posixpath.commonpath(paths)


def _exact_scope(
    wanted: Sequence[Configuration],
    below: Sequence[Configuration],
    dimensions: Sequence[str],
    aliases: Aliases,
) -> Mapping[str, tuple[str, ...]] | None:
    """The fewest dimensions whose values tell the wanted ones from the others below."""
    paths = {item.path for item in wanted}
    scope = {
        name: tuple(sorted({item.dimensions.get(name, ABSENT) for item in wanted}))
        for name in dimensions
    }
    if not _means(scope, below, paths, aliases):
        return None
    for name in dimensions:
        fewer = {other: values for other, values in scope.items() if other != name}
        if _means(fewer, below, paths, aliases):
            scope = fewer
    if any(len(values) > MOST_VALUES for values in scope.values()):
        return None if len(wanted) > 1 else scope
    return scope


def _means(
    scope: Mapping[str, tuple[str, ...]],
    below: Sequence[Configuration],
    paths: set[str],
    aliases: Aliases,
) -> bool:
    filters = parse_filters(scope, aliases)
    return {item.path for item in below if filters.matches(item.dimensions)} == paths
