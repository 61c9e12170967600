"""`osqual cancel`: stop a run from another terminal."""

import time

import click

from osqual.cli.common import current_settings

POLL_S = 0.5


@click.command()
@click.argument("name", metavar="RUN", default="latest")
@click.option("--wait", is_flag=True, help="Return once the run has ended.")
def cancel(name: str, *, wait: bool) -> None:
    """Stop RUN (default: the latest) as Ctrl-C would: it ends everything that it has started.

    Asked a second time, the run stops waiting for its clean-up, records what is left and exits
    with 4. RUN is a run's id, a part of it that fits no other, or `latest`; or a job of the queue
    (`job-12`), which is taken out of it, or whose worker has the run stop.
    """
    if name.startswith("job-"):
        cancel_job(name)
        return
    from osqual.errors import UsageError
    from osqual.report.runs import run_state
    from osqual.store.store import open_store

    store = open_store(current_settings())
    run = store.run(name)
    state = run_state(run)
    if state == "died":
        raise UsageError(
            f"The process of the run {run['id']} has died; there is nobody to ask.",
            resolution=f"`osqual resume {run['id']}` goes on with it, `osqual destroy {run['id']}` "
            "ends what it left",
        )
    if state != "running":
        raise UsageError(f"The run {run['id']} has ended: {state}.")
    again = store.ask_to_cancel(run["id"]) > 1
    click.echo(
        f"{run['id']}: asked to stop " + ("without waiting." if again else "and to clean up.")
    )
    while wait and run_state(store.run(run["id"])) == "running":
        time.sleep(POLL_S)


def cancel_job(name: str) -> None:
    """Cancel a job that workers have, or that waits for one."""
    from osqual.work_queue.app import open_queue
    from osqual.work_queue.jobs import cancel as cancel_it
    from osqual.work_queue.jobs import parse_job

    job = parse_job(name)
    if job is None:
        raise click.BadParameter(f"{name!r} is no job: `osqual queue` lists them")
    with open_queue(current_settings()) as queue:
        click.echo(f"{name}: {cancel_it(job, queue)}.")
