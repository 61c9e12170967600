"""How long runs take, step by step and over time, which tests are slow, and what runs cost."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from osqual.site.numbered import DAY_S
from osqual.site.past_runs import PastRun
from osqual.site.test_data import TestHistory

SLOWEST = 50
DEAREST = 50


def durations_document(runs: Sequence[PastRun], tests: Iterable[TestHistory]) -> dict[str, Any]:
    """Medians by day and step, the slowest tests, and costs by month and configuration."""
    timed = [run for run in runs if run.step_seconds]
    names = list(dict.fromkeys(name for run in timed for name in run.step_seconds))
    by_day: dict[int, list[PastRun]] = {}
    for run in timed:
        by_day.setdefault(int(run.started_at // DAY_S), []).append(run)
    days = sorted(by_day)
    slowest = sorted((test for test in tests if test.seconds), key=lambda test: -test.middle_s)
    return {
        "runs": len(timed),
        "days": [day * DAY_S for day in days],
        "counts": [len(by_day[day]) for day in days],
        "steps": {
            name: [_middle(run.step_seconds.get(name) for run in by_day[day]) for day in days]
            for name in names
        },
        "whole": {name: _middle(run.step_seconds.get(name) for run in timed) for name in names},
        "slowest": [_slow(test) for test in slowest[:SLOWEST]],
        **_costs(runs),
    }


def _slow(test: TestHistory) -> list[Any]:
    longest = round(max(test.seconds), 1)
    return [test.suite, test.name, round(test.middle_s, 1), longest, len(test.seconds)]


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 1) if known else None


def _costs(runs: Iterable[PastRun]) -> Mapping[str, Any]:
    months: dict[int, float] = {}
    places: dict[int, tuple[float, int]] = {}
    for run in runs:
        if run.cost_usd is not None:
            month = int(run.started_at // DAY_S // 30)
            months[month] = months.get(month, 0.0) + run.cost_usd
            spent, count = places.get(run.configuration, (0.0, 0))
            places[run.configuration] = (spent + run.cost_usd, count + 1)
    dearest = sorted(places.items(), key=lambda item: (-item[1][0], item[0]))[:DEAREST]
    return {
        "months": [[month * 30 * DAY_S, round(usd, 2)] for month, usd in sorted(months.items())],
        "dearest": [[number, round(usd, 2), count] for number, (usd, count) in dearest],
    }
