"""`osqual matrix`: which combinations are supported, and who lacks what."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.catalogue.facts import Standing
from osqual.cli.catalogue_options import CatalogueCommand, filters_of
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import print_problems, print_table, printable
from osqual.errors import UsageError

if TYPE_CHECKING:
    from osqual.catalogue.facts import Facts
    from osqual.catalogue.query import Gap, Label, Matrix

SYMBOLS = {
    Standing.QUALIFIED: "+",
    Standing.UNPROVEN: "o",
    Standing.INCONCLUSIVE: "?",
    Standing.REJECTED: "x",
    Standing.NO_IMAGE: "-",
}
COLOURS = {"+": "green", "x": "red", "?": "yellow"}

EPILOG = """\b
Examples:
  osqual matrix
  osqual matrix --rows os,os_version,variant --cols release --release '>=2.0'
  osqual matrix --rows release --cols docker --os rhel --json
  osqual matrix --missing --release 2.0.2

A cell counts its configurations by how they stand: + qualified, o published
without evidence, ? inconclusive, x rejected, - no image. One configuration
is shown without its count; an empty cell has none.
"""


@click.command(cls=CatalogueCommand, epilog=EPILOG)
@click.option(
    "--rows",
    default="os,os_version",
    show_default=True,
    metavar="DIMENSIONS",
    help="What a row has in common.",
)
@click.option(
    "--cols",
    default="release",
    show_default=True,
    metavar="DIMENSIONS",
    help="What a column has in common.",
)
@click.option(
    "--missing", is_flag=True, help="List who lacks what: the cells without a usable image."
)
@json_option
@catalogue_option
def matrix(
    *, rows: str, cols: str, missing: bool, as_json: bool, start: Path, **dimensions: Any
) -> None:
    """The support matrix: how each combination of the catalogue stands."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.catalogue.facts import read_facts
    from osqual.catalogue.query import gaps_of, matrix_of

    catalogue = open_catalogue(start, environ=os.environ)
    row_names = _names(rows, "--rows", catalogue.layout.dimensions)
    column_names = _names(cols, "--cols", catalogue.layout.dimensions)
    filters = filters_of(catalogue, dimensions)
    # A gap is something that is not there, so only the whole catalogue can tell it.
    facts, problems = read_facts(catalogue) if missing else read_facts(catalogue, filters)
    print_problems(problems)
    table = matrix_of(facts, filters, row_names, column_names, catalogue.conventions.aliases)
    if missing:
        gaps = gaps_of(table)
        if as_json:
            print_json([_gap_document(table, gap) for gap in gaps])
        else:
            _print_gaps(table, gaps)
    elif as_json:
        print_json(_document(table))
    elif not facts:
        click.echo("No configuration matches.", err=True)
    else:
        _print_matrix(table)


def _names(text: str, option: str, known: Sequence[str]) -> list[str]:
    names = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(
            f"{option} {text!r} does not name dimensions of this catalogue.",
            resolution=f"choose from {', '.join(known)}, with commas between",
        )
    return list(dict.fromkeys(names))


def _print_matrix(table: "Matrix") -> None:
    heads = [*(name.replace("_", " ").upper() for name in table.row_dimensions)]
    labels = [[part or "none" for part in row] for row in table.rows]
    columns = [
        [_title(column), *(_cell(table.cells.get((row, column), ())) for row in table.rows)]
        for column in table.columns
    ]
    margins = [
        max(len(printable(text)) for text in [heads[i], *(label[i] for label in labels)])
        for i in range(len(heads))
    ]
    for block in _blocks(columns, sum(margins) + 2 * len(margins)):
        widths = [max(map(len, column)) for column in block]
        _print_row(heads, margins, [column[0] for column in block], widths)
        for number, label in enumerate(labels, 1):
            _print_row(label, margins, [column[number] for column in block], widths)
        click.echo()
    click.echo("  ".join(f"{symbol} {standing.value}" for standing, symbol in SYMBOLS.items()))


def _title(column: "Label") -> str:
    return printable(" ".join(part or "none" for part in column))


def _cell(facts: "Sequence[Facts]") -> str:
    parts = []
    for standing, symbol in SYMBOLS.items():
        count = sum(item.standing is standing for item in facts)
        if count:
            parts.append(symbol if len(facts) == 1 else f"{count}{symbol}")
    return " ".join(parts)


def _blocks(columns: list[list[str]], margin: int) -> Iterator[list[list[str]]]:
    """The columns in groups that fit the terminal; all in one where nobody is watching."""
    room = shutil.get_terminal_size().columns - margin if sys.stdout.isatty() else 1 << 30
    block: list[list[str]] = []
    used = 0
    for column in columns:
        width = max(map(len, column)) + 2
        if block and used + width > room:
            yield block
            block, used = [], 0
        block.append(column)
        used += width
    yield block


def _print_row(
    label: Sequence[str], margins: Sequence[int], cells: Sequence[str], widths: Sequence[int]
) -> None:
    start = "".join(
        f"{printable(part):<{width}}  " for part, width in zip(label, margins, strict=True)
    )
    shown = [
        click.style(f"{cell:<{width}}", fg=colour)
        if (colour := COLOURS.get(cell[-1:]))
        else f"{cell:<{width}}"
        for cell, width in zip(cells, widths, strict=True)
    ]
    click.echo((start + "  ".join(shown)).rstrip())


def _print_gaps(table: "Matrix", gaps: "Sequence[Gap]") -> None:
    header = [*table.row_dimensions, *table.column_dimensions, "why", "configurations"]
    print_table(
        [name.replace("_", " ") for name in header],
        [
            (
                *(part or "none" for part in (*gap.row, *gap.column)),
                gap.reason,
                " ".join(item.path for item in gap.facts),
            )
            for gap in gaps
        ],
    )
    if not gaps:
        click.echo("Nothing is missing.", err=True)


def _labels(table: "Matrix", row: "Label", column: "Label") -> dict[str, str | None]:
    names = (*table.row_dimensions, *table.column_dimensions)
    return {name: part or None for name, part in zip(names, (*row, *column), strict=True)}


def _document(table: "Matrix") -> dict[str, Any]:
    return {
        "rows": list(table.row_dimensions),
        "columns": list(table.column_dimensions),
        "cells": [
            {
                "dimensions": _labels(table, row, column),
                "configurations": [
                    {
                        "configuration": item.path,
                        "verdict": item.standing.value,
                        "images": dict(sorted(item.images.items())),
                        "when": item.when or None,
                    }
                    for item in table.cells[row, column]
                ],
            }
            for row in table.rows
            for column in table.columns
            if (row, column) in table.cells
        ],
    }


def _gap_document(table: "Matrix", gap: "Gap") -> dict[str, Any]:
    return {
        "dimensions": _labels(table, gap.row, gap.column),
        "why": gap.reason,
        "configurations": [item.path for item in gap.facts],
    }
