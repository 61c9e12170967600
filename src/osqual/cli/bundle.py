"""`osqual bundle`: everything about a run in one archive."""

import os
from pathlib import Path

import click

from osqual.cli.common import current_settings, json_option, print_json

EPILOG = """\b
Examples:
  osqual bundle latest
  osqual bundle latest -o evidence.tar.gz

In it: record, attestation, JUnit, logs, consoles, inputs, a report to read
(report.html), what repeats the run (reproduce.txt), and SHA256SUMS.
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="RUN")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: RUN.tar.gz"
)
@json_option
def bundle(*, name: str, output: Path | None, as_json: bool) -> None:
    """Write everything about RUN into one archive; secrets of the environment are blanked.

    RUN is a run's id, a part of it that fits no other, or `latest`.
    """
    from osqual.errors import InfrastructureError, UsageError
    from osqual.report.bundle import write_bundle
    from osqual.secrecy import Secrecy
    from osqual.store.store import ENDED, open_store

    store = open_store(current_settings())
    run = store.run(name)
    if run["status"] != ENDED:
        raise UsageError(
            f"The run {run['id']} has not ended.", resolution="wait for it, or `osqual resume`"
        )
    path = output or Path(f"{run['id']}.tar.gz")
    try:
        members = write_bundle(path, store, run, Secrecy(os.environ))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InfrastructureError(f"The archive {path} cannot be written: {error}") from error
    if as_json:
        print_json({"run": run["id"], "file": str(path), "members": members})
    else:
        click.echo(f"{path}: {len(members)} files, {path.stat().st_size // 1024} KB")
