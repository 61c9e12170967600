"""What `osqual run` does once its options are read: the engine, signals, progress, summaries."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

import click
from rich.console import Console

from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import Catalogue
from osqual.cli.common import print_json
from osqual.cli.main import show_error
from osqual.context import RunOptions
from osqual.errors import CleanupIncomplete, ExitCode, OsqualError
from osqual.model import Configuration
from osqual.preview import preview
from osqual.reap import Remains, find_dead, reap
from osqual.report.console import ConsoleRenderer
from osqual.report.summary import print_summary, result_document
from osqual.resume import resume
from osqual.settings import Settings
from osqual.signals import cancel_on_signals
from osqual.store.database import open_engine
from osqual.store.lock import orchestrator_lock
from osqual.store.store import Store, open_store
from osqual.workflow import Engine, RunResult, qualify


@dataclass(frozen=True, kw_only=True)
class Showing:
    """How much of a run is shown, and whether its end is JSON."""

    as_json: bool = False
    verbose: bool = False
    quiet: bool = False


Job = Callable[[Engine], RunResult]


def run_all(
    catalogue: Catalogue,
    configurations: Sequence[Configuration],
    options: RunOptions,
    settings: Settings,
    showing: Showing,
) -> int:
    """Qualify each configuration in turn; one failing never stops the others. The exit code.

    What runs of this state directory left whose process has died is ended first.
    """
    with session(settings) as (engine, progress):
        end_dead_runs(engine, progress)
        jobs = [
            partial(qualify, catalogue, configuration, options) for configuration in configurations
        ]
        return in_turn(jobs, engine, progress, showing)


def resume_all(names: Sequence[str], settings: Settings, showing: Showing) -> int:
    """Go on with each of these runs, or with all whose process has died. The exit code."""
    with session(settings) as (engine, progress):
        runs = [engine.store.run(name) for name in names]
        if not names:
            runs = [found.run for found in find_dead(engine) if found.run is not None][::-1]
        if not runs:
            progress.print("There is no run to resume.")
            return int(ExitCode.OK)
        return in_turn([partial(resume, run) for run in runs], engine, progress, showing)


@contextmanager
def session(settings: Settings) -> Iterator[tuple[Engine, Console]]:
    """The one orchestrator of the state directory, which signals stop; and where it speaks."""
    progress = Console(stderr=True)
    cancellation = Cancellation()
    purpose = "osqual " + " ".join(sys.argv[1:])
    with (
        orchestrator_lock(settings.directories.state, purpose),
        cancel_on_signals(cancellation, lambda text: progress.print(text, style="yellow")),
    ):
        store = open_store(settings)
        try:
            yield (
                Engine(
                    settings=settings, store=store, cancellation=cancellation, environ=os.environ
                ),
                progress,
            )
        finally:
            store.close()


def in_turn(jobs: Sequence[Job], engine: Engine, progress: Console, showing: Showing) -> int:
    """One run after the other, until a stop is asked for; the worst exit code."""
    results: list[RunResult] = []
    worst = ExitCode.OK
    for job in jobs:
        if engine.cancellation.cancelled:
            worst = max(worst, ExitCode.INTERRUPTED)
            break
        try:
            with ConsoleRenderer(
                progress, verbose=showing.verbose, quiet=showing.quiet
            ) as renderer:
                results.append(job(replace(engine, subscribers=(renderer,))))
        except OsqualError as error:
            if len(jobs) == 1:
                raise
            show_error(error)
            worst = max(worst, error.exit_code)
            continue
        worst = max(worst, results[-1].exit_code)
        if not showing.as_json:
            with suppress(OSError):  # the terminal may be gone; the store has it all
                print_summary(results[-1], Console())
    if showing.as_json:
        print_json([result_document(result) for result in results])
    return int(worst)


def end_dead_runs(engine: Engine, progress: Console) -> None:
    """End what is left of runs whose process has died; what cannot be ended is said."""

    def tell(remains: Remains, failure: OsqualError | None) -> None:
        progress.print(f"The process of the run {remains.run_id} has died; what it left is ended.")
        if failure is not None:
            show_error(failure)

    with suppress(CleanupIncomplete):
        reap(list(find_dead(engine)), engine, tell)


def preview_all(
    catalogue: Catalogue,
    configurations: Sequence[Configuration],
    options: RunOptions,
    settings: Settings,
    *,
    as_json: bool,
) -> int:
    """Say what `run` would do for each configuration; the exit code."""
    engine = Engine(
        settings=settings,
        store=Store(open_engine("sqlite://")),
        cancellation=Cancellation(),
        environ=os.environ,
    )
    documents, worst = [], ExitCode.OK
    for configuration in configurations:
        try:
            found = preview(catalogue, configuration, options, engine)
        except OsqualError as error:
            worst = max(worst, error.exit_code)
            documents.append({"configuration": configuration.path, "error": str(error)})
            click.echo(configuration.path, err=True)
            show_error(error)
            continue
        documents.append(found.document())
        if not as_json:
            click.echo("\n".join(found.lines()))
    if as_json:
        print_json(documents)
    return int(worst)
