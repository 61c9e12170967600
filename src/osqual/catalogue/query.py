"""Questions about published images: which one to use, and how the combinations stand."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from osqual.catalogue.facts import Facts, Standing
from osqual.catalogue.filters import Filters, newest_first
from osqual.formats.versions import version_key

STANDINGS: Mapping[Standing, int] = {standing: rank for rank, standing in enumerate(Standing)}


class Match(NamedTuple):
    """One image that answers `find`."""

    image: str
    region: str
    facts: Facts


def find_images(
    facts: Iterable[Facts],
    *,
    in_region: Callable[[str], bool] = lambda _: True,
    standings: frozenset[Standing] = frozenset(Standing),
) -> list[Match]:
    """Every published image that is wanted: best standing first, else in the order of the facts."""
    chosen = [item for item in facts if item.images and item.standing in standings]
    chosen.sort(key=lambda item: STANDINGS[item.standing])
    regions = set[str]().union(*(item.images for item in chosen))
    wanted = {region for region in regions if in_region(region)}
    return [
        Match(item.images[region], region, item)
        for item in chosen
        for region in sorted(wanted.intersection(item.images))
    ]


@dataclass(frozen=True, kw_only=True)
class NearMatch:
    """A configuration with an image that meets nearly every condition; `unmet` names the rest."""

    facts: Facts
    unmet: tuple[str, ...]


def nearest(
    facts: Iterable[Facts], filters: Filters, order: Sequence[str], limit: int = 5
) -> list[NearMatch]:
    """The configurations that miss the fewest conditions, and those by the least."""
    wanted = {condition.dimension: condition.value for condition in filters.conditions}
    near = [
        NearMatch(facts=item, unmet=filters.unmet(item.dimensions)) for item in facts if item.images
    ]
    fewest = min((len(match.unmet) for match in near), default=0)
    near = [match for match in near if len(match.unmet) == fewest]
    ranks = newest_first([match.facts.dimensions for match in near], order)

    def distance(ranked: tuple[NearMatch, tuple[int, ...]]) -> tuple[object, ...]:
        match, rank = ranked
        dimensions = match.facts.dimensions
        apart = [_apart(wanted[name], dimensions.get(name, "")) for name in match.unmet]
        # A miss in a later dimension (the docker version) is nearer than one in the first (the OS).
        depths = sorted(-order.index(name) for name in match.unmet if name in order)
        return (depths, apart, rank, match.facts.path)

    found = heapq.nsmallest(limit, zip(near, ranks, strict=True), key=distance)
    return [match for match, _ in found]


def _apart(wanted: str, value: str) -> tuple[int, ...]:
    """How far apart two versions are: the first place where they differ counts most."""
    left, right = version_key(wanted), version_key(value)
    same = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        same += 1
    numbers = [int(key[same][2] or 0) if _is_number(key, same) else 0 for key in (left, right)]
    return (-same, abs(numbers[0] - numbers[1]))


def _is_number(key: Sequence[tuple[int, int, str]], index: int) -> bool:
    return index < len(key) and key[index][2].isdigit() and len(key[index][2]) < 19


Label = tuple[str, ...]
Aliases = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Configurations by what their rows and columns have in common, both in version order."""

    row_dimensions: tuple[str, ...]
    column_dimensions: tuple[str, ...]
    rows: tuple[Label, ...]
    columns: tuple[Label, ...]
    cells: Mapping[tuple[Label, Label], tuple[Facts, ...]]


def matrix_of(
    facts: Iterable[Facts],
    filters: Filters,
    rows: Sequence[str],
    columns: Sequence[str],
    aliases: Aliases,
) -> Matrix:
    """The support matrix over some dimensions; values that mean the same share a label.

    A row stands in it when its own dimensions are wanted, also where no column has anything for
    it, and a column likewise: that is how `gaps_of` knows who lacks what.
    """
    row_filters, column_filters = filters.only(rows), filters.only(columns)
    cells: dict[tuple[Label, Label], list[Facts]] = {}
    row_labels, column_labels = set(), set()
    for item in facts:
        row, column = _label(item, rows, aliases), _label(item, columns, aliases)
        if row_filters.matches(item.dimensions):
            row_labels.add(row)
        if column_filters.matches(item.dimensions):
            column_labels.add(column)
        if filters.matches(item.dimensions):
            cells.setdefault((row, column), []).append(item)
    return Matrix(
        row_dimensions=tuple(rows),
        column_dimensions=tuple(columns),
        rows=_sorted_labels(row_labels),
        columns=_sorted_labels(column_labels),
        cells={key: tuple(sorted(items, key=lambda i: i.path)) for key, items in cells.items()},
    )


def _label(item: Facts, names: Sequence[str], aliases: Aliases) -> Label:
    values = ((name, item.dimensions.get(name, "")) for name in names)
    return tuple(aliases.get(name, {}).get(value, value) for name, value in values)


def _sorted_labels(labels: Iterable[Label]) -> tuple[Label, ...]:
    return tuple(
        sorted(set(labels), key=lambda label: [(version_key(part), part) for part in label])
    )


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A cell without a usable image: `facts` are its configurations, none when it has none."""

    row: Label
    column: Label
    facts: tuple[Facts, ...]

    @property
    def reason(self) -> str:
        """Why nothing can be used."""
        if not self.facts:
            return "no configuration"
        standings = {item.standing for item in self.facts}
        return ", ".join(standing.value for standing in Standing if standing in standings)


USABLE = frozenset({Standing.QUALIFIED, Standing.UNPROVEN})


def gaps_of(matrix: Matrix) -> list[Gap]:
    """Who lacks what: every cell in which no configuration has a usable image."""
    gaps = []
    for row in matrix.rows:
        for column in matrix.columns:
            facts = matrix.cells.get((row, column), ())
            if not any(item.standing in USABLE for item in facts):
                gaps.append(Gap(row=row, column=column, facts=facts))
    return gaps
