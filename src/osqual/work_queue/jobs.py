"""Jobs: a configuration to qualify, submitted once, done by one worker at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from procrastinate.jobs import Job, Status

from osqual.errors import NotFound, UsageError
from osqual.model import Configuration
from osqual.run.context import RunOptions
from osqual.work_queue.app import TASK, Queue, queue_of

OPEN = (Status.DOING, Status.TODO)
PREFIX = "job-"


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What became of a configuration: a new job, or None when one waits already."""

    configuration: str
    queue: str
    job: int | None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"configuration": self.configuration, "queue": self.queue, "job": self.job}


def submit(
    configurations: Iterable[Configuration], options: RunOptions, queue: Queue
) -> list[Submitted]:
    """Put each into the queue of its platform, unless it waits there already.

    The lock has one worker at a time work on a configuration: also on one that is submitted again
    while it is qualified.
    """
    with queue.fleet.in_turn():
        waiting = queue.app.job_manager.list_jobs(task=TASK, status=Status.TODO.value)
        known = {job.lock for job in waiting}
        return [
            _submit(each, options, queue)
            if each.path not in known
            else Submitted(configuration=each.path, queue=queue_of(each), job=None)
            for each in configurations
        ]


def _submit(configuration: Configuration, options: RunOptions, queue: Queue) -> Submitted:
    """No `queueing_lock`: a job that is put back must not be refused for one that waits."""
    name = queue_of(configuration)
    deferrer = queue.app.configure_task(TASK, queue=name, lock=configuration.path)
    job = deferrer.defer(configuration=configuration.path, options=options.document())
    return Submitted(configuration=configuration.path, queue=name, job=job)


def jobs(queue: Queue, *, everything: bool = False) -> list[dict[str, Any]]:
    """Jobs that wait or are worked on, or all that there ever were, with their last runs."""
    found = queue.app.job_manager.list_jobs(task=TASK)
    return [_document(job, queue) for job in found if everything or Status(str(job.status)) in OPEN]


def _document(job: Job, queue: Queue) -> dict[str, Any]:
    runs = queue.fleet.runs_of(job.id or 0)
    return {
        "job": job.id,
        "status": str(job.status),
        "queue": job.queue,
        "configuration": job.task_kwargs.get("configuration"),
        "run": runs[0]["id"] if runs else None,
        "verdict": runs[0]["verdict"] if runs else None,
        "not_before": None if job.scheduled_at is None else job.scheduled_at.timestamp(),
    }


def parse_job(name: str) -> int | None:
    """The number in `job-12`; None for the name of something else."""
    number = name.removeprefix(PREFIX)
    return int(number) if name.startswith(PREFIX) and number.isdecimal() else None


def cancel(job: int, queue: Queue) -> str:
    """Take a job out of the queue, or have its run stop; which of the two. Raises UsageError."""
    known = queue.app.job_manager.list_jobs(id=job, task=TASK)
    if not known:
        raise NotFound(f"There is no job {job}.", resolution="`osqual queue` lists them")
    if not queue.app.job_manager.cancel_job_by_id(job, abort=True):
        raise UsageError(f"The job {job} is over: {known[0].status}.")
    if Status(str(known[0].status)) is Status.DOING:
        return "its worker has the run stop and clean up"
    return "it will not be begun"


def job_lines(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Jobs for people, one a line."""
    return [
        f"{PREFIX}{each['job']:<7} {each['status']:<10} {each['queue']:<8} "
        f"{each['configuration']}  {each['run'] or ''} {each['verdict'] or ''}".rstrip()
        for each in documents
    ]
