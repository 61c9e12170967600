"""`osqual cache`: what is kept between runs only to save time, and getting rid of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from osqual.cli.common import current_settings, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osqual.bases.entries import CacheEntry

DEFAULT_AGE_DAYS = 30
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


def _age(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A number and a unit, as seconds; a plain number counts days."""
    if value is None:
        return None
    text = value.strip().lower()
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "d")
    if not (number.isascii() and number.isdecimal()):
        raise click.BadParameter(f"{value!r} is not an age; write 90m, 12h, 30d or 2w", ctx, param)
    return float(int(number) * _UNITS[unit])


@click.group()
def cache() -> None:
    """Show and prune base images and what they hold, layers, indexes and unfinished downloads.

    Everything here can be made again. Built images are not in the cache.
    """


@cache.command()
@json_option
def show(*, as_json: bool) -> None:
    """List what is in the cache, with size and last use."""
    from osqual.bases.entries import list_entries

    root = current_settings().directories.cache
    entries = list_entries(root)
    if as_json:
        print_json({"directory": str(root), "entries": [_document(entry) for entry in entries]})
        return
    if not entries:
        click.echo(f"The cache is empty: {root}", err=True)
        return
    _print_entries(entries)
    click.echo(f"{_size(sum(entry.size_bytes for entry in entries))} in {root}", err=True)


@cache.command()
@click.option(
    "--older-than",
    "unused_for_s",
    callback=_age,
    metavar="AGE",
    help=f"Remove what was unused for so long: 90m, 12h, 2w.  [default: {DEFAULT_AGE_DAYS}d]",
)
@click.option("--all", "everything", is_flag=True, help="Remove all that is not in use.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
def prune(*, unused_for_s: float | None, everything: bool, dry_run: bool, as_json: bool) -> int:
    """Remove what was not used for a while. What a run or a machine uses stays.

    Exit code 4 when something could not be removed.
    """
    from osqual.bases.prune import prune_cache
    from osqual.errors import ExitCode

    if everything and unused_for_s is not None:
        raise click.UsageError("--all and --older-than exclude each other.")
    if unused_for_s is None:
        unused_for_s = 0.0 if everything else DEFAULT_AGE_DAYS * _UNITS["d"]
    root = current_settings().directories.cache
    pruned = prune_cache(root, unused_for_s=unused_for_s, dry_run=dry_run)
    freed = sum(entry.size_bytes for entry in pruned.removed)
    if as_json:
        print_json(
            {
                "directory": str(root),
                "dry_run": dry_run,
                "removed": [_document(entry) for entry in pruned.removed],
                "in_use": [_document(entry) for entry in pruned.in_use],
                "failed": [{**_document(entry), "problem": why} for entry, why in pruned.failed],
                "freed_bytes": freed,
            }
        )
    else:
        _print_entries(pruned.removed)
        did = "would be removed" if dry_run else "removed"
        click.echo(f"{_size(freed)} {did} from {root}", err=True)
        for entry in pruned.in_use:
            click.echo(f"in use, kept: {entry.kind} {entry.name}", err=True)
        for entry, why in pruned.failed:
            click.echo(f"not removed: {entry.kind} {entry.name}: {why}", err=True)
    return int(ExitCode.CLEANUP_INCOMPLETE if pruned.failed else ExitCode.OK)


def _print_entries(entries: "Sequence[CacheEntry]") -> None:
    from osqual.cli.tables import print_table

    rows = [
        (entry.kind, _size(entry.size_bytes), _date(entry.last_used), entry.name)
        for entry in entries
    ]
    print_table(("kind", "size", "last used", "name"), rows)


def _document(entry: "CacheEntry") -> dict[str, object]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "size_bytes": entry.size_bytes,
        "last_used": entry.last_used,
        "path": str(_main_path(entry)),
    }


def _main_path(entry: "CacheEntry") -> Path:
    return entry.disks[0] if entry.kind == "base" else entry.paths[0]


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _date(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
