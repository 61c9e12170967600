"""`osqual worker`: work on what is in the queue."""

import os
from pathlib import Path

import click

from osqual.cli.common import catalogue_option

EPILOG = """\b
Examples:
  osqual worker                          # one job at a time, from every queue
  osqual worker --queues qemu,aws --jobs 4
"""


@click.command(epilog=EPILOG)
@click.option(
    "--queues",
    metavar="NAME,...",
    help="Platforms to take jobs for (default: all that there are jobs for).",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many jobs at a time, as far as there is room.",
)
@catalogue_option
def worker(*, queues: str | None, jobs: int, start: Path) -> None:
    """Take jobs from the queue and qualify them, until stopped.

    The store is PostgreSQL (OSQUAL_STORE), which all workers share; the state directory is the
    worker's own. The runs of a worker that has died are gone on with, or ended and begun anew. A
    signal (Ctrl-C, SIGTERM) ends what runs, tears it down, and puts the jobs back into the queue.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.cli.working import serve
    from osqual.settings import load_settings

    catalogue = open_catalogue(start)
    names = [name.strip() for name in (queues or "").split(",") if name.strip()]
    serve(catalogue.root, load_settings(catalogue.root, os.environ), jobs=jobs, queues=names)
