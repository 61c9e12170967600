"""A mute: which test does not count, where, why, and until when. Pure: the day is passed in."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from osqual.catalogue.filters import Filters

_PARAMETERS = re.compile(r"\[.*\]\Z", re.DOTALL)
_WILDCARDS: Mapping[str, str] = {"**": ".*", "*": "[^/:]*", "?": "[^/:]"}


@dataclass(frozen=True, kw_only=True)
class Mute:
    """One entry of a mutes file. `source` and `line` say where it stands."""

    test: str
    scope: Filters = field(default_factory=Filters)
    images: tuple[str, ...] = ()
    """Only for these images, by id; empty: for every image."""
    reason: str = ""
    ticket: str = ""
    owner: str = ""
    until: date | None = None
    """The last day on which it holds."""
    runs: bool = True
    """False (`run: never`): the test is not even run."""
    source: str = ""
    line: int = 0
    written_scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The scope as it was written, for showing it."""

    @property
    def directory(self) -> str:
        """The directory whose configurations it is about, relative to the root."""
        return self.source.rpartition("/")[0]

    def applies_to(self, path: str, dimensions: Mapping[str, str]) -> bool:
        """Whether a configuration is in its scope, the image left aside."""
        below = not self.directory or f"{path}/".startswith(f"{self.directory}/")
        return below and self.scope.matches(dimensions)

    def applies_to_image(self, ids: Collection[str]) -> bool:
        """Whether an image, known by these ids, is in its scope. An unknown one is in no scope."""
        return not self.images or not set(self.images).isdisjoint(ids)

    def in_force(self, today: date) -> bool:
        """Whether it has not expired."""
        return self.until is None or today <= self.until

    def mutes(self, test_id: str) -> bool:
        """Whether it is about this test."""
        return matches_test(self.test, test_id)


def matches_test(pattern: str, test_id: str) -> bool:
    """Whether a pattern names a test: never by a part of a name.

    The whole id matches (`tests/test_net.py::TestVip::test_up[tcp]`), or its end after a `/` or
    `::` (`test_net.py::TestVip::test_up`, `test_up`). Without a `[` in the pattern, all parameters
    of a test match. `*` and `?` stop at `/` and `:`, `**` does not.
    """
    if "[" not in pattern:
        test_id = _PARAMETERS.sub("", test_id)
    matcher = _matcher(pattern)
    return any(matcher.fullmatch(end) for end in _ends(test_id))


def _ends(test_id: str) -> list[str]:
    name = _PARAMETERS.sub("", test_id)  # separators in parameters are none
    return [test_id, *(test_id[found.end() :] for found in re.finditer("/|::", name))]


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    return re.compile("".join(_WILDCARDS.get(part, re.escape(part)) for part in parts), re.DOTALL)
