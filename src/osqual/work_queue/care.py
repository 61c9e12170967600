"""What workers do beside their jobs: say that they live, find dead ones, keep schedules."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from procrastinate import sql
from procrastinate.jobs import Job

from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import OsqualError
from osqual.processes.running import owner_alive, owner_token
from osqual.store.store import ENDED
from osqual.work_queue.app import TASK, Queue
from osqual.work_queue.jobs import PREFIX
from osqual.work_queue.schedules import submit_due
from osqual.work_queue.workplace import NotNow, Workplace

Say = Callable[[str], None]


def take_care(place: Workplace, queue: Queue) -> None:
    """One round. Of several workers one at a time looks after the others."""
    queue.fleet.beat(owner_token())
    with queue.fleet.alone() as mine:
        if mine:
            put_back_stalled(queue, place.engine.settings.workers.stalled_after_s, place.say)
            end_orphans(place)
            keep_schedules(queue, place.catalogue, place.say)


def end_orphans(place: Workplace) -> None:
    """Runs that no job will go on with."""
    for run in place.fleet.orphans():
        try:
            place.end_orphan(run)
        except NotNow:
            pass  # somebody is still at work on it
        except OsqualError as error:
            place.say(str(error))


def put_back_stalled(queue: Queue, stalled_after_s: float, say: Say) -> None:
    """Jobs whose worker gives no sign of life go back into the queue, for another to take over."""
    for job in stalled_jobs(queue, stalled_after_s):
        assert job.id is not None  # noqa: S101 - it comes from the table
        if not is_abandoned(job.id, queue, stalled_after_s):
            continue
        queue.app.job_manager.retry_job_by_id(job.id, retry_at=datetime.now(UTC))
        configuration = job.task_kwargs.get("configuration")
        say(f"{configuration}: the worker of {PREFIX}{job.id} has died; another takes over.")


def stalled_jobs(queue: Queue, stalled_after_s: float) -> list[Job]:
    """Jobs that are worked on by workers who have not been heard of for so long.

    Procrastinate has this for asyncio only; the query is its own.
    """
    rows = queue.app.connector.get_sync_connector().execute_query_all(
        query=sql.queries["select_stalled_jobs_by_heartbeat"],
        queue=None,
        task_name=TASK,
        seconds_since_heartbeat=stalled_after_s,
    )
    return [Job.from_row(row) for row in rows]


def is_abandoned(job: int, queue: Queue, stalled_after_s: float) -> bool:
    """Whether nobody works on a stalled job's run: its worker may only have lost the queue."""
    open_runs = [run for run in queue.fleet.runs_of(job) if run["status"] != ENDED]
    if not open_runs:
        return True
    alive = owner_alive(open_runs[0]["owner"])
    if alive is None:
        return queue.fleet.silent_s(open_runs[0]["id"]) > stalled_after_s
    return not alive


def keep_schedules(queue: Queue, catalogue: Path, say: Say) -> None:
    """Submit what is due."""
    if not queue.fleet.schedules():
        return
    for schedule, submitted, failure in submit_due(
        queue, open_catalogue(catalogue), queue.fleet.now()
    ):
        new = sum(each.job is not None for each in submitted)
        say(f"schedule {schedule.name}: {new} of {len(submitted)} configurations submitted")
        if failure is not None:
            say(f"schedule {schedule.name}: {failure}")
