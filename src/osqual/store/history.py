"""What earlier runs tell of the next: how long steps take, how tests have done."""

from collections.abc import Sequence

from sqlalchemy import Engine, select

from osqual.store.database import Row, read_rows
from osqual.store.schema import results, runs, steps

HISTORY = 9
"""How many of the last runs tell how long a step takes."""


class History:
    """Questions across runs, over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def step_seconds(self, configuration: str | None = None) -> dict[str, list[float]]:
        """How long each step took that ended well in the last runs, of one or of whichever."""
        last = select(runs.c.id).where(runs.c.verdict.is_not(None))
        if configuration is not None:
            last = last.where(runs.c.configuration == configuration)
        last = last.order_by(runs.c.started_at.desc()).limit(HISTORY)
        took = (steps.c.ended_at - steps.c.started_at).label("took")
        ended = steps.c.run_id.in_(last.scalar_subquery()) & (steps.c.status == "done")
        found: dict[str, list[float]] = {}
        for row in read_rows(self._engine, select(steps.c.name, took).where(ended)):
            found.setdefault(row["name"], []).append(max(0.0, float(row["took"])))
        return found

    def muted_signatures(
        self, configuration: str, mutes: Sequence[str], *, before: str
    ) -> dict[tuple[str, str, str], set[str]]:
        """(mute, suite, test) -> signatures that were muted in other runs of a configuration."""
        columns = (results.c.mute, results.c.suite, results.c.test_id, results.c.signature)
        earlier = (runs.c.configuration == configuration) & (runs.c.id != before)
        muted = results.c.mute.in_(list(mutes)) & (results.c.signature != "")
        query = select(*columns).join(runs, runs.c.id == results.c.run_id).where(earlier & muted)
        found: dict[tuple[str, str, str], set[str]] = {}
        for row in read_rows(self._engine, query.distinct()) if mutes else ():
            key = (row["mute"], row["suite"], row["test_id"])
            found.setdefault(key, set()).add(row["signature"])
        return found

    def first_attempts(
        self, configuration: str, suite: str, test_id: str, *, before: str, limit: int
    ) -> list[bool]:
        """Whether the first attempt at a test failed, in the last other runs that counted it."""
        same = (results.c.suite == suite) & (results.c.test_id == test_id)
        counted = results.c.outcome.in_(["pass", "fail", "error", "flaky"])
        query = (
            select(results.c.outcome)
            .join(runs, runs.c.id == results.c.run_id)
            .where(same & counted)
            .where((runs.c.configuration == configuration) & (runs.c.id != before))
            .order_by(runs.c.started_at.desc())
        )
        return [row["outcome"] != "pass" for row in read_rows(self._engine, query.limit(limit))]

    def qualified_before(self, digest: str, *, before: str) -> str | None:
        """The id of the newest other run with a verdict of its own on the same."""
        judged = runs.c.verdict.in_(["qualified", "rejected"]) & runs.c.reused.is_(None)
        query = select(runs.c.id).where((runs.c.qualification == digest) & (runs.c.id != before))
        found = read_rows(
            self._engine, query.where(judged).order_by(runs.c.started_at.desc()).limit(1)
        )
        return str(found[0]["id"]) if found else None

    def failures_like(self, signature: str) -> list[Row]:
        """Every failure of a signature, oldest first, with the run that saw it."""
        columns = (results.c.run_id, results.c.suite, results.c.test_id, results.c.outcome)
        query = select(*columns, runs.c.configuration, runs.c.started_at)
        query = query.join(runs, runs.c.id == results.c.run_id)
        query = query.where(results.c.signature == signature).order_by(runs.c.started_at)
        return read_rows(self._engine, query) if signature else []

    def last_pass(
        self, configuration: str, suite: str, test_id: str, *, before: float
    ) -> Row | None:
        """The last run of a configuration before a time in which a test passed at once."""
        passed = (results.c.outcome == "pass") | (results.c.shadow == "pass")
        same = (results.c.suite == suite) & (results.c.test_id == test_id)
        query = select(runs).join(results, runs.c.id == results.c.run_id).where(same & passed)
        query = query.where((runs.c.configuration == configuration) & (runs.c.started_at < before))
        found = read_rows(self._engine, query.order_by(runs.c.started_at.desc()).limit(1))
        return found[0] if found else None

    def shadows(self, mutes: Sequence[str]) -> list[Row]:
        """What muted tests gave all the same, newest first, with the configuration of each run."""
        columns = (results.c.mute, results.c.suite, results.c.test_id, results.c.shadow)
        query = select(runs.c.configuration, *columns).join(runs, runs.c.id == results.c.run_id)
        query = query.where(results.c.mute.in_(list(mutes)))
        return read_rows(self._engine, query.order_by(runs.c.started_at.desc())) if mutes else []
