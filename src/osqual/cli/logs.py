"""`osqual logs`: what a run did, what its tools printed, what its machines' consoles said."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from osqual.cli.common import current_settings

POLL_S = 0.5


@click.command()
@click.argument("name", metavar="RUN", default="latest")
@click.option("--list", "list_files", is_flag=True, help="List the log files of the run.")
@click.option(
    "--file", "wanted", metavar="NAME", help="Print the log files whose path contains NAME."
)
@click.option("--console", "node", metavar="NODE", help="Print the serial console of a node.")
@click.option("--follow", is_flag=True, help="Go on until the run ends.")
@click.option("-v", "--verbose", is_flag=True, help="Also what scripts and tools printed.")
def logs(
    name: str,
    *,
    list_files: bool,
    wanted: str | None,
    node: str | None,
    follow: bool,
    verbose: bool,
) -> None:
    """Show what a run did (default: the latest), or one of the files it left.

    RUN is a run's id, a part of it that fits no other, or `latest`.
    """
    from osqual.errors import NotFound
    from osqual.report.runs import log_files, run_state
    from osqual.store.store import open_store

    store = open_store(current_settings())
    run = store.run(name)
    directory = Path(run["directory"])
    if list_files:
        for path in log_files(directory):
            click.echo(f"{path.stat().st_size:>10}  {path.relative_to(directory)}")
        return
    if wanted is None and node is None:
        show_events(
            directory,
            lambda: not follow or run_state(store.run(run["id"])) != "running",
            verbose=verbose,
        )
        return
    part = wanted or f"{node}/console"
    found = [path for path in log_files(directory) if part in str(path.relative_to(directory))]
    if not found:
        raise NotFound(
            f"The run {run['id']} has no log file whose path contains {part!r}.",
            resolution=f"`osqual logs {run['id']} --list` lists them",
        )
    for path in found:
        if len(found) > 1:
            click.echo(f"==> {path.relative_to(directory)} <==")
        click.echo(printable(path.read_text(errors="replace")))


def show_events(directory: Path, ended: Callable[[], bool], *, verbose: bool) -> None:
    """The event log as plain lines; goes on until `ended()` is true and nothing more comes."""
    from rich.console import Console

    from osqual.event_log import FILE_NAME, parse_event
    from osqual.report.console import ConsoleRenderer

    renderer = ConsoleRenderer(Console(highlight=False, force_terminal=False), verbose=verbose)
    for line in follow_lines(directory / FILE_NAME, ended):
        event = parse_event(line)
        if event is not None:
            renderer.at(event)


def follow_lines(path: Path, ended: Callable[[], bool]) -> Iterator[str]:
    """Whole lines as they are written."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        rest = ""
        while True:
            last_round = ended()
            while line := stream.readline():
                rest += line
                if rest.endswith("\n"):
                    yield rest
                    rest = ""
            if last_round:
                return
            time.sleep(POLL_S)


def printable(text: str) -> str:
    """Without control characters that would act on the reader's terminal."""
    return "".join(char for char in text if char in "\n\t" or char.isprintable())
