"""Plain tables for terminals and pipes: aligned, stable, and safe against what they show."""

import sys
from collections.abc import Iterable, Sequence

import click

from osqual.errors import InvalidFile


def printable(text: str) -> str:
    """The text with control characters made visible, so that no file can steer the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns; the header only where somebody reads it (a terminal)."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    click.secho(_line([name.upper() for name in header], widths), bold=True)
    sys.stdout.write("".join(f"{_line(row, widths)}\n" for row in cells))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


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
