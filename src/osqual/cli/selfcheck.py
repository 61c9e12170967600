"""`osqual selfcheck`: whether what osqual relies on holds here."""

from pathlib import Path

import click

from osqual.cli.common import (
    catalogue_option,
    json_option,
    print_json,
    quiet_option,
    verbose_option,
)

EPILOG = """\b
Examples:
  osqual selfcheck isolation LEAF
  osqual selfcheck isolation LEAF --rounds 10 --seed 7

Exit codes: 0 when every test came out the same both ways, 1 when one did not,
3 when a run gave no results to compare.
"""


@click.group()
def selfcheck() -> None:
    """Check what osqual itself relies on."""


@selfcheck.command(epilog=EPILOG)
@click.argument("leaf")
@click.option("--rounds", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides the orders.")
@verbose_option
@quiet_option
@json_option
@catalogue_option
def isolation(
    leaf: str,
    *,
    rounds: int,
    seed: int,
    verbose: bool,
    quiet: bool,
    as_json: bool,
    start: Path,
) -> int:
    """Run LEAF's suites on forks and on new clusters, shuffled, and compare every outcome.

    Each round has an order of its own, the same both ways. Nothing is published.
    """
    import os

    from osqual.catalogue.catalogue import open_catalogue
    from osqual.cli.running import Showing, session, show_one
    from osqual.errors import UsageError
    from osqual.operations.comparing import compare_rounds
    from osqual.settings import load_settings

    catalogue = open_catalogue(start)
    configuration, *others = catalogue.select((leaf,))
    if others:
        raise UsageError(f"{leaf} is more than one configuration.", resolution="name one of them")
    settings = load_settings(catalogue.root, os.environ)
    with session(settings) as (engine, progress):
        found = compare_rounds(
            catalogue,
            configuration,
            engine,
            seeds=range(seed, seed + rounds),
            shown=lambda: show_one(progress, Showing(verbose=verbose, quiet=quiet)),
        )
    if as_json:
        print_json(found.document())
    else:
        click.echo("\n".join(found.lines()))
    return int(found.exit_code)
