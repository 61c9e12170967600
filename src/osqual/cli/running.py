"""What `osqual run` does once its options are read: the engine, signals, progress, summaries."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import click
from rich.console import Console

from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import Catalogue
from osqual.cli.common import print_json
from osqual.cli.main import give_up_output, show_error
from osqual.errors import CleanupIncomplete, ExitCode, OsqualError
from osqual.model import Configuration
from osqual.operations.prospects import Prospect, prospects_of, resumable
from osqual.operations.reap import Remains, find_dead, reap
from osqual.operations.side_by_side import Ended, Watcher, run_side_by_side
from osqual.pipeline.preview import preview
from osqual.pipeline.workflow import Engine
from osqual.processes.signals import cancel_on_signals
from osqual.report.console import ConsoleRenderer
from osqual.report.json_lines import JsonLines, Messages
from osqual.report.lasting import LastingConsole
from osqual.report.many import ManyRenderer
from osqual.report.one_at_a_time import OneAtATime
from osqual.report.summary import print_summary, result_document
from osqual.room import Admission, measure_room
from osqual.run.context import RunOptions
from osqual.run.parts import BUILT_IN, Parts
from osqual.settings import Settings
from osqual.store.database import open_engine
from osqual.store.lock import orchestrator_lock
from osqual.store.store import Store, open_store


@dataclass(frozen=True, kw_only=True)
class Showing:
    """How much of a run is shown, and whether its end is JSON."""

    as_json: bool = False
    verbose: bool = False
    quiet: bool = False
    log_format: str = "text"


def run_all(
    catalogue: Catalogue,
    configurations: Sequence[Configuration],
    options: RunOptions,
    settings: Settings,
    showing: Showing,
    jobs: int | None,
) -> int:
    """Qualify each configuration, side by side as far as there is room. The exit code.

    What runs of this state directory left whose process has died is ended first.
    """
    with session(settings, log_format=showing.log_format) as (engine, progress):
        end_dead_runs(engine, progress)
        prospects = prospects_of(catalogue, configurations, options, engine)
        return conduct(prospects, engine, progress, showing, jobs)


def resume_all(names: Sequence[str], settings: Settings, showing: Showing, jobs: int | None) -> int:
    """Go on with each of these runs, or with all whose process has died. The exit code."""
    with session(settings, log_format=showing.log_format) as (engine, progress):
        runs = [engine.store.run(name) for name in names]
        if not names:
            runs = [found.run for found in find_dead(engine) if found.run is not None][::-1]
        if not runs:
            progress.print("There is no run to resume.")
            return int(ExitCode.OK)
        return conduct(resumable(runs, engine), engine, progress, showing, jobs)


@contextmanager
def session(
    settings: Settings, parts: Parts = BUILT_IN, *, log_format: str = "text"
) -> Iterator[tuple[Engine, Console]]:
    """The one orchestrator of the state directory, which signals stop; and where it speaks."""
    progress = LastingConsole(stderr=True)
    if log_format == "json":
        progress = LastingConsole(file=Messages(JsonLines(sys.stderr)), width=10_000)
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
                    settings=settings,
                    store=store,
                    cancellation=cancellation,
                    environ=os.environ,
                    parts=parts,
                ),
                progress,
            )
        finally:
            store.close()


def conduct(
    prospects: Sequence[Prospect],
    engine: Engine,
    progress: Console,
    showing: Showing,
    jobs: int | None,
) -> int:
    """Run them all, show how each goes and ends; the worst exit code. `jobs` None: what fits."""
    at_most = min(len(prospects), jobs or len(prospects))
    state = engine.settings.directories.state
    with ExitStack() as stack:
        watcher: Watcher
        if showing.log_format == "json":
            watcher = JsonLines(sys.stderr)
        elif at_most == 1:
            watcher = OneAtATime(progress, verbose=showing.verbose, quiet=showing.quiet)
        else:
            watcher = stack.enter_context(ManyRenderer(progress, quiet=showing.quiet))
        ended = run_side_by_side(
            prospects,
            engine,
            at_most=at_most,
            admission=Admission(lambda: measure_room(state)),
            watcher=watcher,
        )
    alone = len(prospects) == 1
    with unread_is_no_failure():
        tell(ended, showing, alone=alone)
    for each in ended:
        if each.error is not None and (alone or not isinstance(each.error, OsqualError)):
            raise each.error  # a bug is shown as one, when all is over
    return int(max(each.exit_code for each in ended))


def show_one(progress: Console, showing: Showing) -> ConsoleRenderer:
    """What shows one run's progress while it is entered."""
    return ConsoleRenderer(progress, verbose=showing.verbose, quiet=showing.quiet)


def tell(ended: Sequence[Ended], showing: Showing, *, alone: bool) -> None:
    """The results, as text or JSON."""
    ended = sorted(ended, key=lambda each: each.configuration)
    results = [each.result for each in ended if each.result is not None]
    for each in ended:
        if isinstance(each.error, OsqualError) and not alone:
            show_error(each.error)
    if showing.as_json:
        print_json([result_document(result) for result in results])
        return
    for result in results:
        print_summary(result, LastingConsole())


@contextmanager
def unread_is_no_failure() -> Iterator[None]:
    """Who asked may be gone when runs end: the exit code says how, and the store has it all."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        give_up_output()


@contextmanager
def entering(settings: Settings, store: Store, purpose: str) -> Iterator[Engine]:
    """The one orchestrator of the state directory, for what is done to a past run."""
    cancellation = Cancellation()
    with (
        orchestrator_lock(settings.directories.state, purpose),
        cancel_on_signals(cancellation, lambda text: click.echo(text, err=True)),
    ):
        yield Engine(settings=settings, store=store, cancellation=cancellation, environ=os.environ)


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
