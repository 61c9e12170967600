"""`osqual mute` and `osqual unmute`: whether the failure of a test counts, where and until when."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.changing import Writing, carry_out, change_options, tell
from osqual.cli.common import catalogue_option
from osqual.cli.tables import counted

if TYPE_CHECKING:
    from osqual.catalogue.catalogue import Catalogue
    from osqual.mutes.mute import Mute

MUTE_EPILOG = """\b
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

UNMUTE_EPILOG = """\b
Examples:
  osqual unmute test_vip_ipv6
  osqual unmute test_vip_ipv6 --scope os=rhel
  osqual unmute 'test_metrics_*' --at centos/7.8

Removes the entries whose test is written just like that, from every mutes.yaml
or from those at and below a directory. With --scope, only the entries that
have just this scope.
"""


def _which(*, scope: str, at: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Which entries are meant, with the help of each option."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--at", "directory", metavar="DIRECTORY", help=at),
            click.option("--scope", "scopes", multiple=True, metavar="DIMENSION=VALUE", help=scope),
            click.argument("tests", metavar="TEST...", nargs=-1, required=True),
        ):
            command = option(command)
        return command

    return add


def parse_until(ctx: click.Context, param: click.Parameter, value: datetime | None) -> date | None:
    """The day of a --until."""
    return value.date() if value is not None else None


@click.command(epilog=MUTE_EPILOG)
@_which(
    scope="Only there: a name, a glob or a comparison; repeatable.",
    at="Where the entry goes (the root).",
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
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    metavar="SIGNATURE|any",
    help="Only this failure, as `osqual why` names it, or any; repeatable. Without it: the first "
    "failure that the mute meets in a configuration.",
)
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
    signatures: tuple[str, ...],
    directory: str | None,
    writing: Writing,
    start: Path,
) -> None:
    """Mute tests: they run, but their failure does not count."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.draft import Draft
    from osqual.changes.mute_entries import Entry, parse_scope, plan_mute
    from osqual.mutes.product_tests import unknown_to_products
    from osqual.settings import load_settings

    catalogue = open_catalogue(start)
    settings = load_settings(catalogue.root)
    draft = Draft(catalogue.root)
    at = _directory(catalogue, directory)
    today = datetime.now(UTC).date()
    facts = []
    for test in tests:
        entry = Entry(
            test=test.strip(),
            scope=parse_scope(scopes),
            reason=reason.strip(),
            ticket=ticket.strip(),
            owner=owner.strip(),
            until=until,
            run="never" if do_not_run else "",
            signature=signatures,
        )
        muted = plan_mute(catalogue, draft, at, entry, today)
        paths = [item.path for item in muted.configurations]
        what = "changes the entry of" if muted.updated else "mutes"
        tell([f"{muted.place}: {what} {test} for {counted(paths, 'configuration')}"])
        if unknown := unknown_to_products(
            entry.test, muted.configurations, catalogue.root, settings
        ):
            tell([f"warning: {unknown}"], colour="yellow")
        if not entry.ticket and not muted.updated:
            tell(["warning: a mute without a ticket is not followed up"], colour="yellow")
        facts.append(
            {
                "test": entry.test,
                "file": muted.place,
                "updated": muted.updated,
                "configurations": paths,
            }
        )
    carry_out(draft, writing, {"mutes": facts})


@click.command(epilog=UNMUTE_EPILOG)
@_which(
    scope="Only entries with just this scope; repeatable.",
    at="Only at and below this directory.",
)
@change_options
@catalogue_option
def unmute(
    *,
    tests: tuple[str, ...],
    scopes: tuple[str, ...],
    directory: str | None,
    writing: Writing,
    start: Path,
) -> None:
    """Remove mutes of tests, so that their failure counts again."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.draft import Draft
    from osqual.changes.mute_entries import parse_scope, plan_unmute

    catalogue = open_catalogue(start)
    draft = Draft(catalogue.root)
    at = _directory(catalogue, directory)
    scope = parse_scope(scopes) if scopes else None
    removed: list[Mute] = []
    also: list[Mute] = []
    for test in tests:
        unmuted = plan_unmute(catalogue, draft, test.strip(), scope, at)
        removed += unmuted.removed
        also += unmuted.also
    tell(f"{found.source}:{found.line} goes" for found in removed)
    others = (f"{found.source}:{found.line}, as {found.test}" for found in also)
    tell((f"note: still muted by {other}" for other in others), colour="yellow")
    facts = {"removed": _documents(removed), "still_muted_by": _documents(also)}
    carry_out(draft, writing, facts)


def _directory(catalogue: "Catalogue", wanted: str | None) -> str:
    from osqual.changes.mute_entries import directory_for

    return "" if wanted is None else directory_for(catalogue, wanted)


def _documents(mutes: "list[Mute]") -> list[dict[str, Any]]:
    return [{"file": item.source, "line": item.line, "test": item.test} for item in mutes]
