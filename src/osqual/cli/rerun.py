"""`osqual rerun`: once more on the image of an earlier run."""

import os
from pathlib import Path

import click

from osqual.cli.common import (
    current_settings,
    isolation_option,
    json_option,
    keep_option,
    quiet_option,
    verbose_option,
)

EPILOG = """\b
Examples:
  osqual rerun
  osqual rerun 20261123-001805-4149a8 --failed --keep on-failure

Exit codes are those of `osqual run`.
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="RUN", default="latest")
@click.option(
    "--failed",
    is_flag=True,
    help="Only the tests that failed then; such a run is no qualification.",
)
@keep_option
@isolation_option
@verbose_option
@quiet_option
@json_option
def rerun(
    name: str,
    *,
    failed: bool,
    keep: str,
    isolation: str | None,
    verbose: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run the tests of an earlier run again, on the image that it built.

    Everything but the image is as it is now: profile, product, tests, mutes. Nothing is published:
    where nothing has changed, `osqual run` finds the image too.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.cli.running import Showing, run_all
    from osqual.errors import UsageError
    from osqual.model import Isolation, KeepPolicy
    from osqual.run.context import RunOptions
    from osqual.settings import load_settings
    from osqual.store.store import open_store

    store = open_store(current_settings())
    run = store.run(name)
    bad = [row for row in store.results(run["id"]) if row["outcome"] in ("fail", "error")]
    store.close()
    if failed and not bad:
        raise UsageError(f"No test of the run {run['id']} failed.")
    catalogue = open_catalogue(Path(run["catalogue"]))
    configuration = catalogue.configuration(catalogue.root / run["configuration"])
    options = RunOptions(
        image_of=run["id"],
        only=tuple((row["suite"], row["test_id"]) for row in bad) if failed else (),
        keep=KeepPolicy(keep),
        isolation=Isolation(isolation) if isolation else None,
        publish="none",
    )
    settings = load_settings(catalogue.root, os.environ)
    showing = Showing(as_json=as_json, verbose=verbose, quiet=quiet)
    return run_all(catalogue, [configuration], options, settings, showing, jobs=1)
