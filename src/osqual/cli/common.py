"""Options and small pieces that several commands share."""

import json
from pathlib import Path
from typing import Any

import click

catalogue_option = click.option(
    "-C",
    "--catalogue",
    "start",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="A directory inside the catalogue (default: the current one).",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def print_json(document: Any) -> None:
    """A JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
