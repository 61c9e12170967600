"""Why a run did not qualify: each failing test against what the store knows of other runs.

First seen, seen where else, and what changed since the test was last good in this configuration.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osqual.model import Outcome
from osqual.plan.reasons import changes_between
from osqual.store.database import Row
from osqual.store.store import Store
from osqual.testing.consoles import consoles_file, read_consoles

BAD = (Outcome.FAIL.value, Outcome.ERROR.value)


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A failure of the same signature."""

    run_id: str
    configuration: str
    suite: str
    test_id: str
    seen_at: float


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One failing test of a run."""

    result: Row
    first_seen: Sighting | None
    elsewhere: tuple[Sighting, ...]
    """The newest sighting in each other configuration, and under each other test."""
    last_good: Row | None
    """The run in which the test last passed here."""
    changes: tuple[str, ...] | None
    """What changed since that run, in words; None when that is not known."""
    consoles: Mapping[str, Sequence[str]]
    """Node to the last lines of its console when the test failed."""

    @property
    def is_new(self) -> bool:
        """Whether this run is the first in which the failure was seen."""
        return self.first_seen is None or self.first_seen.run_id == self.result["run_id"]


def explain(run: Row, store: Store) -> list[Explained]:
    """Every failing test of a run: those that count, flaky ones, and those that are muted."""
    return [
        _explained(run, result, store) for result in store.results(run["id"]) if _failed(result)
    ]


def _failed(result: Row) -> bool:
    bad = (*BAD, Outcome.FLAKY.value)
    return result["outcome"] in bad or result["shadow"] in bad


def _explained(run: Row, result: Row, store: Store) -> Explained:
    sightings = [_sighting(row) for row in store.history.failures_like(result["signature"])]
    good = store.history.last_pass(
        run["configuration"], result["suite"], result["test_id"], before=run["started_at"]
    )
    consoles = read_consoles(consoles_file(Path(run["directory"]), result["suite"]))
    return Explained(
        result=result,
        first_seen=sightings[0] if sightings else None,
        elsewhere=tuple(_elsewhere(run, result, sightings)),
        last_good=good,
        changes=None if good is None else _changes(good, run, store),
        consoles=consoles.get(result["test_id"], {}),
    )


def _sighting(row: Row) -> Sighting:
    return Sighting(
        run_id=row["run_id"],
        configuration=row["configuration"],
        suite=row["suite"],
        test_id=row["test_id"],
        seen_at=row["started_at"],
    )


def _elsewhere(run: Row, result: Row, oldest_first: Sequence[Sighting]) -> Iterator[Sighting]:
    own = (run["configuration"], result["suite"], result["test_id"])
    newest = {(s.configuration, s.suite, s.test_id): s for s in oldest_first}
    yield from (sighting for key, sighting in newest.items() if key != own)


def _changes(good: Row, bad: Row, store: Store) -> tuple[str, ...] | None:
    """The inputs that differ, the image, and the version of osqual."""
    before, after = _inputs(good, store), _inputs(bad, store)
    if before is None or after is None:
        return None
    words = changes_between(before, after)
    if good["image_ids"] != bad["image_ids"]:
        words.append("another image was used")
    if good["version"] != bad["version"]:
        words.append(f"osqual {good['version']} became {bad['version']}")
    return tuple(words)


def _inputs(run: Row, store: Store) -> Mapping[str, str] | None:
    for step in store.steps(run["id"]):
        if step["name"] == "validate" and step["found"]:
            found: Mapping[str, Any] = step["found"]
            return found.get("inputs")
    return None
