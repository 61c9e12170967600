"""Options and small pieces that several commands share."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from osqual.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])

catalogue_option = click.option(
    "-C",
    "--catalogue",
    "start",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="A directory inside the catalogue (default: the current one).",
)


def parse_jobs(_context: click.Context, _option: click.Parameter, value: str) -> int | None:
    """A number of jobs; None for `auto`."""
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither `auto` nor a number from 1")
    return int(value)


jobs_option = click.option(
    "-j",
    "--jobs",
    metavar="N|auto",
    default="auto",
    show_default=True,
    callback=parse_jobs,
    help="How many runs go on at a time; auto: as many as this machine has room for.",
)


def parse_keywords(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Parts of tests' names. Every name contains the empty one: that chooses nothing."""
    if not all(value.strip() for value in values):
        raise click.BadParameter("an empty text is part of every test's name")
    return values


def keywords_option(help_text: str) -> Callable[[_Command], _Command]:
    """`-k TEST`, with what the command says of it."""
    return click.option(
        "-k", "keywords", metavar="TEST", multiple=True, callback=parse_keywords, help=help_text
    )


publish_option = click.option(
    "--publish",
    type=click.Choice(["none", "worktree", "commit", "push"]),
    default="worktree",
    show_default=True,
    help="Where images, history and record go: nowhere; the catalogue's work tree; a commit on "
    "the branch that is checked out; a commit pushed to its remote.",
)

log_format_option = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How progress is written on standard error; json: one event a line.",
)

keep_option = click.option(
    "--keep",
    type=click.Choice(["never", "on-failure", "always"]),
    default="never",
    show_default=True,
    help="Leave the cluster (or the machine of a failed build) running for `osqual ssh`.",
)

isolation_option = click.option(
    "--isolation",
    type=click.Choice(["shared", "reboot", "fork", "cold"]),
    help="How tests are kept from each other, whatever their suites say: not at all; nodes "
    "restarted; a fork of the cluster for each; booted and installed anew for each.",
)

title_option = click.option(
    "--title", metavar="TEXT", help="What the pages are called (default: the directory)."
)


def runs_each_option(more: str = "") -> Callable[[_Command], _Command]:
    """`--runs N`, with what the command adds to what it says."""
    return click.option(
        "--runs",
        "runs_each",
        type=click.IntRange(min=1),
        default=20,
        show_default=True,
        metavar="N",
        help=f"How many runs of each configuration are shown{more}.",
    )


verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Show what scripts and tools print."
)
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="Show warnings, failures and step ends only."
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def print_json(document: Any) -> None:
    """A JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def current_settings() -> "Settings":
    """Settings of the catalogue that the current directory is in, or without one the user's."""
    from osqual.catalogue.catalogue import find_catalogue
    from osqual.errors import NotFound
    from osqual.settings import load_settings

    try:
        root = find_catalogue(Path())
    except NotFound:
        root = None
    return load_settings(root, os.environ)
