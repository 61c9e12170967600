"""What the commands that change a catalogue share: options, the diff, and the writing."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import filters_of
from osqual.cli.common import json_option, print_json
from osqual.cli.tables import printable

if TYPE_CHECKING:
    from osqual.catalogue.catalogue import Catalogue
    from osqual.changes.draft import Draft, FileChange
    from osqual.model import Configuration

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_HEADERS = ("diff ", "+++ ", "--- ")


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How a command is to go about its changes."""

    dry_run: bool
    force: bool
    quiet: bool
    as_json: bool


def change_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--dry-run, --force, --quiet and --json, which the command gets as `writing`."""

    @wraps(command)
    def gathered(*, dry_run: bool, force: bool, quiet: bool, as_json: bool, **others: Any) -> Any:
        writing = Writing(dry_run=dry_run, force=force, quiet=quiet, as_json=as_json)
        return command(writing=writing, **others)

    options = (
        json_option,
        click.option("-q", "--quiet", is_flag=True, help="Do not show the diff."),
        click.option("--force", is_flag=True, help="Overwrite changes that are not committed."),
        click.option("-n", "--dry-run", is_flag=True, help="Show the diff and write nothing."),
    )
    for option in options:
        gathered = option(gathered)
    return gathered


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


def carry_out(draft: "Draft", writing: Writing, facts: Mapping[str, Any]) -> bool:
    """Show what is planned and write it; False when there is nothing to change.

    A dry run refuses what the real one would refuse. As JSON the facts are told beside the files.
    """
    from osqual.changes.apply import apply
    from osqual.changes.diff import format_diff
    from osqual.changes.uncommitted import refuse_uncommitted

    changes = draft.changes()
    if changes and not writing.force:
        refuse_uncommitted(draft.root, changes)
    if not writing.quiet and not writing.as_json:
        show_diff(format_diff(changes))
    if changes and not writing.dry_run:
        apply(draft.root, changes)
    if writing.as_json:
        files = [file_document(change, with_diff=not writing.quiet) for change in changes]
        print_json({"dry_run": writing.dry_run, "files": files, **facts})
    _summarise(changes, dry_run=writing.dry_run)
    return bool(changes)


def _summarise(changes: Sequence["FileChange"], *, dry_run: bool) -> None:
    kinds = Counter(change.kind for change in changes)
    told = ", ".join(
        f"{kinds[kind]} {kind}" for kind in ("changed", "added", "removed") if kinds[kind]
    )
    if not changes:
        click.echo("Nothing to change.", err=True)
    elif dry_run:
        click.secho(f"Dry run: {told}, nothing written.", bold=True, err=True)
    else:
        click.secho(f"Files: {told}.", bold=True, err=True)


def file_document(change: "FileChange", *, with_diff: bool) -> dict[str, Any]:
    """One file's change for scripts; its diff is what git would show."""
    from osqual.changes.diff import format_diff

    document = {
        "path": change.path,
        "change": change.kind,
        "copied_from": change.copied_from,
        "executable": change.executable,
    }
    return {**document, "diff": format_diff([change])} if with_diff else document


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
