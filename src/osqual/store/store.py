"""The store: every run, step, resource and result, durable when a call returns."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, delete, insert, select, update

from osqual.errors import NotFound, StoreFailed
from osqual.failpoints import boundary
from osqual.model import Judgement, SuiteResult
from osqual.settings import Settings
from osqual.store.database import Row, open_engine, read_rows, sqlite_url, transaction
from osqual.store.history import History
from osqual.store.limits import Claim, take
from osqual.store.schema import OPEN_STATES, resources, results, runs, steps, suites

RUNNING = "running"
ENDED = "ended"
LATEST = "latest"


def open_store(settings: Settings) -> "Store":
    """The store that the settings name; made when it does not exist yet."""
    if settings.store is not None:
        return Store(open_engine(settings.store))
    try:
        settings.directories.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFailed(
            f"The state directory {settings.directories.state} cannot be made.",
            details=str(error),
            resolution="set OSQUAL_STATE_DIR to a directory that you may write to",
        ) from error
    return Store(open_engine(sqlite_url(settings.directories.state / "store.db")))


class Store:
    """Reads and writes of the journal over one engine; safe to share between threads."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self.history = History(engine)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    # Runs and steps

    def begin_run(
        self,
        run_id: str,
        *,
        configuration: str,
        catalogue: Path,
        directory: Path,
        options: Mapping[str, Any],
        owner: str,
        version: str,
        step_names: Sequence[str],
        claims: Sequence[Claim] = (),
        job: int | None = None,
    ) -> None:
        """Write a run and all its steps, before anything is done for it.

        `job` is what a worker took from the queue. Raises LimitReached, and nothing is written,
        when a limit has no room for its claims.
        """
        with self._write("begin run") as connection:
            connection.execute(
                insert(runs).values(
                    id=run_id,
                    configuration=configuration,
                    catalogue=str(catalogue),
                    directory=str(directory),
                    status=RUNNING,
                    reasons=[],
                    options=dict(options),
                    image_ids={},
                    owner=owner,
                    version=version,
                    started_at=self._clock(),
                    job=job,
                )
            )
            connection.execute(
                insert(steps),
                [
                    {
                        "run_id": run_id,
                        "name": name,
                        "position": position,
                        "status": "pending",
                        "message": "",
                    }
                    for position, name in enumerate(step_names)
                ],
            )
            take(connection, run_id, claims, self._clock())

    def claim_run(self, run_id: str, *, before: str, owner: str) -> bool:
        """Take a run over from the process `before`; False when somebody else was faster."""
        with self._write("claim run") as connection:
            taken = connection.execute(
                update(runs)
                .where((runs.c.id == run_id) & (runs.c.owner == before) & (runs.c.status != ENDED))
                .values(owner=owner)
            )
            return bool(taken.rowcount)

    def ask_to_cancel(self, run_id: str) -> int:
        """Write that somebody wants the run to stop; how often that was asked for by now."""
        with self._write("ask to cancel") as connection:
            where = runs.c.id == run_id
            connection.execute(update(runs).where(where).values(cancels=runs.c.cancels + 1))
            return int(connection.execute(select(runs.c.cancels).where(where)).scalar_one())

    def cancels(self, run_id: str) -> int:
        """How often somebody asked the run to stop."""
        found = self._rows(select(runs.c.cancels).where(runs.c.id == run_id))
        return int(found[0]["cancels"]) if found else 0

    def note_image(self, run_id: str, recipe_digest: str, image_ids: Mapping[str, str]) -> None:
        """Write which image the run is about."""
        self._update(
            "note image",
            runs,
            runs.c.id == run_id,
            recipe_digest=recipe_digest,
            image_ids=dict(image_ids),
        )

    def note_qualification(self, run_id: str, digest: str) -> None:
        """Write what the run qualifies."""
        self._update("note qualification", runs, runs.c.id == run_id, qualification=digest)

    def note_reused(self, run_id: str, original: str) -> None:
        """Write whose verdict the run has taken over."""
        self._update("note reused", runs, runs.c.id == run_id, reused=original)

    def end_run(self, run_id: str, judgement: Judgement, exit_code: int) -> None:
        """Write the verdict; the run is over."""
        self._update(
            "end run",
            runs,
            runs.c.id == run_id,
            status=ENDED,
            verdict=judgement.verdict.value,
            reasons=list(judgement.reasons),
            exit_code=exit_code,
            ended_at=self._clock(),
        )

    def begin_step(self, run_id: str, name: str) -> None:
        """Write that a step is under way, once more when it was so before."""
        self._update(
            f"begin step {name}",
            steps,
            (steps.c.run_id == run_id) & (steps.c.name == name),
            status=RUNNING,
            started_at=self._clock(),
            begun=steps.c.begun + 1,
            found=None,
        )

    def note_retry(self, run_id: str, name: str) -> None:
        """Count an attempt inside a step that failed and is made again."""
        self._update(
            f"note retry in {name}",
            steps,
            (steps.c.run_id == run_id) & (steps.c.name == name),
            retries=steps.c.retries + 1,
        )

    def end_step(
        self,
        run_id: str,
        name: str,
        status: str,
        message: str = "",
        found: Mapping[str, Any] | None = None,
    ) -> None:
        """Write how a step ended: `done`, `failed` or `skipped`.

        `found` is what a resumed run needs of it, as JSON; None for a step that did not run.
        """
        self._update(
            f"end step {name}",
            steps,
            (steps.c.run_id == run_id) & (steps.c.name == name),
            status=status,
            message=message,
            ended_at=self._clock(),
            found=None if found is None else dict(found),
        )

    def forget_steps(self, run_id: str, names: Sequence[str]) -> None:
        """Make steps pending again: what they made is gone."""
        where = (steps.c.run_id == run_id) & steps.c.name.in_(list(names))
        self._update("forget steps", steps, where, status="pending", message="", found=None)

    def record_suite(self, run_id: str, suite: SuiteResult) -> None:
        """Write a suite's end and all its results in one transaction; a second time changes it."""
        with self._write(f"record suite {suite.suite}") as connection:
            for table, name in ((suites, suites.c.name), (results, results.c.suite)):
                connection.execute(
                    delete(table).where((table.c.run_id == run_id) & (name == suite.suite))
                )
            connection.execute(
                insert(suites).values(
                    run_id=run_id,
                    name=suite.suite,
                    exit_status=suite.exit_status,
                    problem=suite.problem,
                    skipped=suite.skipped,
                    duration_s=suite.duration_s,
                )
            )
            if suite.results:
                connection.execute(
                    insert(results),
                    [
                        {
                            "run_id": run_id,
                            "suite": result.suite,
                            "test_id": result.test_id,
                            "outcome": result.outcome.value,
                            "duration_s": result.duration_s,
                            "message": result.message,
                            "details": result.details,
                            "signature": result.signature,
                            "attempts": result.attempts,
                            "failures": result.failures,
                            "mute": result.mute,
                            "shadow": None if result.shadow is None else result.shadow.value,
                        }
                        for result in suite.results
                    ],
                )

    # Reading

    def runs(
        self,
        *,
        configuration: str | None = None,
        unfinished_only: bool = False,
        limit: int | None = None,
    ) -> list[Row]:
        """Runs, newest first."""
        query = select(runs).order_by(runs.c.started_at.desc(), runs.c.id.desc())
        if configuration is not None:
            query = query.where(runs.c.configuration == configuration)
        if unfinished_only:
            query = query.where(runs.c.status == RUNNING)  # not "!=": no index would serve it
        return self._rows(query if limit is None else query.limit(limit))

    def run(self, name: str) -> Row:
        """The run with that id, the only one whose id contains `name`, or the `latest`.

        Raises NotFound with the candidates.
        """
        if name == LATEST:
            newest = self.runs(limit=1)
            if not newest:
                raise NotFound("There is no run yet.", resolution="start one with `osqual run`")
            return newest[0]
        found = self._rows(select(runs).where(runs.c.id.contains(name, autoescape=True)).limit(20))
        exact = [row for row in found if row["id"] == name]
        candidates = exact or found
        if len(candidates) == 1:
            return candidates[0]
        raise NotFound(
            f"{'No run' if not found else 'More than one run'} matches {name!r}.",
            details="\n".join(f"{row['id']}  {row['configuration']}" for row in found),
            resolution="`osqual runs` lists them; `latest` names the newest",
        )

    def steps(self, run_id: str) -> list[Row]:
        """A run's steps in order."""
        return self._rows(select(steps).where(steps.c.run_id == run_id).order_by(steps.c.position))

    def rows_of(self, name: str, run_ids: Sequence[str]) -> dict[str, list[Row]]:
        """The steps, suites, results or resources of some runs, by run: one query for all."""
        table = {"steps": steps, "suites": suites, "results": results, "resources": resources}[name]
        order = steps.c.position if table is steps else tuple(table.primary_key)[-1]
        query = select(table).where(table.c.run_id.in_(list(run_ids))).order_by(order)
        found: dict[str, list[Row]] = {run_id: [] for run_id in run_ids}
        for row in self._rows(query):
            found[row["run_id"]].append(row)
        return found

    def suites(self, run_id: str) -> list[Row]:
        """A run's suites by name."""
        return self._rows(select(suites).where(suites.c.run_id == run_id).order_by(suites.c.name))

    def results(self, run_id: str) -> list[Row]:
        """A run's test results in the order they were recorded."""
        return self._rows(select(results).where(results.c.run_id == run_id).order_by(results.c.id))

    def judged_run(self, run_id: str) -> Row:
        """A run with its `totals`."""
        judge = next(step for step in self.steps(run_id) if step["name"] == "judge")
        return {**self.run(run_id), "totals": (judge["found"] or {}).get("totals", {})}

    def resources(self, *, run_id: str | None = None, open_only: bool = True) -> list[Row]:
        """Resources, oldest first; `open_only` leaves out those that have ended."""
        query = select(resources).order_by(resources.c.id)
        if run_id is not None:
            query = query.where(resources.c.run_id == run_id)
        if open_only:
            query = query.where(resources.c.state.in_(OPEN_STATES))
        return self._rows(query)

    # Resources

    def journal(self, run_id: str, *, expires_in_s: float | None = None) -> "RunJournal":
        """The journal of one run; after that time nobody needs its resources any more."""
        return RunJournal(store=self, run_id=run_id, expires_in_s=expires_in_s)

    def keep_resources(self, run_id: str) -> None:
        """Mark a run's open resources as kept on purpose, so that the reaper leaves them."""
        where = (resources.c.run_id == run_id) & (resources.c.state != ENDED)
        self._update("keep resources", resources, where, kept=True)

    def intend_resource(
        self,
        run_id: str,
        kind: str,
        name: str,
        details: Row,
        *,
        step: str = "",
        expires_in_s: float | None = None,
    ) -> int:
        """Write a resource that is about to be created; returns its row."""
        now = self._clock()
        with self._write(f"intend {kind}") as connection:
            done = connection.execute(
                insert(resources).values(
                    run_id=run_id,
                    kind=kind,
                    name=name,
                    state="intended",
                    details=dict(details),
                    kept=False,
                    intended_at=now,
                    expires_at=None if expires_in_s is None else now + expires_in_s,
                    step=step,
                )
            )
            key = done.inserted_primary_key
            assert key is not None  # noqa: S101 - a single-row insert always has one
            return int(key[0])

    def resource_created(self, row: int, external_id: str, details: Row) -> None:
        """Write the id of a resource that now exists."""
        with self._write("resource created") as connection:
            old = connection.execute(select(resources.c.details).where(resources.c.id == row))
            merged = {**(old.scalar() or {}), **details}
            connection.execute(
                update(resources)
                .where(resources.c.id == row)
                .values(state="created", external_id=external_id, details=merged)
            )

    def resource_ended(self, row: int) -> None:
        """Write that nothing of a resource is left."""
        where = resources.c.id == row
        self._update("resource ended", resources, where, state=ENDED, ended_at=self._clock())

    # How

    @contextmanager
    def _write(self, what: str) -> Iterator[Connection]:
        """One transaction: all of it is on disk when the body has ended, or nothing."""
        with boundary(f"store: {what}"), transaction(self._engine) as connection:
            yield connection

    def _update(self, what: str, table: Table, where: Any, **values: Any) -> None:
        with self._write(what) as connection:
            connection.execute(update(table).where(where).values(**values))

    def _rows(self, query: Select[Any]) -> list[Row]:
        return read_rows(self._engine, query)


@dataclass(frozen=True, kw_only=True)
class RunJournal:
    """`Journal` on the store."""

    store: Store
    run_id: str
    step: str = ""
    expires_in_s: float | None = None

    def in_step(self, step: str) -> "RunJournal":
        """See `Journal.in_step`."""
        return replace(self, step=step)

    def intend(self, kind: str, name: str, details: Row) -> int:
        """See `Journal.intend`."""
        return self.store.intend_resource(
            self.run_id,
            kind,
            name,
            details,
            step=self.step,
            expires_in_s=self.expires_in_s,
        )

    def created(self, row: int, external_id: str, details: Row) -> None:
        """See `Journal.created`."""
        self.store.resource_created(row, external_id, details)

    def ended(self, row: int) -> None:
        """See `Journal.ended`."""
        self.store.resource_ended(row)

    def unended(self) -> list[Row]:
        """See `Journal.unended`."""
        return self.store.resources(run_id=self.run_id)
