"""`osqual submit`: put configurations into the queue that workers share."""

import os
from pathlib import Path

import click

from osqual.cli.common import (
    catalogue_option,
    json_option,
    keywords_option,
    print_json,
    publish_option,
)

EPILOG = """\b
Examples:
  osqual submit 'debian/**'
  osqual submit LEAF --publish none
"""


@click.command(epilog=EPILOG)
@click.argument("leaves", metavar="LEAF...", nargs=-1, required=True)
@keywords_option("As for `osqual run`.")
@click.option("--builder", type=click.Choice(["layered", "packer"]), help="As for `osqual run`.")
@publish_option
@click.option("--cold", is_flag=True, help="As for `osqual run`.")
@json_option
@catalogue_option
def submit(
    leaves: tuple[str, ...],
    *,
    keywords: tuple[str, ...],
    builder: str | None,
    publish: str,
    cold: bool,
    as_json: bool,
    start: Path,
) -> None:
    """Have workers qualify configurations; returns at once.

    Each goes into the queue of its platform. What waits there already is not submitted twice, and
    one worker at a time works on a configuration.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.run.context import RunOptions
    from osqual.settings import load_settings
    from osqual.work_queue.app import open_queue
    from osqual.work_queue.jobs import PREFIX
    from osqual.work_queue.jobs import submit as put

    catalogue = open_catalogue(start)
    chosen = catalogue.select(leaves)
    options = RunOptions(keywords=keywords, builder=builder, publish=publish, cold=cold)
    with open_queue(load_settings(catalogue.root, os.environ)) as queue:
        submitted = put(chosen, options, queue)
    if as_json:
        print_json([each.document() for each in submitted])
        return
    for each in submitted:
        name = "waits already" if each.job is None else f"{PREFIX}{each.job}"
        click.echo(f"{name:<14} {each.queue:<8} {each.configuration}")
