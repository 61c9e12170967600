"""`osqual site`: the catalogue and its runs as pages to look at."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osqual.cli.common import (
    catalogue_option,
    json_option,
    print_json,
    runs_each_option,
    title_option,
)
from osqual.cli.tables import print_problems

if TYPE_CHECKING:
    from osqual.settings import Settings
    from osqual.store.store import Store

EPILOG = """\b
Examples:
  osqual site build OUT/
  osqual site build public/ --title 'Images of our cluster'
  osqual site build OUT/ --no-runs

Open OUT/index.html in a browser, or copy OUT/ to any web server. The pages
need no server and ask no other host for anything.
"""


@click.group()
def site() -> None:
    """The support matrix, runs, tests, images and mutes as a static site."""


@site.command(epilog=EPILOG)
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@title_option
@runs_each_option(", from the store of this machine")
@click.option("--no-runs", is_flag=True, help="Only what the catalogue itself tells.")
@json_option
@catalogue_option
def build(
    out: Path, *, title: str | None, runs_each: int, no_runs: bool, as_json: bool, start: Path
) -> None:
    """Write the site into OUT.

    It is made from the catalogue: its files, records, build histories and mutes. Runs that the
    store remembers add their steps, their tests with output, and the ends of consoles.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.errors import UsageError
    from osqual.settings import load_settings
    from osqual.site.build import Wish, build_site
    from osqual.site.writer import SiteWriter

    catalogue = open_catalogue(start, environ=os.environ)
    settings = load_settings(catalogue.root, os.environ)
    store = None if no_runs else existing_store(settings)
    try:
        wish = Wish(
            catalogue=catalogue,
            title=title or catalogue.root.name,
            store=store,
            only_here=settings.store is None,
            runs_each=runs_each,
        )
        built = build_site(wish, SiteWriter(root=out))
    except OSError as error:
        raise UsageError(
            f"The site cannot be written to {out}.",
            details=str(error),
            resolution="name a directory that you may write to, with room",
        ) from error
    finally:
        if store is not None:
            store.close()
    print_problems(built.problems)
    if as_json:
        print_json(
            {
                "index": str(out / "index.html"),
                "configurations": built.configurations,
                "runs": built.runs,
                "tests": built.tests,
                "mutes": built.mutes,
                "problems": [str(problem) for problem in built.problems],
            }
        )
        return
    click.echo(f"{out / 'index.html'}")
    click.echo(
        f"{built.configurations} configurations, {built.runs} runs, {built.tests} tests, "
        f"{built.mutes} mutes",
        err=True,
    )


def existing_store(settings: "Settings") -> "Store | None":
    """The store, if anything was ever run: making a site makes none."""
    from osqual.store.store import open_store

    there = settings.store is not None or (settings.directories.state / "store.db").exists()
    return open_store(settings) if there else None
