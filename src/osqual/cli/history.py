"""`osqual history`: every build of a configuration, and what changed between two."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import complete_leaf
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import print_problems, print_table, printable
from osqual.formats.times import iso

if TYPE_CHECKING:
    from osqual.catalogue.builds import InputChange, KnownBuild

EPILOG = """\b
Examples:
  osqual history centos/7.6/aws/DCOS-2.0.1/docker-19.03.4-ce/selinux_enforcing
  osqual history LEAF --diff 1 2
  osqual history LEAF --diff 2 now
  osqual history LEAF --diff v1.0 HEAD

Builds are those in packer_build_history.json, and those that git remembers
from earlier versions of it. A and B are build numbers, commits, or `now` (the
work tree). A build's inputs are taken from the first commit that tells of it.
"""


@click.command(epilog=EPILOG)
@click.argument("leaf", shell_complete=complete_leaf)
@click.option(
    "--diff",
    "points",
    nargs=2,
    metavar="A B",
    help="Show what changed in the inputs between two builds.",
)
@json_option
@catalogue_option
def history(*, leaf: str, points: tuple[str, str] | None, as_json: bool, start: Path) -> None:
    """Every build of a configuration and what changed."""
    from osqual.catalogue.builds import builds_of, changes_between_builds
    from osqual.catalogue.catalogue import open_catalogue

    catalogue = open_catalogue(start)
    configuration = catalogue.configuration(leaf)
    builds, problems = builds_of(catalogue, configuration)
    print_problems(problems)
    if points:
        changes = changes_between_builds(catalogue, configuration, builds, *points)
        print_json([_change_document(change) for change in changes]) if as_json else _print_changes(
            changes
        )
    elif as_json:
        print_json([_document(build) for build in builds])
    elif builds:
        header = ("build", "when", "images", "commit", "author", "subject", "")
        print_table(header, map(_row, builds))
    else:
        click.echo(f"{configuration.path} was never built.", err=True)


def _when(build: "KnownBuild") -> str:
    return iso(build.build.time)


def _row(build: "KnownBuild") -> tuple[str, ...]:
    images = sorted(f"{region}:{image[:26]}" for region, image in build.build.images.items())
    shown = ", ".join(images[:2]) + (f" and {len(images) - 2} more" if len(images) > 2 else "")
    commit = build.commit
    notes = ["published"] if build.current else []
    notes += [] if build.in_history else ["only in git"]
    return (
        str(build.number),
        _when(build),
        shown,
        commit.id[:10] if commit else "",
        commit.author if commit else "",
        commit.subject if commit else "not committed",
        ", ".join(notes),
    )


def _print_changes(changes: "list[InputChange]") -> None:
    for change in changes:
        click.secho(f"{printable(change.input)}:", bold=True)
        if not change.diff:
            click.echo("  not text, or only its line ends differ")
        for line in change.diff.splitlines():
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            click.secho(f"  {printable(line)}", fg=colour)
    if not changes:
        click.echo("The inputs are the same.", err=True)


def _document(build: "KnownBuild") -> dict[str, Any]:
    commit = build.commit
    return {
        "build": build.number,
        "when": _when(build),
        "builder_type": build.build.builder_type,
        "images": dict(sorted(build.build.images.items())),
        "run_uuid": build.build.run_uuid,
        "published": build.current,
        "in_history_file": build.in_history,
        "commit": {
            "id": commit.id,
            "when": iso(commit.time),
            "author": commit.author,
            "subject": commit.subject,
        }
        if commit
        else None,
    }


def _change_document(change: "InputChange") -> dict[str, Any]:
    return {
        "input": change.input,
        "before": change.before or None,
        "after": change.after or None,
        "diff": change.diff,
    }
