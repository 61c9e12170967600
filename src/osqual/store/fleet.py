"""What workers on several machines tell each other through a PostgreSQL store.

Times are the database's, so that clocks of machines need not agree.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, extract, func, insert, select, text, update

from osqual.store.database import MIGRATION_LOCK, Row, transaction
from osqual.store.schema import runs, schedules
from osqual.store.store import RUNNING

CARE_LOCK = 7_167_827
"""A number that only osqual takes for an advisory lock."""
_NOW = extract("epoch", func.clock_timestamp())


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Configurations that are submitted again and again. `since`: when that was last done."""

    name: str
    cron: str
    patterns: tuple[str, ...]
    options: Mapping[str, Any]
    since: float


class Fleet:
    """Reads and writes over the store's engine; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def now(self) -> float:
        """Seconds since the epoch by the database's clock."""
        with self._transaction() as connection:
            return float(connection.execute(select(_NOW)).scalar_one())

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else is in here; nobody comes in while the body runs."""
        with self._transaction() as connection:
            taken = connection.execute(text(f"SELECT pg_try_advisory_xact_lock({CARE_LOCK})"))
            yield bool(taken.scalar_one())

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """One after the other: who comes second finds what the first has made, or submitted."""
        with self._transaction() as connection:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            yield

    # Runs

    def beat(self, owner: str) -> None:
        """Write that the process lives, into every run of it."""
        mine = (runs.c.owner == owner) & (runs.c.status == RUNNING)
        with self._transaction() as connection:
            connection.execute(update(runs).where(mine).values(seen_at=_NOW))

    def silent_s(self, run_id: str) -> float:
        """Seconds since the run's process was last heard of, or since it began."""
        heard = func.coalesce(runs.c.seen_at, runs.c.started_at)
        with self._transaction() as connection:
            query = select(_NOW - heard).where(runs.c.id == run_id)
            return float(connection.execute(query).scalar_one())

    def runs_of(self, job: int) -> list[Row]:
        """The runs that were begun for a job, the newest first."""
        return self._runs(runs.c.job == job)

    def unfinished(self, configuration: str) -> list[Row]:
        """The runs that workers have begun for a configuration and nobody has ended."""
        of_jobs = runs.c.job.is_not(None) & (runs.c.status == RUNNING)
        return self._runs(of_jobs & (runs.c.configuration == configuration))

    def orphans(self) -> list[Row]:
        """Runs that have not ended although their jobs are over: nobody will take them over."""
        open_jobs = text("SELECT id FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
        of_jobs = runs.c.job.is_not(None) & (runs.c.status == RUNNING)
        with self._transaction() as connection:
            waited_for = set(connection.execute(open_jobs).scalars())
        return [run for run in self._runs(of_jobs) if run["job"] not in waited_for]

    def _runs(self, where: Any) -> list[Row]:
        query = select(runs).where(where).order_by(runs.c.started_at.desc())
        with self._transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # Schedules

    def schedules(self) -> list[Schedule]:
        """All schedules by name."""
        with self._transaction() as connection:
            rows = connection.execute(select(schedules).order_by(schedules.c.name)).mappings()
            return [Schedule(**{**row, "patterns": tuple(row["patterns"])}) for row in rows]

    def add_schedule(
        self, name: str, cron: str, patterns: Sequence[str], options: Mapping[str, Any]
    ) -> None:
        """Write a schedule; one of the same name is replaced."""
        with self._transaction() as connection:
            connection.execute(delete(schedules).where(schedules.c.name == name))
            connection.execute(
                insert(schedules).values(
                    name=name,
                    cron=cron,
                    patterns=list(patterns),
                    options=dict(options),
                    since=_NOW,
                )
            )

    def remove_schedule(self, name: str) -> bool:
        """Whether there was one of that name; it is gone then."""
        with self._transaction() as connection:
            done = connection.execute(delete(schedules).where(schedules.c.name == name))
            return bool(done.rowcount)

    def submitted(self, name: str, due: float) -> None:
        """Write that what was due at that time has been submitted."""
        with self._transaction() as connection:
            where = schedules.c.name == name
            connection.execute(update(schedules).where(where).values(since=due))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with transaction(self._engine) as connection:
            yield connection
