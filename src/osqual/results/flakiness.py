"""How often a test fails at its first attempt, with how sure that is. Pure."""

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
HISTORY = 200
"""How many of the last runs of a configuration tell."""


@dataclass(frozen=True, kw_only=True)
class Flakiness:
    """A test's first attempts, the one at hand included."""

    failed: int
    runs: int

    @property
    def rate(self) -> float:
        """The share of first attempts that failed."""
        return self.failed / self.runs if self.runs else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true rate lies with a confidence of 95 % (Wilson's score interval)."""
        if not self.runs:
            return 0.0, 1.0
        z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        share, n = self.rate, self.runs
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.failed} of {self.runs} first attempts failed, {self.rate:.0%}, "
            f"with 95 % confidence between {low:.0%} and {high:.0%}"
        )
