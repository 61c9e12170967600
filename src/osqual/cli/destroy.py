"""`osqual destroy`: end what a run left or kept."""

import os
from pathlib import Path

import click

from osqual.cli.common import current_settings


@click.command()
@click.argument("name", metavar="RUN")
def destroy(name: str) -> None:
    """End everything that RUN still has: machines, disks, sockets, keys. Evidence stays.

    RUN is a run's id, a part of it that fits no other, or `latest`. Safe to repeat.
    """
    from osqual.cancellation import Cancellation
    from osqual.errors import UsageError
    from osqual.report.runs import run_state
    from osqual.resume import close_run
    from osqual.signals import cancel_on_signals
    from osqual.store.lock import orchestrator_lock
    from osqual.store.store import open_store
    from osqual.workflow import Engine, end_resources

    settings = current_settings()
    store = open_store(settings)
    run = store.run(name)
    if run_state(run) == "running":
        raise UsageError(
            f"The run {run['id']} is still going on.",
            resolution=f"stop it with `osqual cancel {run['id']}`; it ends its machines itself",
        )
    cancellation = Cancellation()
    with (
        orchestrator_lock(settings.directories.state, f"osqual destroy {run['id']}"),
        cancel_on_signals(cancellation, lambda text: click.echo(text, err=True)),
    ):
        engine = Engine(
            settings=settings, store=store, cancellation=cancellation, environ=os.environ
        )
        if run_state(run) == "died":
            ended = len(store.resources(run_id=run["id"]))
            reason = "The process of the run died; `osqual destroy` ended what it had."
            close_run(run, reason, engine, also_kept=True)
        else:
            ended = end_resources(run["id"], Path(run["directory"]), engine)
    click.echo(f"{run['id']}: {ended} ended, nothing is left." if ended else "Nothing was left.")
