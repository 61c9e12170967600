"""`osqual queue`: what waits, and what is worked on."""

import click

from osqual.cli.common import current_settings, json_option, print_json


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@json_option
def queue(*, everything: bool, as_json: bool) -> None:
    """List the jobs that wait or that workers do, with their runs.

    `osqual cancel job-N` takes one out of the queue, or has its run stop and clean up.
    """
    from osqual.work_queue.app import open_queue
    from osqual.work_queue.jobs import job_lines, jobs

    with open_queue(current_settings()) as opened:
        found = jobs(opened, everything=everything)
    if as_json:
        print_json(found)
    elif found:
        click.echo("\n".join(job_lines(found)))
    else:
        click.echo("Nothing waits, and nothing is worked on.", err=True)
