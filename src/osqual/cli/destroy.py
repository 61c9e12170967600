"""`osqual destroy`: end what a run left or kept."""

from pathlib import Path

import click

from osqual.cli.common import current_settings


@click.command()
@click.argument("name", metavar="RUN")
def destroy(name: str) -> None:
    """End everything that RUN still has: machines, disks, sockets, keys. Evidence stays.

    RUN is a run's id, a part of it that fits no other, or `latest`. Safe to repeat.
    """
    from osqual.cli.running import entering
    from osqual.errors import UsageError
    from osqual.pipeline.resume import close_run
    from osqual.pipeline.workflow import end_resources
    from osqual.report.runs import run_state
    from osqual.store.store import open_store

    settings = current_settings()
    store = open_store(settings)
    run = store.run(name)
    if run_state(run) == "running":
        raise UsageError(
            f"The run {run['id']} is still going on.",
            resolution=f"stop it with `osqual cancel {run['id']}`; it ends its machines itself",
        )
    with entering(settings, store, f"osqual destroy {run['id']}") as engine:
        if run_state(run) == "died":
            ended = len(store.resources(run_id=run["id"]))
            reason = "The process of the run died; `osqual destroy` ended what it had."
            close_run(run, reason, engine, also_kept=True)
        else:
            ended = end_resources(run["id"], Path(run["directory"]), engine)
    click.echo(f"{run['id']}: {ended} ended, nothing is left." if ended else "Nothing was left.")
