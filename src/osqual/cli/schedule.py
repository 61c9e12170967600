"""`osqual schedule`: submit configurations again and again, such as every night."""

import os
import time
from pathlib import Path

import click

from osqual.cli.common import (
    catalogue_option,
    current_settings,
    json_option,
    print_json,
    publish_option,
)

EPILOG = """\b
Examples:
  osqual schedule add --cron '0 2 * * *' 'debian/**'
  osqual schedule list
  osqual schedule remove debian-all
"""


@click.group(epilog=EPILOG)
def schedule() -> None:
    """Submit configurations at the times of a cron line (UTC). Workers keep the schedules."""


@schedule.command()
@click.argument("patterns", metavar="LEAF...", nargs=-1, required=True)
@click.option("--cron", required=True, help="Minute, hour, day, month, weekday: '0 2 * * *'.")
@click.option("--name", help="What it is called; by default what its first LEAF suggests.")
@publish_option
@catalogue_option
def add(
    patterns: tuple[str, ...], *, cron: str, name: str | None, publish: str, start: Path
) -> None:
    """Add a schedule, or replace the one of that name.

    Patterns are read each time, so configurations that are added later are submitted too.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.run.context import RunOptions
    from osqual.settings import load_settings
    from osqual.work_queue.app import open_queue
    from osqual.work_queue.schedules import check_cron, name_for

    check_cron(cron)
    catalogue = open_catalogue(start)
    chosen = catalogue.select(patterns)
    name = name or name_for(patterns)
    with open_queue(load_settings(catalogue.root, os.environ)) as queue:
        queue.fleet.add_schedule(name, cron, patterns, RunOptions(publish=publish).document())
    click.echo(f"{name}: {len(chosen)} configurations now, at {cron} (UTC)")


@schedule.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the schedules, and when each is due next."""
    from osqual.work_queue.app import open_queue
    from osqual.work_queue.schedules import next_at

    with open_queue(current_settings()) as queue:
        found, now = queue.fleet.schedules(), queue.fleet.now()
    rows = [
        {
            "name": each.name,
            "cron": each.cron,
            "patterns": list(each.patterns),
            "next": next_at(each, now),
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
        return
    for each in found:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(next_at(each, now)))
        click.echo(f"{each.name:<20} {each.cron:<16} {when}  {' '.join(each.patterns)}")
    if not found:
        click.echo("There is no schedule.", err=True)


@schedule.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a schedule. What it has submitted stays in the queue."""
    from osqual.errors import NotFound
    from osqual.work_queue.app import open_queue

    with open_queue(current_settings()) as queue:
        if not queue.fleet.remove_schedule(name):
            raise NotFound(
                f"There is no schedule {name!r}.", resolution="`osqual schedule list` lists them"
            )
    click.echo(f"{name}: removed")
