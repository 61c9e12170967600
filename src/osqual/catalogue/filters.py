"""Choosing configurations by their dimensions: names, globs, and comparisons of versions.

Conditions on one dimension: it is one of the names or globs, and it meets every comparison.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import ge, gt, le, lt
from typing import Any

from osqual.catalogue.globs import glob_matcher, is_glob
from osqual.errors import UsageError
from osqual.formats.versions import version_key

ABSENT = "none"
"""How an optional dimension that a configuration lacks is called."""

_OPERATORS = ("<=", ">=", "==", "!=", "=", "<", ">")
_CONDITION = re.compile(rf"(?P<operator>{'|'.join(_OPERATORS)})?\s*(?P<value>.*)", re.DOTALL)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing asked of one dimension, as `dimension operator value` reads."""

    dimension: str
    operator: str
    value: str
    aliases: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.dimension.replace('_', '-')} {self.operator} {self.value}"

    @property
    def excludes(self) -> bool:
        """Whether it must hold beside the others, rather than being one of several choices."""
        return self.operator not in ("=", "==")

    def holds(self, value: str) -> bool:
        """Whether a dimension's value (empty: absent) meets it."""
        name = self._canonical(value) or ABSENT
        if self.operator in _COMPARISONS:
            return bool(value) and _COMPARISONS[self.operator](version_key(name), self._key)
        equal = self._matches(name) or self._matches(value)
        return not equal if self.operator == "!=" else equal

    def _canonical(self, value: str) -> str:
        return self.aliases.get(value, value)

    @cached_property
    def _key(self) -> object:
        return version_key(self._canonical(self.value))

    @cached_property
    def _matches(self) -> Callable[[str], bool]:
        if is_glob(self.value):
            return glob_matcher(self.value)
        if self.operator == "==":  # 2.0 == 2.0.0
            return lambda value: version_key(value) == self._key
        wanted = {self.value, self._canonical(self.value)}
        return lambda value: value in wanted


def parse_condition(dimension: str, text: str, aliases: Mapping[str, str]) -> Condition:
    """`2.0.*`, `selinux_*`, `>=2.0`, `!=1.12-master`, … Raises UsageError."""
    match = _CONDITION.fullmatch(text.strip())
    if match is None or not match["value"]:
        raise UsageError(
            f"--{dimension.replace('_', '-')} {text!r} says nothing to look for.",
            resolution="give a value, a glob such as '2.0.*', or a comparison such as '>=2.0'",
        )
    operator, value = match["operator"] or "=", match["value"]
    if value[0] in "<>=!":
        raise UsageError(
            f"--{dimension.replace('_', '-')} {text!r} is no comparison.",
            resolution=f"compare with one of {', '.join(_OPERATORS)}, such as '>=2.0'",
        )
    if operator in _COMPARISONS and is_glob(value):
        raise UsageError(f"{value!r} is a glob and cannot be compared with {operator}.")
    return Condition(dimension=dimension, operator=operator, value=value, aliases=aliases)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions on any number of dimensions; without any, everything matches."""

    conditions: tuple[Condition, ...] = ()

    def matches(self, dimensions: Mapping[str, str]) -> bool:
        """Whether a configuration's dimensions meet every condition."""
        return not self._failing or not any(
            check(dimensions.get(dimension, "")) for dimension, check in self._failing
        )

    def may_match(self, dimensions: Mapping[str, str]) -> bool:
        """Whether a path that has named these dimensions so far can still match."""
        return not any(
            name in dimensions and fails(dimensions[name]) for name, fails in self._failing
        )

    def unmet(self, dimensions: Mapping[str, str]) -> tuple[str, ...]:
        """The dimensions whose conditions do not hold."""
        return tuple(name for name, fails in self._failing if fails(dimensions.get(name, "")))

    def only(self, dimensions: Iterable[str]) -> "Filters":
        """The conditions on some dimensions."""
        chosen = set(dimensions)
        return Filters(conditions=tuple(c for c in self.conditions if c.dimension in chosen))

    @cached_property
    def _failing(self) -> tuple[tuple[str, Callable[[str], bool]], ...]:
        names = dict.fromkeys(condition.dimension for condition in self.conditions)
        return tuple((name, self._check(name)) for name in names)

    def _check(self, dimension: str) -> Callable[[str], bool]:
        conditions = [c for c in self.conditions if c.dimension == dimension]
        required = [c for c in conditions if c.excludes]
        choices = [c for c in conditions if not c.excludes]
        known: dict[str, bool] = {}  # a catalogue repeats its values thousands of times

        def fails(value: str) -> bool:
            if value not in known:
                known[value] = not (
                    all(c.holds(value) for c in required)
                    and (not choices or any(c.holds(value) for c in choices))
                )
            return known[value]

        return fails


def parse_filters(
    wanted: Mapping[str, Iterable[str]], aliases: Mapping[str, Mapping[str, str]]
) -> Filters:
    """Filters from dimension -> texts, as the command line gives them. Raises UsageError."""
    return Filters(
        conditions=tuple(
            parse_condition(dimension, text, aliases.get(dimension, {}))
            for dimension, texts in wanted.items()
            for text in texts
        )
    )


def newest_first(
    all_dimensions: Sequence[Mapping[str, str]], names: Iterable[str]
) -> list[tuple[int, ...]]:
    """For each configuration, what sorts it: by each dimension in turn, as versions, backwards."""
    names = list(names)
    values = [[dimensions.get(name, "") for name in names] for dimensions in all_dimensions]
    columns = []
    for column in zip(*values, strict=True):
        # A catalogue has few values and many configurations: compare the values once.
        newest = sorted(set(column), key=_value_key, reverse=True)
        ranks = {value: rank for rank, value in enumerate(newest)}
        columns.append([ranks[value] for value in column])
    return list(zip(*columns, strict=True))


def _value_key(value: str) -> tuple[object, str]:
    return (version_key(value), value)
