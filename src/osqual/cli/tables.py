"""Plain tables for terminals and pipes: aligned, stable, and safe against what they show."""

import sys
from collections.abc import Iterable, Sequence, Sized

import click

from osqual.errors import InvalidFile


def printable(text: str) -> str:
    """The text with control characters made visible, so that no file can steer the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns below a header; nothing where there is no row."""
    cells = [
        row if "".join(row).isprintable() else [printable(cell) for cell in row] for row in rows
    ]
    if not cells:
        return
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    line = "  ".join(f"{{:<{width}}}" for width in widths).format
    click.secho(line(*(name.upper() for name in header)).rstrip(), bold=True)
    sys.stdout.write("".join(f"{line(*row).rstrip()}\n" for row in cells))


def print_problems(problems: Iterable[InvalidFile], limit: int = 10) -> None:
    """Broken files, on standard error: they never stop a command about the others."""
    found = sorted(set(map(str, problems)))
    for problem in found[:limit]:
        click.secho(f"warning: {printable(problem.splitlines()[0])}", fg="yellow", err=True)
    if len(found) > limit:
        click.secho(
            f"warning: {len(found) - limit} more files are broken; `osqual lint` names all",
            fg="yellow",
            err=True,
        )


def print_broken(
    broken: Iterable[tuple[str, str]], causes_limit: int = 10, paths_limit: int = 3
) -> None:
    """Configurations (path, reason) that cannot be used, by cause; on standard error."""
    causes: dict[str, list[str]] = {}
    for path, reason in broken:
        causes.setdefault(reason.removeprefix(f"{path}: "), []).append(path)
    widest = sorted(causes.items(), key=lambda cause: -len(cause[1]))
    for reason, paths in widest[:causes_limit]:
        several = len(paths) > 1
        who = counted(paths, "configuration") if several else printable(paths[0])
        click.secho(f"broken {who}: {printable(reason)}", fg="yellow", err=True)
        for path in paths[:paths_limit] if several else ():
            click.echo(f"  {printable(path)}", err=True)
        if len(paths) > paths_limit:
            click.echo(f"  and {len(paths) - paths_limit} more; --json names all", err=True)
    left = sum(len(paths) for _, paths in widest[causes_limit:])
    if left:
        click.secho(f"and {left} more are broken; --json names all", fg="yellow", err=True)


def counted(items: Sized, noun: str) -> str:
    """`1 recipe`, `2 recipes`."""
    return f"{len(items)} {noun}" + ("" if len(items) == 1 else "s")
