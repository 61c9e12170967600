"""Which configurations are derived from which: the new paths, and the nearest source of each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.filters import ABSENT
from osqual.changes.follow import Rename
from osqual.errors import UsageError
from osqual.formats.spelling import did_you_mean
from osqual.formats.versions import version_key
from osqual.model import Configuration

_LEAST_WORD = 3


@dataclass(frozen=True, kw_only=True)
class Target:
    """A configuration to be made. `passed_over` are sources that were further from it."""

    source: Configuration
    path: str
    dimensions: Mapping[str, str]
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What is to be made, and what is there already."""

    new: tuple[Target, ...]
    existing: tuple[str, ...]


def find_targets(
    catalogue: Catalogue, sources: Sequence[Configuration], values: Mapping[str, str]
) -> Targets:
    """The paths that the sources get with the new dimension values, sorted.

    Where several sources would make the same configuration, the one with the nearest older value
    makes it. Raises UsageError and InvalidInput.
    """
    check_dimensions(catalogue, values)
    candidates: dict[str, list[Configuration]] = {}
    for source in sources:
        path = catalogue.layout.format(_changed(catalogue, source, values))
        if path != source.path:
            candidates.setdefault(path, []).append(source)
    known = {configuration.path for configuration in catalogue.configurations()}
    order = [name for name in catalogue.layout.dimensions if name in values]
    new = []
    for path in sorted(candidates.keys() - known):
        source = _nearest(candidates[path], values, order)
        new.append(
            Target(
                source=source,
                path=path,
                dimensions=_changed(catalogue, source, values),
                passed_over=tuple(item.path for item in candidates[path] if item is not source),
            )
        )
    return Targets(new=tuple(new), existing=tuple(sorted(candidates.keys() & known)))


def check_dimensions(catalogue: Catalogue, values: Mapping[str, str]) -> None:
    """Refuse names that are no dimensions of the catalogue. Raises UsageError."""
    layout = catalogue.layout
    for name, value in values.items():
        if name not in layout.dimensions:
            raise UsageError(
                f"{name!r} is not a dimension of the catalogue"
                f"{did_you_mean(name, layout.dimensions)}.",
                resolution=f"the dimensions are {', '.join(layout.dimensions)}",
            )
        if not value and name not in layout.optional:
            raise UsageError(f"Every configuration has a {name}, so it cannot be empty.")


def _changed(
    catalogue: Catalogue, source: Configuration, values: Mapping[str, str]
) -> Mapping[str, str]:
    """The dimensions with the new values; `none` or nothing takes an optional one away."""
    optional = catalogue.layout.optional
    return {
        name: value
        for name, value in {**source.dimensions, **values}.items()
        if name not in optional or value not in ("", ABSENT)
    }


def _nearest(
    candidates: Sequence[Configuration], values: Mapping[str, str], order: Sequence[str]
) -> Configuration:
    """The source whose old values are nearest below the new ones, else nearest above."""
    left = list(candidates)
    for name in order:
        wanted = version_key(values[name])
        keys = {version_key(item.dimensions.get(name, "")) for item in left}
        older = [key for key in keys if key <= wanted]
        best = max(older) if older else min(keys)
        left = [item for item in left if version_key(item.dimensions.get(name, "")) == best]
    return left[0]


def renames_of(catalogue: Catalogue, target: Target) -> tuple[Rename, ...]:
    """What changes for a target, with the words by which each value is recognised in a text."""
    old, new = target.source.dimensions, target.dimensions
    words = {name: _words(catalogue.layout.pattern, name, old) for name in old}
    renames = []
    for name, value in old.items():
        if new.get(name, "") == value:
            continue
        rename = Rename(dimension=name, old=value, new=new.get(name, ""), words=words[name])
        rivals = [words[other] for other in old if other != name and _alike(old[other], rename)]
        renames.append(
            Rename(
                dimension=name,
                old=value,
                new=rename.new,
                words=rename.words,
                rivals=frozenset().union(*rivals) - rename.words,
            )
        )
    return tuple(renames)


def _alike(value: str, rename: Rename) -> bool:
    return any(value == form for form, _ in rename.forms)


def _words(pattern: str, name: str, dimensions: Mapping[str, str]) -> frozenset[str]:
    """Names that tell of a dimension: its own, what stands beside it in the layout, and the
    dimension that it is the version of.
    """
    segments = re.sub(r"[\[\]]", "", pattern).split("/")
    segment = next(part for part in segments if f"{{{name}}}" in part)
    beside = re.sub(r"\{([a-z0-9_]+)\}", lambda m: f" {_beside(m[1], name, dimensions)} ", segment)
    owner = dimensions.get(name.removesuffix("_version"), "") if "_version" in name else ""
    found = [name, owner, *re.split(r"[^A-Za-z0-9]+", f"{beside} {owner}")]
    squeezed = {re.sub(r"[^a-z0-9]", "", word.lower()) for word in found}
    return frozenset(word for word in squeezed if len(word) >= _LEAST_WORD)


def _beside(name: str, other: str, dimensions: Mapping[str, str]) -> str:
    return "" if name == other else dimensions.get(name, "")
