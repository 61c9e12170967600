"""What the commands that change a catalogue share: options, the diff, and the writing."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from osqual.cli.catalogue_options import filters_of
from osqual.cli.tables import printable

if TYPE_CHECKING:
    from osqual.catalogue.catalogue import Catalogue
    from osqual.changes.draft import Draft
    from osqual.model import Configuration

F = TypeVar("F", bound=Callable[..., Any])

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_HEADERS = ("diff ", "+++ ", "--- ")


def change_options(command: F) -> F:
    """--dry-run, --force and --quiet."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Do not show the diff."),
        click.option("--force", is_flag=True, help="Overwrite changes that are not committed."),
        click.option("-n", "--dry-run", is_flag=True, help="Show the diff and write nothing."),
    ):
        command = option(command)
    return command


def choose(
    catalogue: "Catalogue", patterns: Sequence[str], dimensions: dict[str, Any]
) -> list["Configuration"]:
    """The configurations that are to be changed; all of them only when that is said.

    Raises UsageError when nothing was named, and NotFound when nothing is meant.
    """
    from osqual.errors import NotFound, UsageError

    filters = filters_of(catalogue, dimensions)
    if not patterns and not filters.conditions:
        raise UsageError(
            "Nothing says which configurations are meant.",
            resolution="name directories or patterns such as 'centos/7.8/**' ('**' means all), or "
            "filter by dimensions such as --os centos",
        )
    chosen = [item for item in catalogue.select(patterns) if filters.matches(item.dimensions)]
    if not chosen:
        raise NotFound(
            "No configuration meets all of that.",
            resolution="`osqual find` with the same filters shows the nearest",
        )
    return chosen


def carry_out(draft: "Draft", *, dry_run: bool, force: bool, quiet: bool) -> bool:
    """Show what is planned and write it; False when there is nothing to change.

    A dry run refuses what the real one would refuse.
    """
    from osqual.changes.apply import apply
    from osqual.changes.diff import format_diff
    from osqual.changes.uncommitted import refuse_uncommitted

    changes = draft.changes()
    if not changes:
        click.echo("Nothing to change.", err=True)
        return False
    if not force:
        refuse_uncommitted(draft.root, changes)
    if not quiet:
        show_diff(format_diff(changes))
    created = sum(change.before is None for change in changes)
    removed = sum(change.after is None for change in changes)
    counts = {
        "changed": len(changes) - created - removed,
        "added": created,
        "removed": removed,
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if dry_run:
        click.secho(f"Dry run: {told}, nothing written.", bold=True, err=True)
    else:
        apply(draft.root, changes)
        click.secho(f"Files: {told}.", bold=True, err=True)
    return True


def show_diff(text: str) -> None:
    """A diff on standard output; in colour, and with control characters visible, on a terminal."""
    if not sys.stdout.isatty():
        click.echo(text.encode(errors="surrogateescape"), nl=False)
        return
    for line in text.split("\n")[:-1]:
        bold = line.startswith(_HEADERS)
        colour = None if bold else _COLOURS.get(line[:1])
        shown = "\t".join(printable(part) for part in line.split("\t"))
        click.secho(shown, fg=colour, bold=bold or None)


def tell(lines: Iterable[str], *, colour: str | None = None) -> None:
    """Lines about the change, on standard error, so that the diff can be piped."""
    for line in lines:
        click.secho(printable(line), fg=colour, err=True)
