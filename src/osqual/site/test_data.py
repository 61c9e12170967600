"""Each test across all configurations and over time: where it fails, and how often it flakes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from osqual.report.run_report import RunReport
from osqual.site.numbered import DAY_S
from osqual.site.past_runs import PastRun

MAX_EVENTS = 1_000
WEEK_S = 7 * DAY_S
BAD = frozenset({"fail", "error"})


@dataclass(kw_only=True)
class TestHistory:
    """What became of one test; runs are told to it oldest first."""

    __test__ = False  # not a pytest class

    suite: str
    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    weeks: dict[int, Counter[str]] = field(default_factory=dict)
    places: dict[int, Counter[str]] = field(default_factory=dict)
    """Configuration -> outcomes there."""
    events: list[tuple[str, int, int, str]] = field(default_factory=list)
    """Outcome, configuration, time and run of what did not plainly pass."""
    last_bad: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def add(self, outcome: str, run: PastRun, seconds: float) -> None:
        """One result."""
        self.outcomes[outcome] += 1
        self.weeks.setdefault(int(run.started_at // WEEK_S), Counter())[outcome] += 1
        self.places.setdefault(run.configuration, Counter())[outcome] += 1
        if outcome not in ("pass", "skip"):
            self.events.append((outcome, run.configuration, round(run.started_at), run.run_id))
        if outcome in BAD:
            self.last_bad = run.started_at
        if seconds:
            self.seconds.append(seconds)

    @property
    def middle_s(self) -> float:
        """How long it takes, in the middle of all runs."""
        return sorted(self.seconds)[len(self.seconds) // 2] if self.seconds else 0.0


@dataclass(kw_only=True)
class TestHistories:
    """All tests by suite and name."""

    __test__ = False

    found: dict[tuple[str, str], TestHistory] = field(default_factory=dict)

    def add(self, run: PastRun, report: RunReport | None) -> None:
        """Every result of a run; of a record only those that it names."""
        if report is not None:
            for test in report.tests:
                self._of(test.suite, test.name).add(test.outcome, run, test.seconds)
        else:
            for suite, name, outcome, seconds in run.marked:
                self._of(suite, name).add(outcome, run, seconds)

    def _of(self, suite: str, name: str) -> TestHistory:
        key = (suite, name)
        if key not in self.found:
            self.found[key] = TestHistory(suite=suite, name=name)
        return self.found[key]

    def ordered(self) -> list[TestHistory]:
        """Those that fail most often first."""
        return sorted(
            self.found.values(),
            key=lambda test: (
                -bad_of(test.outcomes),
                -test.outcomes["flaky"],
                test.suite,
                test.name,
            ),
        )


def bad_of(outcomes: Counter[str]) -> int:
    """How often it counted against a verdict."""
    return outcomes["fail"] + outcomes["error"]


def list_document(tests: Iterable[TestHistory]) -> list[dict[str, Any]]:
    """The table of tests; a test's place in it is the number of its file."""
    return [
        {
            "suite": test.suite,
            "test": test.name,
            "outcomes": dict(test.outcomes),
            "places": sum(1 for counts in test.places.values() if bad_of(counts)),
            "lastBad": round(test.last_bad),
            "middle": round(test.middle_s, 1),
        }
        for test in tests
    ]


def test_document(test: TestHistory) -> dict[str, Any]:
    """One test: by week, by configuration, and each time that it did not plainly pass."""
    return {
        "suite": test.suite,
        "test": test.name,
        "weeks": [
            [week * WEEK_S, sum(counts.values()), bad_of(counts), counts["flaky"], counts["muted"]]
            for week, counts in sorted(test.weeks.items())
        ],
        "places": [
            [number, sum(counts.values()), bad_of(counts), counts["flaky"], counts["muted"]]
            for number, counts in sorted(test.places.items())
            if set(counts) - {"pass", "skip"}
        ],
        "events": test.events[-MAX_EVENTS:][::-1],
    }
