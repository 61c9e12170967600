"""Finding and ending what nobody needs any more: by store, expiry, marks of processes and tags.

What a person kept on purpose stays, and so does everything of a run whose process lives.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osqual.aws.reaper import Expired, expired_runs, reap_run
from osqual.errors import CleanupIncomplete, NotFound, OsqualError
from osqual.formats.times import elapsed_s
from osqual.pipeline.resume import close_run, is_dead
from osqual.pipeline.workflow import Engine, end_resources
from osqual.processes.job import Job
from osqual.processes.running import Marked, marked_processes
from osqual.store.database import Row
from osqual.store.lock import orchestrator_lock
from osqual.store.store import ENDED, open_store
from osqual.teardown import describe, remove_path

RUNS = "runs"
# What a run directory may hold that is no evidence, when there is no journal to tell.
SPOILS = (
    "**/*.qcow2",
    "cluster/keys",
    "cluster/*/seed",
    "cluster/*/ram-*",
    "forks/*/cluster/*/ram-*",
    "build/seed",
    "build/output",
    "build/packer_cache",
)


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What is left of one run, and why it can go."""

    run_id: str
    directory: Path
    why: str
    since: float
    run: Row | None = None
    """None when the store knows nothing of it."""
    rows: Sequence[Row] = ()
    processes: Sequence[Marked] = ()
    files: Sequence[Path] = ()
    cloud: Sequence[Expired] = ()

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "run": self.run_id,
            "directory": str(self.directory),
            "why": self.why,
            "since": self.since,
            "resources": [
                {name: row[name] for name in ("kind", "name", "external_id", "step", "intended_at")}
                for row in self.rows
            ],
            "processes": [
                {"pid": process.pid, "command": list(process.command)} for process in self.processes
            ],
            "files": [str(path) for path in self.files],
            "cloud": [{"region": each.region, "things": list(each.things)} for each in self.cloud],
        }

    def lines(self) -> list[str]:
        """For people: the run and why, then what would be ended of it."""
        return [
            f"{self.run_id}: {self.why}",
            *(f"  {describe(row)}" for row in self.rows),
            *(f"  process {each.pid} {' '.join(each.command)[:60]}" for each in self.processes),
            *(f"  {path}" for path in self.files),
            *(f"  {each.region} {thing}" for each in self.cloud for thing in each.things),
        ]


def find_dead(engine: Engine, *, older_than_s: float = 0.0) -> Iterator[Remains]:
    """Runs of this state directory that have not ended and whose process has died."""
    for run in engine.store.runs(unfinished_only=True):
        old = is_old(run["started_at"], older_than_s)
        if old and is_ours(run, engine) and is_dead(run, engine):
            yield Remains(
                run_id=run["id"],
                directory=Path(run["directory"]),
                why="its process has died",
                since=run["started_at"],
                run=run,
                rows=engine.store.resources(run_id=run["id"]),
            )


def find_remains(engine: Engine, *, older_than_s: float = 0.0) -> list[Remains]:
    """Everything in this state directory that can go."""
    found = list(find_dead(engine, older_than_s=older_than_s))
    found += _ended_with_rest(engine, older_than_s)
    known = {remains.run_id for remains in found}
    for directory, processes in _processes_by_run(engine).items():
        if directory.name not in known:
            found += _orphans(directory, processes, engine, older_than_s)
            known.add(directory.name)
    return found + list(_unknown_directories(engine, older_than_s, known))


def find_expired(
    regions: Sequence[str], engine: Engine, *, older_than_s: float = 0.0
) -> Iterator[Remains]:
    """What the tags of a cloud's regions tell, whoever made it: runs whose time is over.

    What this store knows to be kept, or a living process' work, stays.
    """
    for region in regions:
        for expired in expired_runs(region, datetime.now(UTC)):
            run = _stored(expired.run_id, engine)
            kept = any(row["kept"] for row in engine.store.resources(run_id=expired.run_id))
            alive = run is not None and run["status"] != ENDED and not is_dead(run, engine)
            if not (kept or alive) and is_old(expired.since.timestamp(), older_than_s):
                yield Remains(
                    run_id=expired.run_id,
                    directory=_runs(engine) / expired.run_id,
                    why=f"its time was over at {expired.since:%Y-%m-%d %H:%M} UTC",
                    since=expired.since.timestamp(),
                    cloud=(expired,),
                )


def end_remains(remains: Remains, engine: Engine) -> None:
    """End what was found. Raises CleanupIncomplete with what is left."""
    if remains.run is not None and remains.run["status"] != ENDED:
        close_run(remains.run, died_in(remains.run, engine), engine)
    elif remains.rows:
        end_resources(remains.run_id, remains.directory, engine)
    for process in remains.processes:
        Job(process.job).end(grace_s=5.0)
    for path in remains.files:
        remove_path(path)
    for each in remains.cloud:
        reap_run(each.region, each.run_id, engine.cancellation)


def reap(
    remains: Iterable[Remains], engine: Engine, tell: Callable[[Remains, OsqualError | None], None]
) -> None:
    """End each; goes on past failures, then raises CleanupIncomplete naming them all."""
    left = []
    for each in remains:
        try:
            end_remains(each, engine)
        except (OsqualError, OSError) as error:
            failure = error if isinstance(error, OsqualError) else OsqualError(str(error))
            left.append(f"{each.run_id}: {failure.brief}\n{failure.details}")
            tell(each, failure)
        else:
            tell(each, None)
    if left:
        raise CleanupIncomplete(
            "Not everything could be ended.",
            details="\n".join(left),
            resolution="remove what is named above, then run `osqual reap` again",
        )


def other_states(engine: Engine) -> list[Path]:
    """State directories of this user, other than the engine's, that processes of runs name."""
    own = engine.settings.directories.state
    states = {place[0] for process in marked_processes() if (place := place_of_run(process.job))}
    return sorted(state for state in states if state != own.absolute())


def reap_elsewhere(
    state: Path,
    engine: Engine,
    *,
    older_than_s: float,
    dry_run: bool,
    tell: Callable[[Remains, OsqualError | None], None],
) -> None:
    """The same for another state directory, unless an osqual is at work there (StateLocked)."""
    directories = engine.settings.directories.model_copy(update={"state": state})
    settings = engine.settings.model_copy(update={"directories": directories})
    with orchestrator_lock(state, "osqual reap --all-states"):
        store = open_store(settings)
        try:
            there = replace(engine, settings=settings, store=store)
            found = find_remains(there, older_than_s=older_than_s)
            if dry_run:
                for each in found:
                    tell(each, None)
            else:
                reap(found, there, tell)
        finally:
            store.close()


def died_in(run: Row, engine: Engine) -> str:
    """The reason that is written into a run which can only be closed."""
    running = [row["name"] for row in engine.store.steps(run["id"]) if row["status"] == "running"]
    where = f" in the step '{running[0]}'" if running else ""
    return f"The process of the run died{where}, and the run was not resumed."


def is_ours(run: Row, engine: Engine) -> bool:
    """Whether a run belongs to this state directory: stores may be shared by machines."""
    return Path(run["directory"]).parent == _runs(engine)


def is_old(since: float, older_than_s: float) -> bool:
    """Whether something that began then is old enough."""
    return elapsed_s(since, time.time()) >= older_than_s


def place_of_run(job: Path) -> tuple[Path, str] | None:
    """State directory and run id from the directory of a job; None for a job of no run."""
    for directory in job.parents:
        if directory.parent.name == RUNS:
            return directory.parent.parent, directory.name
    return None


def _runs(engine: Engine) -> Path:
    return engine.settings.directories.state / RUNS


def _ended_with_rest(engine: Engine, older_than_s: float) -> Iterator[Remains]:
    rows: dict[str, list[Row]] = {}
    for row in engine.store.resources():
        if not row["kept"] and is_old(row["intended_at"], older_than_s):
            rows.setdefault(row["run_id"], []).append(row)
    for run_id, rest in rows.items():
        run = engine.store.run(run_id)
        if run["status"] == ENDED and is_ours(run, engine):
            yield Remains(
                run_id=run_id,
                directory=Path(run["directory"]),
                why="it has ended, and its clean-up was not complete",
                since=rest[0]["intended_at"],
                run=run,
                rows=rest,
            )


def _processes_by_run(engine: Engine) -> dict[Path, list[Marked]]:
    own = engine.settings.directories.state.absolute()
    found: dict[Path, list[Marked]] = {}
    for process in marked_processes():
        place = place_of_run(process.job)
        if place is not None and place[0] == own:
            found.setdefault(_runs(engine) / place[1], []).append(process)
    return found


def _orphans(
    directory: Path, processes: Sequence[Marked], engine: Engine, older_than_s: float
) -> Iterator[Remains]:
    """Processes of a run that has ended, or that the store does not know."""
    run = _stored(directory.name, engine)
    if run is not None and run["status"] != ENDED:
        return
    if any(row["kept"] for row in engine.store.resources(run_id=directory.name)):
        return
    since = min((_started(process) for process in processes), default=0.0)
    if is_old(since, older_than_s):
        yield Remains(
            run_id=directory.name,
            directory=directory,
            why="the store does not know it" if run is None else "it has ended",
            since=since,
            run=run,
            processes=processes,
            files=_spoils(directory) if run is None else (),
        )


def _unknown_directories(engine: Engine, older_than_s: float, known: set[str]) -> Iterator[Remains]:
    """Run directories without a run, as a store that was moved away leaves them."""
    if not _runs(engine).is_dir():
        return
    for directory in sorted(_runs(engine).iterdir()):
        if directory.name in known or _stored(directory.name, engine) is not None:
            continue
        since, files = directory.stat().st_mtime, _spoils(directory)
        if files and is_old(since, older_than_s):
            yield Remains(
                run_id=directory.name,
                directory=directory,
                why="the store does not know it",
                since=since,
                files=files,
            )


def _stored(run_id: str, engine: Engine) -> Row | None:
    try:
        run = engine.store.run(run_id)
    except NotFound:
        return None
    return run if run["id"] == run_id else None


def _spoils(directory: Path) -> list[Path]:
    return sorted({path for pattern in SPOILS for path in directory.glob(pattern)})


def _started(process: Marked) -> float:
    try:
        return Path(f"/proc/{process.pid}").stat().st_ctime
    except OSError:
        return time.time()
