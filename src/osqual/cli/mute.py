"""`osqual mute`: let the failure of a test not count, where and for as long as said."""

from datetime import UTC, date, datetime
from pathlib import Path

import click

from osqual.cli.changing import carry_out, change_options, tell
from osqual.cli.common import catalogue_option

EPILOG = """\b
Examples:
  osqual mute test_vip_ipv6 --scope os=rhel --ticket https://tickets/OS-1 --until 2027-01-31
  osqual mute 'test_metrics_*' --scope 'release>=2.0' --scope docker='19.03.*' --reason '…'
  osqual mute test_gpu --at centos/7.8 --ticket OS-2
  osqual mute test_vip_ipv6 --scope os=rhel --until 2027-06-30     # longer

TEST is a function's name, FILE::NAME, CLASS::NAME or a glob of these; never a
part of a name. Its parameters all match. The entry goes into mutes.yaml at the
root, or with --at into a directory: then it holds for what lies below that.
Repeating a test and scope that are there already changes that entry.
"""


def parse_until(ctx: click.Context, param: click.Parameter, value: datetime | None) -> date | None:
    """The day of a --until."""
    return value.date() if value is not None else None


@click.command(epilog=EPILOG)
@click.argument("tests", metavar="TEST...", nargs=-1, required=True)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="DIMENSION=VALUE",
    help="Only there: a name, a glob or a comparison; repeatable.",
)
@click.option("--ticket", default="", help="Where it is followed up.")
@click.option(
    "--until",
    type=click.DateTime(formats=["%Y-%m-%d"]),
    callback=parse_until,
    metavar="YYYY-MM-DD",
    help="The last day on which it holds.",
)
@click.option("--reason", default="", help="Why.")
@click.option("--owner", default="", help="Who looks after it.")
@click.option("--do-not-run", is_flag=True, help="Do not even run it: it hangs or breaks the rest.")
@click.option("--at", "directory", metavar="DIRECTORY", help="Where the entry goes (the root).")
@change_options
@catalogue_option
def mute(
    *,
    tests: tuple[str, ...],
    scopes: tuple[str, ...],
    ticket: str,
    until: date | None,
    reason: str,
    owner: str,
    do_not_run: bool,
    directory: str | None,
    dry_run: bool,
    force: bool,
    quiet: bool,
    start: Path,
) -> None:
    """Mute tests: they run, but their failure does not count."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.draft import Draft
    from osqual.changes.mute_entries import Entry, directory_for, parse_scope, plan_mute

    catalogue = open_catalogue(start)
    draft = Draft(catalogue.root)
    at = "" if directory is None else directory_for(catalogue, directory)
    today = datetime.now(UTC).date()
    for test in tests:
        entry = Entry(
            test=test.strip(),
            scope=parse_scope(scopes),
            reason=reason.strip(),
            ticket=ticket.strip(),
            owner=owner.strip(),
            until=until,
            run="never" if do_not_run else "",
        )
        muted = plan_mute(catalogue, draft, at, entry, today)
        what = "changes the entry of" if muted.updated else "mutes"
        tell([f"{muted.place}: {what} {test} for {len(muted.configurations)} configurations"])
        if not entry.ticket and not muted.updated:
            tell(["warning: a mute without a ticket is not followed up"], colour="yellow")
    carry_out(draft, dry_run=dry_run, force=force, quiet=quiet)
