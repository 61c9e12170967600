"""`osqual reap`: end what nobody needs any more."""

import os
import re
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.common import current_settings, json_option, print_json

if TYPE_CHECKING:
    from osqual.errors import OsqualError
    from osqual.operations.reap import Remains

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_age(_context: click.Context, _option: click.Parameter, value: str) -> float:
    """A time like 90m, 6h or 2d, in seconds."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no age: write 30m, 6h or 2d")
    return float(match[1]) * _UNITS[match[2]]


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be ended, and why; end nothing.")
@click.option(
    "--older-than",
    metavar="AGE",
    callback=parse_age,
    default="0s",
    help="Only what is older: 30m, 6h, 2d.",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    help="Also what tags in this region of the cloud say has expired; repeatable.",
)
@click.option("--all-states", is_flag=True, help="Also other state directories of this user.")
@json_option
def reap(
    *,
    dry_run: bool,
    older_than: float,
    regions: tuple[str, ...],
    all_states: bool,
    as_json: bool,
) -> None:
    """End what died runs left behind: machines, jobs, disks, keys, directories of sockets.

    Found by the store, by expiry, and by marks that every process of a run carries, also when the
    store is lost; in a cloud by tags, whichever machine the run was started on. What was kept with
    --keep stays (`osqual destroy` ends it), and so does what belongs to a run whose process lives.
    Logs and other evidence are never removed.
    """
    from contextlib import nullcontext
    from itertools import chain

    from osqual.cancellation import Cancellation
    from osqual.errors import StateLocked
    from osqual.operations.reap import find_expired, find_remains, other_states, reap_elsewhere
    from osqual.operations.reap import reap as end_all
    from osqual.pipeline.workflow import Engine
    from osqual.processes.signals import cancel_on_signals
    from osqual.store.lock import orchestrator_lock
    from osqual.store.store import open_store

    settings, cancellation = current_settings(), Cancellation()
    documents: list[dict[str, Any]] = []

    def tell(remains: "Remains", failure: "OsqualError | None") -> None:
        documents.append({**remains.document(), "ended": not dry_run and failure is None})
        if not as_json:
            click.echo("\n".join(remains.lines()))

    lock = orchestrator_lock(settings.directories.state, "osqual reap")
    with (
        nullcontext() if dry_run else lock,
        cancel_on_signals(cancellation, lambda text: click.echo(text, err=True)),
    ):
        store = open_store(settings)
        engine = Engine(
            settings=settings, store=store, cancellation=cancellation, environ=os.environ
        )
        try:
            found = find_remains(engine, older_than_s=older_than)
            expired = find_expired(regions, engine, older_than_s=older_than)
            if dry_run:
                for remains in chain(found, expired):
                    tell(remains, None)
            else:
                end_all(chain(found, expired), engine, tell)
            for state in other_states(engine) if all_states else ():
                try:
                    reap_elsewhere(
                        state, engine, older_than_s=older_than, dry_run=dry_run, tell=tell
                    )
                except StateLocked as error:
                    click.echo(f"{state}: {error.details}", err=True)
            kept = sorted({row["run_id"] for row in store.resources() if row["kept"]})
        finally:
            store.close()
            if as_json:
                print_json(documents)
    for run in kept:
        click.echo(f"{run} is kept on purpose: `osqual destroy {run}` ends it.", err=True)
    if not documents and not kept and not as_json:
        click.echo("Nothing is left.", err=True)
