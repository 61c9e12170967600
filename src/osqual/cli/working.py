"""What `osqual worker` does once its options are read: the engine, clean-up, signals."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from osqual.cli.main import show_error
from osqual.cli.running import session
from osqual.errors import CleanupIncomplete, OsqualError
from osqual.operations.reap import Remains, find_remains, reap
from osqual.pipeline.workflow import Engine
from osqual.report.many import ManyRenderer
from osqual.room import Admission, measure_room
from osqual.run.parts import BUILT_IN, Parts
from osqual.settings import Settings
from osqual.store.store import ENDED
from osqual.work_queue.app import open_queue
from osqual.work_queue.worker import Shift, work
from osqual.work_queue.workplace import Workplace


def serve(
    catalogue: Path,
    settings: Settings,
    *,
    jobs: int,
    queues: Sequence[str],
    parts: Parts = BUILT_IN,
) -> None:
    """Be a worker until a signal stops it."""
    with open_queue(settings) as queue, session(settings, parts) as (engine, progress):
        end_what_is_over(engine)
        with ManyRenderer(progress) as renderer:
            place = Workplace(
                engine=engine,
                fleet=queue.fleet,
                admission=Admission(lambda: measure_room(settings.directories.state)),
                catalogue=catalogue,
                watcher=renderer,
                say=lambda text: progress.print(text, markup=False, soft_wrap=True),
            )
            names = ", ".join(queues)
            place.say(f"Working on {names or 'all queues'}, {jobs} at a time. Ctrl-C stops.")
            work(place, queue, Shift(jobs=jobs, queues=queues))


def end_what_is_over(engine: Engine) -> None:
    """End what earlier workers left here, but for runs that somebody will go on with."""

    def tell(remains: Remains, failure: OsqualError | None) -> None:
        if failure is not None:
            show_error(failure)

    over = [remains for remains in find_remains(engine) if not is_to_be_resumed(remains)]
    with suppress(CleanupIncomplete):
        reap(over, engine, tell)


def is_to_be_resumed(remains: Remains) -> bool:
    """Whether it is what a job of the queue has begun and not ended."""
    run = remains.run
    return run is not None and run["status"] != ENDED and run["job"] is not None
