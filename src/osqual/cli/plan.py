"""`osqual plan`: what would run, and why."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import CatalogueCommand, complete_leaf, filters_of
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import counted, print_broken, printable

if TYPE_CHECKING:
    from osqual.plan.plan import Plan, Step

# GitHub refuses a matrix with more jobs.
GITHUB_JOBS = 256

EPILOG = """\b
Examples:
  osqual plan
  osqual plan 'centos/7.8/**' --json
  osqual plan --changed-since origin/main
  osqual plan --changed-since "$GITHUB_BASE_REF" --format github-matrix >> "$GITHUB_OUTPUT"

A configuration runs when an input changed since its published record (base
image, template, a script, the profile, the test configuration, the product),
when it has no record, or when its last run was inconclusive. With
--changed-since, only what changed after that commit is looked at: on this
branch, in the work tree, and in files not yet tracked. A file in a parent
directory reaches every configuration below that uses it.

Configurations that share a recipe stand together: their image is built once,
so give them to one `osqual run`. github-matrix prints `matrix=` and `any=`
lines for GITHUB_OUTPUT, jenkins a JSON list of named commands for readJSON.
"""


@click.command(cls=CatalogueCommand, epilog=EPILOG)
@click.argument("paths", nargs=-1, shell_complete=complete_leaf)
@click.option(
    "--changed-since", "since", metavar="REF", help="Only what changed after this commit."
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "github-matrix", "jenkins"]),
    default="text",
    show_default=True,
    help="How to print the plan.",
)
@json_option
@catalogue_option
def plan(
    *,
    paths: tuple[str, ...],
    since: str | None,
    style: str,
    as_json: bool,
    start: Path,
    **dimensions: Any,
) -> None:
    """What would run, and why; what is skipped, and why."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.plan.plan import make_plan

    catalogue = open_catalogue(start)
    filters = filters_of(catalogue, dimensions)
    chosen = [item for item in catalogue.select(paths) if filters.matches(item.dimensions)]
    found = make_plan(catalogue, chosen, since=since)
    if as_json or style == "json":
        print_json(_document(found))
        return
    if style == "text":
        _print(found)
        return
    _warn_of_broken(found)
    if style == "jenkins":
        print_json([_job(group) for group in found.groups()])
    else:
        _print_github(found)


def _print(found: "Plan") -> None:
    from osqual.plan.plan import Action

    for group in found.groups():
        if len(group) > 1:
            click.secho(f"run  {len(group)} configurations of one recipe", bold=True)
        for step in group:
            mark = "     " if len(group) > 1 else "run  "
            click.echo(f"{mark}{step.configuration.path}")
            for reason in step.reasons:
                click.secho(f"       {printable(reason)}", dim=True)
    for step in found.of(Action.SKIP):
        click.echo(f"skip {step.configuration.path}  ({printable('; '.join(step.reasons))})")
    _warn_of_broken(found)
    runs = found.of(Action.RUN)
    builds = [group for group in found.groups() if group[0].builds]
    click.echo(
        f"{len(runs)} to run ({counted(builds, 'build')} at most), "
        f"{len(found.of(Action.SKIP))} skipped, {len(found.of(Action.BROKEN))} broken.",
        err=True,
    )


def _warn_of_broken(found: "Plan") -> None:
    from osqual.plan.plan import Action

    broken = found.of(Action.BROKEN)
    print_broken((step.configuration.path, "; ".join(step.reasons)) for step in broken)


def _document(found: "Plan") -> dict[str, Any]:
    return {
        "steps": [
            {
                "configuration": step.configuration.path,
                "action": step.action.value,
                "reasons": list(step.reasons),
                "recipe": step.recipe,
                "builds": step.builds,
            }
            for step in found.steps
        ],
        "groups": [
            {
                "recipe": group[0].recipe,
                "configurations": [step.configuration.path for step in group],
            }
            for group in found.groups()
        ],
    }


def _job(group: "tuple[Step, ...]") -> dict[str, Any]:
    paths = [step.configuration.path for step in group]
    name = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    return {
        "name": name,
        "recipe": group[0].recipe,
        "configurations": paths,
        "command": shlex.join(["osqual", "run", *paths]),
    }


def _print_github(found: "Plan") -> None:
    import json

    jobs = [_job(group) for group in found.groups()]
    if len(jobs) > GITHUB_JOBS:
        click.secho(
            f"warning: {len(jobs)} jobs; GitHub takes {GITHUB_JOBS}. The rest is left out: "
            "plan the directories one by one",
            fg="yellow",
            err=True,
        )
    click.echo("matrix=" + json.dumps({"include": jobs[:GITHUB_JOBS]}, separators=(",", ":")))
    click.echo(f"any={'true' if jobs else 'false'}")
