"""`osqual resume`: go on with runs whose process has died."""

import click

from osqual.cli.common import (
    current_settings,
    jobs_option,
    json_option,
    log_format_option,
    quiet_option,
    verbose_option,
)


@click.command()
@click.argument("names", metavar="[RUN]...", nargs=-1)
@jobs_option
@verbose_option
@quiet_option
@log_format_option
@json_option
def resume(
    names: tuple[str, ...],
    *,
    jobs: int | None,
    verbose: bool,
    quiet: bool,
    log_format: str,
    as_json: bool,
) -> int:
    """Go on with each RUN whose process has died (default: all of this state directory).

    Steps that have ended do not run again. Machines and jobs that still run are taken over; what
    is gone is made again, or the run ends as inconclusive, with the reason. RUN is a run's id, a
    part of it that fits no other, or `latest`.
    """
    from osqual.cli.running import Showing, resume_all

    showing = Showing(as_json=as_json, verbose=verbose, quiet=quiet, log_format=log_format)
    return resume_all(names, current_settings(), showing, jobs)
