"""`osqual run`: qualify configurations, or say what would happen."""

import os
from pathlib import Path

import click

from osqual.cli.common import (
    catalogue_option,
    isolation_option,
    jobs_option,
    json_option,
    keep_option,
    keywords_option,
    log_format_option,
    publish_option,
    quiet_option,
    verbose_option,
)

EPILOG = """\b
Examples:
  osqual run debian/12/qemu/swarm-20.10/docker-20.10 --dry-run
  osqual run debian/12/qemu/swarm-20.10/docker-20.10
  osqual run 'debian/**' --keep on-failure --publish none
  osqual run 'debian/**' --jobs 4      (four at a time; auto: what fits)
  osqual run 'debian/**' --reuse --audit 5%
  osqual run LEAF -k test_overlay      (only these tests; never published)

Exit codes: 0 qualified, 1 rejected, 2 wrong input (recorded as inconclusive),
3 inconclusive for another reason, 4 clean-up incomplete, 75 another osqual is
at work, 130 interrupted. With several configurations the highest counts.
"""


def parse_share(_context: click.Context, _option: click.Parameter, value: str) -> float:
    """`5%` or `0.05`."""
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{value!r} is no share such as 5% or 0.05")
    return share


@click.command(epilog=EPILOG)
@click.argument("leaves", metavar="LEAF...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Check everything and say what would happen.")
@keywords_option(
    "Run only tests whose name contains TEST; repeatable. Such a run is never published."
)
@keep_option
@isolation_option
@click.option(
    "--builder",
    type=click.Choice(["layered", "packer"]),
    help="Who builds the image: osqual's layers (default for qemu templates) or stock Packer.",
)
@publish_option
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="USD",
    help="Refuse a run whose cluster is estimated to cost more (aws.prices in osqual.yaml).",
)
@click.option(
    "--max-total-cost",
    type=click.FloatRange(min=0),
    metavar="USD",
    help="The same for all runs of this command together.",
)
@click.option(
    "--reuse/--no-reuse",
    default=None,
    help="Take over the verdict of an earlier run when nothing that it rests on has changed "
    "(default: reuse_verdicts in osqual.yaml).",
)
@click.option(
    "--audit",
    metavar="SHARE",
    default="0",
    callback=parse_share,
    help="With --reuse: do this share of such runs all the same, such as 5%.",
)
@click.option("--cold", is_flag=True, help="Build without layers, from the base image up.")
@jobs_option
@verbose_option
@quiet_option
@log_format_option
@json_option
@catalogue_option
def run(
    leaves: tuple[str, ...],
    *,
    dry_run: bool,
    keywords: tuple[str, ...],
    keep: str,
    isolation: str | None,
    builder: str | None,
    publish: str,
    reuse: bool | None,
    audit: float,
    cold: bool,
    jobs: int | None,
    max_cost: float | None,
    max_total_cost: float | None,
    verbose: bool,
    quiet: bool,
    log_format: str,
    as_json: bool,
    start: Path,
) -> int:
    """Qualify configurations: build the image, boot a cluster, install, test, judge, publish.

    LEAF is a configuration's directory, a directory above several, or a glob such as 'debian/**'.
    Several run side by side as far as memory, processors, disk and the limits of osqual.yaml have
    room; those that share a recipe wait for one build, and one failing never stops the others.
    Everything that is started is ended again, however the run goes.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.cli.running import Showing, preview_all, run_all
    from osqual.model import Isolation, KeepPolicy
    from osqual.run.context import RunOptions
    from osqual.settings import load_settings

    catalogue = open_catalogue(start)
    settings = load_settings(catalogue.root, os.environ)
    chosen = catalogue.select(leaves)
    options = RunOptions(
        keywords=keywords,
        keep=KeepPolicy(keep),
        isolation=Isolation(isolation) if isolation else None,
        builder=builder,
        publish=publish,
        cold=cold,
        reuse=settings.reuse_verdicts if reuse is None else reuse,
        audit=audit,
        max_cost_usd=limit_of_each(max_cost, max_total_cost, len(chosen)),
    )
    if dry_run:
        return preview_all(catalogue, chosen, options, settings, as_json=as_json)
    showing = Showing(as_json=as_json, verbose=verbose, quiet=quiet, log_format=log_format)
    return run_all(catalogue, chosen, options, settings, showing, jobs)


def limit_of_each(each: float | None, together: float | None, runs: int) -> float | None:
    """What one run may cost: its own limit, and an equal share of the one for all."""
    limits = [each] if each is not None else []
    limits += [together / max(1, runs)] if together is not None else []
    return min(limits, default=None)
