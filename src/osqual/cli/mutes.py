"""`osqual mutes`: what does not count, where, why and since when."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import CatalogueCommand, complete_leaf, filters_of
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import print_problems, print_table
from osqual.formats.times import iso

if TYPE_CHECKING:
    from datetime import date

    from osqual.mutes.inventory import MutedTest

NAMES_SHOWN = 4

EPILOG = """\b
Examples:
  osqual mutes
  osqual mutes --no-ticket --os rhel
  osqual mutes --test 'test_vip*' --json
  osqual mutes --expired
  osqual mutes --lift | git apply

Entries of mutes.yaml, tests that `-k 'not …'` leaves out, and the files that a
hand-picked list in tests_to_run leaves out. -k hides every test whose name
contains the word: `not test_vip` hides test_vip_ipv6 too, and the note says
so. Reasons and tickets of -k and of lists come from the comments above them.
"""


@click.command(cls=CatalogueCommand, epilog=EPILOG)
@click.argument("paths", nargs=-1, shell_complete=complete_leaf)
@click.option("--expired", is_flag=True, help="Only mutes whose last day has passed.")
@click.option("--no-ticket", is_flag=True, help="Only mutes without a ticket.")
@click.option(
    "--test",
    "tests",
    metavar="NAME",
    multiple=True,
    help="Only what mutes this test or file, or a glob of names; also by a part of the name.",
)
@click.option(
    "--lift",
    is_flag=True,
    help="Propose as a patch that the mutes go whose tests pass; nothing is written.",
)
@click.option(
    "--passes",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="With --lift: how often in a row a muted test has to pass, wherever it runs.",
)
@json_option
@catalogue_option
def mutes(
    *,
    paths: tuple[str, ...],
    expired: bool,
    no_ticket: bool,
    tests: tuple[str, ...],
    lift: bool,
    passes: int,
    as_json: bool,
    start: Path,
    **dimensions: Any,
) -> None:
    """Every muted test: where, how, since when, until when, and why."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.mutes.inventory import read_inventory

    catalogue = open_catalogue(start)
    if lift:
        from osqual.cli.lifting import propose

        propose(catalogue, passes, datetime.now(UTC).date(), as_json=as_json)
        return
    filters = filters_of(catalogue, dimensions)
    chosen = [item for item in catalogue.select(paths) if filters.matches(item.dimensions)]
    inventory = read_inventory(catalogue, chosen)
    print_problems(inventory.problems)
    today = datetime.now(UTC).date()
    found = [
        item
        for item in inventory.muted
        if (not expired or item.expired(today))
        and (not no_ticket or not item.ticket)
        and (not tests or any(_concerns(item, name) for name in tests))
    ]
    if as_json:
        print_json([_document(item, today) for item in found])
        return
    print_table(
        ("test", "how", "where", "since", "until", "ticket", "note"),
        [_row(item, today) for item in found],
    )
    if not found:
        click.echo("Nothing is muted." if not inventory.muted else "No such mute.", err=True)


def _concerns(item: "MutedTest", name: str) -> bool:
    """Whether a mute hides a test or file of this name (or glob)."""
    from osqual.catalogue.globs import glob_matcher, is_glob
    from osqual.mutes.inventory import How
    from osqual.mutes.pattern import matches_test

    hidden = (item.test, *item.also_hides, *item.left_out)
    if is_glob(name):
        matcher = glob_matcher(name)
        return any(matcher(one) for one in hidden)
    if item.how is How.KEYWORD and item.test.lower() in name.lower():
        return True
    return name in hidden or matches_test(item.test, name) or matches_test(name, item.test)


def _row(item: "MutedTest", today: "date") -> tuple[str, ...]:
    where = f"{item.source}:{item.line}" if item.line else item.source
    if len(item.configurations) > 1:
        where += f" ({len(item.configurations)} configurations)"
    until = item.until.isoformat() if item.until else ""
    return (
        item.test,
        item.how.value,
        where,
        item.since.date().isoformat() if item.since else "",
        f"{until} (expired)" if item.expired(today) else until,
        item.ticket,
        _note(item),
    )


def _note(item: "MutedTest") -> str:
    parts = []
    if item.also_hides:
        parts.append(f"also hides {_names(item.also_hides)}")
    if item.left_out:
        parts.append(f"leaves out {_names(item.left_out)}")
    if item.reason and item.reason != item.ticket:
        parts.append(item.reason)
    return "; ".join(parts)


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _document(item: "MutedTest", today: "date") -> dict[str, Any]:
    return {
        "test": item.test,
        "how": item.how.value,
        "file": item.source,
        "line": item.line or None,
        "configurations": [configuration.path for configuration in item.configurations],
        "scope": {name: list(values) for name, values in item.scope.items()},
        "reason": item.reason or None,
        "ticket": item.ticket or None,
        "owner": item.owner or None,
        "since": iso(item.since) if item.since else None,
        "until": item.until.isoformat() if item.until else None,
        "expired": item.expired(today),
        "runs": item.runs,
        "also_hides": list(item.also_hides),
        "leaves_out": list(item.left_out),
    }
