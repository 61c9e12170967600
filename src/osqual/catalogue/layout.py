"""The layout: how a configuration's path names its dimensions, and back.

A pattern such as `{os}/{os_version}/{product}-{release}[/{variant}]`: literal text, `{dimension}`,
and `[optional parts]`. A dimension ends at the first occurrence of the text that follows it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from osqual.errors import InvalidInput

# A value never holds a separator, a control character or an undecodable byte: directories named
# like that cannot be configurations, so that nothing later has to fear their names.
_VALUE = r"[^/\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+?"
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_MAX_ALTERNATIVES = 16


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One directory name of one alternative of the pattern."""

    pattern: re.Pattern[str]
    last: bool
    """Whether a path that ends here matches the whole layout."""
    following: "tuple[Segment, ...]"

    def match(self, name: str) -> Mapping[str, str] | None:
        """The dimensions that the name gives, None when it does not match."""
        if name.startswith("."):
            return None
        found = self.pattern.fullmatch(name)
        return found.groupdict() if found else None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A compiled pattern."""

    pattern: str

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise InvalidInput(
                f"The layout {self.pattern!r} cannot be used: {problem}.",
                resolution="write it like {os}/{os_version}/{platform}/{product}-{release}"
                "[/{variant}] in osqual.yaml",
            )

    def _problem(self) -> str:
        try:
            alternatives = self._alternatives
        except ValueError as error:
            return str(error)
        for alternative in alternatives:
            if not alternative or any(part in ("", ".", "..") for part in alternative.split("/")):
                return "it needs directory names between the slashes"
            if "}{" in alternative:
                return "two dimensions need some text between them"
            names = _PLACEHOLDER.findall(alternative)
            if len(set(names)) != len(names):
                return "a dimension stands in it twice"
            if any(char in _PLACEHOLDER.sub("", alternative) for char in "{}"):
                return "a brace is not part of a {dimension}; names are lower-case words"
        return "" if self.dimensions else "it has no {dimension}"

    @cached_property
    def _alternatives(self) -> tuple[str, ...]:
        """The pattern with each optional part in or out, fullest first."""
        expanded = tuple(dict.fromkeys(_expand(self.pattern)))
        return tuple(sorted(expanded, key=lambda text: -len(_PLACEHOLDER.findall(text))))

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """Every dimension, in the pattern's order."""
        return tuple(dict.fromkeys(_PLACEHOLDER.findall(self.pattern)))

    @cached_property
    def optional(self) -> frozenset[str]:
        """The dimensions that a configuration may lack."""
        common = set(self.dimensions)
        for alternative in self._alternatives:
            common &= set(_PLACEHOLDER.findall(alternative))
        return frozenset(self.dimensions) - common

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The first directory names: a tree that a walk follows, so that it looks nowhere else."""
        return _segments([alternative.split("/") for alternative in self._alternatives])

    @cached_property
    def depth(self) -> int:
        """The number of directory names in the longest path."""
        return max(alternative.count("/") + 1 for alternative in self._alternatives)

    def match(self, path: str) -> Mapping[str, str] | None:
        """The dimensions of a path relative to the root; None when it does not match all of it."""
        return self._follow(self.segments, path.split("/"))

    def _follow(self, segments: tuple[Segment, ...], names: list[str]) -> Mapping[str, str] | None:
        for segment in segments:
            found = segment.match(names[0])
            if found is None:
                continue
            if len(names) == 1:
                if segment.last:
                    return found
                continue
            rest = self._follow(segment.following, names[1:])
            if rest is not None:
                return {**found, **rest}
        return None

    def format(self, dimensions: Mapping[str, str]) -> str:
        """The path of these dimensions. Raises InvalidInput when no path can say them."""
        wanted = {name for name, value in dimensions.items() if value}
        for alternative in self._alternatives:
            if set(_PLACEHOLDER.findall(alternative)) == wanted:
                path = _PLACEHOLDER.sub(lambda match: dimensions[match[1]], alternative)
                if self.match(path) == {name: dimensions[name] for name in wanted}:
                    return path
        said = ", ".join(f"{name}={dimensions[name]!r}" for name in sorted(wanted))
        raise InvalidInput(
            f"No path of the layout {self.pattern} says {said}.",
            resolution="give every dimension that is not optional a plain name",
        )


def _expand(pattern: str) -> list[str]:
    """Every text that the pattern's optional parts allow. ValueError: brackets do not match."""
    start = pattern.find("[")
    if start < 0:
        if "]" in pattern:
            raise ValueError("a ] has no [ before it")
        return [pattern]
    end = _closing(pattern, start)
    inner, rest = _expand(pattern[start + 1 : end]), _expand(pattern[end + 1 :])
    if "]" in pattern[:start]:
        raise ValueError("a ] has no [ before it")
    expanded = [pattern[:start] + middle + tail for middle in [*inner, ""] for tail in rest]
    if len(expanded) > _MAX_ALTERNATIVES:
        raise ValueError("it has too many optional parts")
    return expanded


def _closing(pattern: str, start: int) -> int:
    depth = 0
    for index in range(start, len(pattern)):
        depth += {"[": 1, "]": -1}.get(pattern[index], 0)
        if depth == 0:
            return index
    raise ValueError("a [ is not closed")


def _segments(alternatives: list[list[str]]) -> tuple[Segment, ...]:
    heads = dict.fromkeys(alternative[0] for alternative in alternatives)
    return tuple(
        Segment(
            pattern=re.compile("".join(_segment_regex(head))),
            last=[head] in alternatives,
            following=_segments([a[1:] for a in alternatives if a[0] == head and len(a) > 1]),
        )
        for head in heads
    )


def _segment_regex(text: str) -> Iterator[str]:
    for index, part in enumerate(_PLACEHOLDER.split(text)):
        yield f"(?P<{part}>{_VALUE})" if index % 2 else re.escape(part)
