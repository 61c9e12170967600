"""A mute: which test does not count, where, why, and until when. Pure: the day is passed in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from osqual.catalogue.filters import Filters
from osqual.mutes.pattern import matches_test
from osqual.recipe import digest_of

ANY = "any"
"""As a signature: whatever the failure is."""
DIGEST_LENGTH = 16


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
    signatures: tuple[str, ...] = ()
    """The failures that it is about; empty: the first that it meets in a configuration."""
    source: str = ""
    line: int = 0
    written_scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The scope as it was written, for showing it."""

    @cached_property
    def digest(self) -> str:
        """What tells it from others: all that is written in it, and not where it stands."""
        written = {
            "test": self.test,
            "scope": {name: list(values) for name, values in self.written_scope.items()},
            "reason": self.reason,
            "ticket": self.ticket,
            "owner": self.owner,
            "until": self.until.isoformat() if self.until else "",
            "runs": self.runs,
            "signatures": list(self.signatures),
        }
        return digest_of(written)[:DIGEST_LENGTH]

    def __str__(self) -> str:
        until = f"until {self.until}" if self.until else ""
        why = ", ".join(part for part in (self.ticket or self.reason, until) if part)
        place = f"{self.source}:{self.line}"
        return f"{self.test} ({place}{f', {why}' if why else ''})"

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

    def covers(self, signature: str, known: Collection[str]) -> bool:
        """Whether it is about this failure. `known` are those that it has muted before; without
        any, and without written ones, the failure is the first, and is what the mute is for.
        """
        accepted = self.signatures or known
        return not accepted or not signature or ANY in accepted or signature in accepted
