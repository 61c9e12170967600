"""Which mutes can go: their tests passed in the shadow often enough. Pure.

`passes` clean passes in a row are asked of each test in each configuration that has run it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osqual.model import Outcome
from osqual.mutes.mute import Mute

Shadow = Mapping[str, Any]
"""One muted result, newest first: `mute`, `configuration`, `suite`, `test_id`, `shadow`."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the tests of a mute did in the shadow."""

    mute: Mute
    streaks: Mapping[tuple[str, str, str], int]
    """(configuration, suite, test) -> passes since it last did anything else."""

    def can_go(self, passes: int) -> bool:
        """Whether every test of it passed so often in a row, wherever it ran."""
        return bool(self.streaks) and min(self.streaks.values()) >= passes


def standings(mutes: Iterable[Mute], shadows: Sequence[Shadow]) -> list[Standing]:
    """How each mute stands; what did not run tells nothing."""
    found = []
    for mute in mutes:
        outcomes: dict[tuple[str, str, str], list[str]] = {}
        for row in shadows:
            if row["mute"] == mute.digest and row["shadow"] is not None:
                key = (row["configuration"], row["suite"], row["test_id"])
                outcomes.setdefault(key, []).append(row["shadow"])
        streaks = {key: _streak(results) for key, results in outcomes.items()}
        found.append(Standing(mute=mute, streaks=streaks))
    return found


def _streak(newest_first: Sequence[str]) -> int:
    for number, outcome in enumerate(newest_first):
        if outcome != Outcome.PASS.value:
            return number
    return len(newest_first)
