"""`osqual worker`: takes jobs from the queue until it is stopped, and looks after other workers."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import procrastinate
from procrastinate import JobContext
from procrastinate.app import WorkerOptions
from procrastinate.exceptions import ConnectorException, JobAborted
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from osqual.errors import StoreFailed
from osqual.run.context import RunOptions
from osqual.work_queue.app import TASK, Queue, conninfo_of, named_errors
from osqual.work_queue.care import take_care
from osqual.work_queue.workplace import NotNow, Stopped, Workplace

LOOK_S = 0.5
"""So often a worker looks whether it was stopped."""
FETCH_S = 2.0
TRY_AGAIN_S = 5.0
PLACE = "place"


class PutBack(BaseRetryStrategy):
    """A job that cannot be done now goes back into the queue; everything else is its end."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """See Procrastinate."""
        if isinstance(exception, NotNow):
            return RetryDecision(retry_in={"seconds": int(exception.wait_s)})
        return None


def qualify(context: JobContext, *, configuration: str, options: dict[str, Any]) -> str:
    """The task: one job, in a thread of the worker's."""
    place: Workplace = context.additional_context[PLACE]
    job = context.job.id or 0
    try:
        return place.perform(
            job, configuration, RunOptions.from_document(options), context.should_abort
        )
    except Stopped as error:
        raise JobAborted from error
    except NotNow as error:
        place.say(f"{configuration}: {error.brief}")
        raise
    except Exception as error:
        place.say(f"{configuration}: {error}")
        raise


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How a worker works: what it does at a time, and from which queues."""

    jobs: int
    queues: Sequence[str] = ()
    """None named: from all of them."""


def work(place: Workplace, queue: Queue, shift: Shift) -> None:
    """Do jobs until the engine's token is cancelled; then end what runs, and put it back."""
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # `place.say` tells
    with caring(place, queue):
        while not place.engine.cancellation.cancelled:
            try:
                with named_errors():
                    asyncio.run(_work(place, shift))
            except StoreFailed as error:
                place.say(str(error))
                time.sleep(TRY_AGAIN_S)


async def _work(place: Workplace, shift: Shift) -> None:
    """One connection's life: ends when the worker is stopped, or when the database is lost."""
    settings = place.engine.settings
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=conninfo_of(settings), min_size=1, max_size=4
        )
    )
    app.task(name=TASK, pass_context=True, retry=PutBack())(qualify)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(shift.jobs, thread_name_prefix="job"))
    async with app.open_async():
        worker = asyncio.create_task(app.run_worker_async(**options_of(place, shift)))
        while not worker.done():
            await asyncio.wait([worker], timeout=LOOK_S)
            if place.engine.cancellation.cancelled and not worker.done():
                worker.cancel()  # takes no more jobs, and waits for those that it has
                break
        with suppress(asyncio.CancelledError):
            await worker


def options_of(place: Workplace, shift: Shift) -> WorkerOptions:
    """How Procrastinate's worker goes about it."""
    workers = place.engine.settings.workers
    options: WorkerOptions = {
        "concurrency": shift.jobs,
        "additional_context": {PLACE: place},
        "install_signal_handlers": False,
        "fetch_job_polling_interval": FETCH_S,
        "abort_job_polling_interval": FETCH_S,
        "update_heartbeat_interval": workers.heartbeat_s,
        "stalled_worker_timeout": workers.stalled_after_s,
    }
    if shift.queues:
        options["queues"] = shift.queues
    return options


@contextmanager
def caring(place: Workplace, queue: Queue) -> Iterator[None]:
    """While inside, a thread says that this process lives, and looks after the others."""
    over = threading.Event()
    beat_s = place.engine.settings.workers.heartbeat_s

    def care() -> None:
        while not over.wait(beat_s):
            try:
                take_care(place, queue)
            except (StoreFailed, ConnectorException) as error:
                place.say(str(error))

    thread = threading.Thread(target=care, name="care", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
