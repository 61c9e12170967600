"""Schedules: configurations that are submitted again and again, at the times of a cron line."""

import re
from collections.abc import Sequence

from croniter import croniter

from osqual.catalogue.catalogue import Catalogue
from osqual.errors import InvalidInput, OsqualError
from osqual.run.context import RunOptions
from osqual.store.fleet import Schedule
from osqual.work_queue.app import Queue
from osqual.work_queue.jobs import Submitted, submit


def check_cron(line: str) -> None:
    """Refuse a cron line that means nothing. Raises InvalidInput."""
    if not croniter.is_valid(line):
        raise InvalidInput(
            f"{line!r} is no cron line.",
            resolution="write minute, hour, day, month and weekday: '0 2 * * *' is two o'clock in "
            "the night, UTC",
        )


def name_for(patterns: Sequence[str]) -> str:
    """A name that the first pattern suggests: `debian/**` is `debian-all`."""
    words = re.sub(r"\*+", "all", patterns[0])
    return re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-")[:64] or "all"


def due_at(schedule: Schedule, now: float) -> float | None:
    """The last time at which the schedule was due and was not submitted; None when it was.

    Whatever was missed meanwhile is made up for once. Times are UTC.
    """
    last = float(croniter(schedule.cron, now).get_prev(float))
    return last if last > schedule.since else None


def next_at(schedule: Schedule, now: float) -> float:
    """When it is due next."""
    return float(croniter(schedule.cron, now).get_next(float))


def submit_due(
    queue: Queue, catalogue: Catalogue, now: float
) -> list[tuple[Schedule, list[Submitted], OsqualError | None]]:
    """Submit what is due. To be called by one worker at a time.

    Written down afterwards: a worker that dies in between has it done again, and what waits in the
    queue already is not submitted twice.
    """
    done = []
    for schedule in queue.fleet.schedules():
        due = due_at(schedule, now)
        if due is None:
            continue
        failure, submitted = None, list[Submitted]()
        try:
            chosen = catalogue.select(schedule.patterns)
            submitted = submit(chosen, RunOptions.from_document(schedule.options), queue)
        except (OsqualError, KeyError, ValueError, TypeError) as error:
            failure = error if isinstance(error, OsqualError) else InvalidInput(repr(error))
        queue.fleet.submitted(schedule.name, due)
        done.append((schedule, submitted, failure))
    return done
