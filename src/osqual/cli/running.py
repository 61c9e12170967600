"""What `osqual run` does once its options are read: the engine, signals, progress, summaries."""

import os
import sys
from collections.abc import Sequence

import click
from rich.console import Console

from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import Catalogue
from osqual.cli.common import print_json
from osqual.cli.main import show_error
from osqual.context import RunOptions
from osqual.errors import ExitCode, OsqualError
from osqual.model import Configuration
from osqual.preview import preview
from osqual.report.console import ConsoleRenderer
from osqual.report.summary import print_summary, result_document
from osqual.settings import Settings
from osqual.signals import cancel_on_signals
from osqual.store.database import open_engine
from osqual.store.lock import orchestrator_lock
from osqual.store.store import Store, open_store
from osqual.workflow import Engine, RunResult, qualify


def run_all(
    catalogue: Catalogue,
    configurations: Sequence[Configuration],
    options: RunOptions,
    settings: Settings,
    *,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Qualify each configuration in turn; one failing never stops the others. The exit code."""
    progress = Console(stderr=True)
    cancellation = Cancellation()
    purpose = "osqual " + " ".join(sys.argv[1:])
    results: list[RunResult] = []
    with (
        orchestrator_lock(settings.directories.state, purpose),
        cancel_on_signals(cancellation, lambda text: progress.print(text, style="yellow")),
    ):
        store = open_store(settings)
        try:
            for configuration in configurations:
                if cancellation.cancelled:
                    break
                with ConsoleRenderer(progress, verbose=verbose, quiet=quiet) as renderer:
                    engine = Engine(
                        settings=settings,
                        store=store,
                        cancellation=cancellation,
                        environ=os.environ,
                        subscribers=(renderer,),
                    )
                    results.append(qualify(catalogue, configuration, options, engine))
                if not as_json:
                    print_summary(results[-1], Console())
        finally:
            store.close()
    if as_json:
        print_json([result_document(result) for result in results])
    return max((int(result.exit_code) for result in results), default=int(ExitCode.INTERRUPTED))


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
