"""`osqual ci`: pipelines for continuous integration, and what they ask at their end."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.changing import Writing, carry_out, change_options
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.main import cli

if TYPE_CHECKING:
    from osqual.plan.verdicts import Concerned


@click.group()
def ci() -> None:
    """Pipelines for GitHub, GitLab and Jenkins, and what they ask."""


INIT_EPILOG = """\b
Examples:
  osqual ci init github --dry-run
  osqual ci init github --requirement 'osqual[aws]==0.1.0' --region eu-west-1
  osqual ci init jenkins --label big
"""


@ci.command(epilog=INIT_EPILOG)
@click.argument("system", type=click.Choice(["github", "gitlab", "jenkins"]))
@click.option("--requirement", help="What pip installs. Default: this version of osqual.")
@click.option(
    "--label", default="", help="GitHub: on changes that may run in a cloud. Jenkins: of agents."
)
@click.option(
    "--environment", default="osqual-cloud", show_default=True, help="GitHub: for approval."
)
@click.option(
    "--region", default="us-west-2", show_default=True, help="GitHub: of the role in AWS."
)
@click.option(
    "--branch", default="main", show_default=True, help="Jenkins: without a change request."
)
@change_options
@catalogue_option
def init(
    *,
    system: str,
    requirement: str | None,
    label: str,
    environment: str,
    region: str,
    branch: str,
    start: Path,
    writing: Writing,
) -> None:
    """Write a working pipeline: lint, plan, a job for each recipe, verdicts."""
    from osqual import __version__
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.draft import Draft
    from osqual.ci.generate import SYSTEMS, Wishes, pipeline
    from osqual.settings import load_settings

    catalogue = open_catalogue(start)
    keyless = load_settings(catalogue.root).attest.keyless
    extras = "aws,sigstore" if keyless else "aws"
    wishes = Wishes(
        requirement=requirement or f"osqual[{extras}]=={__version__}",
        label=label,
        environment=environment,
        region=region,
        branch=branch,
        keyless=keyless,
    )
    draft = Draft(catalogue.root)
    draft.write(SYSTEMS[system].path, pipeline(system, wishes))
    carry_out(draft, writing, {"system": system, "path": SYSTEMS[system].path})


@ci.command()
@json_option
@catalogue_option
def check(*, as_json: bool, start: Path) -> int:
    """Check pipelines of the catalogue against what this osqual understands.

    Each command and option must exist, each action be pinned by its commit, and no job have more
    rights than it needs. Exit codes: 0 all fits, 1 something does not.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.ci.check import check_pipeline
    from osqual.ci.generate import SYSTEMS
    from osqual.errors import NotFound

    root = open_catalogue(start).root
    paths = [system.path for system in SYSTEMS.values() if (root / system.path).is_file()]
    if not paths:
        raise NotFound(
            "There is no pipeline to check.", resolution="osqual ci init github|gitlab|jenkins"
        )
    problems = [
        problem
        for path in paths
        for problem in check_pipeline(path, (root / path).read_text(encoding="utf-8"), understood)
    ]
    if as_json:
        print_json([vars(problem) for problem in problems])
    else:
        for problem in problems:
            click.echo(f"{problem.path}:{problem.line}: {problem.text}")
        click.echo(f"{len(paths)} checked, {len(problems)} problems.", err=True)
    return 1 if problems else 0


def understood(words: Sequence[str]) -> str:
    """What is wrong with a command line; values are not looked at, for they may be variables."""
    command: click.Command | None = cli
    context = click.Context(cli)
    rest = list(words)
    while isinstance(command, click.Group):
        if not rest:
            return "a command is missing"
        name = rest.pop(0)
        command = command.get_command(context, name)
        if command is None:
            return f"there is no command {name!r}"
        context = click.Context(command, parent=context)
    assert command is not None  # noqa: S101 - the loop ends with a command that is no group
    try:
        command.make_parser(context).parse_args(rest)
    except click.UsageError as error:
        return error.format_message()
    return ""


VERDICTS_EPILOG = """\b
Examples:
  osqual ci verdicts --changed-since origin/main
  osqual ci verdicts --changed-since "$BASE" --markdown "$GITHUB_STEP_SUMMARY"

Exit codes: 0 all that is concerned is qualified as it now is, 1 something is
rejected, 3 something has no verdict.
"""


@ci.command(epilog=VERDICTS_EPILOG)
@click.option("--changed-since", "since", metavar="REF", required=True)
@click.option(
    "--markdown", type=click.Path(path_type=Path), help="Add a table to this file, for a summary."
)
@json_option
@catalogue_option
def verdicts(*, since: str, markdown: Path | None, as_json: bool, start: Path) -> int:
    """Ask whether every configuration that changed after REF is qualified as it now is.

    Digests decide: a verdict holds for a later commit exactly when no input of it differs, so a
    commit that only publishes keeps it, and no commit is green because there was nothing to run.
    With the token of a forge, the status `osqual`, and one for each configuration, is set on the
    commit that is checked out.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.plan.plan import make_plan
    from osqual.plan.verdicts import concerned_by, verdict_of_all
    from osqual.run.announcing import tell_verdicts

    catalogue = open_catalogue(start)
    found = concerned_by(catalogue, make_plan(catalogue, catalogue.configurations(), since=since))
    if markdown is not None:
        with markdown.open("a", encoding="utf-8") as stream:
            stream.write(_markdown(found))
    if as_json:
        print_json([vars(item) for item in found])
    else:
        for item in found:
            standing = item.verdict or ("by its run" if item.by_run else "no verdict")
            click.echo(f"{standing:<13}{item.configuration}")
            click.echo(f"             {'; '.join(item.reasons)}")
        click.echo(f"{len(found)} configurations are concerned.", err=True)
    verdict = verdict_of_all(found)
    tell_verdicts(found, verdict, catalogue.root, os.environ)
    return {"qualified": 0, "rejected": 1}.get(verdict, 3)


def _markdown(found: "list[Concerned]") -> str:
    from osqual.forge.comment import Row, table_of

    return table_of(
        Row(
            configuration=item.configuration,
            run="",
            verdict=item.verdict or "no verdict",
            reasons=item.reasons,
        )
        for item in found
    )


@ci.command()
@click.argument("results", type=click.Path(path_type=Path), nargs=-1, required=True)
def summary(*, results: tuple[Path, ...]) -> None:
    """Print a table in Markdown from what `osqual run --json` printed into RESULTS.

    A file that is missing or empty, because its run was cut off, is said to be so.
    """
    import json

    from osqual.forge.comment import table_of

    rows = []
    for path in results:
        try:
            rows += [_row(result) for result in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            click.echo(f"> {path.name}: no result ({type(error).__name__})\n")
    click.echo(table_of(rows), nl=False)


def _row(result: dict[str, Any]) -> Any:
    from osqual.forge.comment import Row

    return Row(
        configuration=result["configuration"],
        run=result["run"],
        verdict=result["verdict"],
        reasons=tuple(result["reasons"]),
        images=result["images"],
    )


@ci.command()
@click.option("--changed-since", "since", metavar="REF", required=True)
@catalogue_option
def jobs(*, since: str, start: Path) -> None:
    """Print a child pipeline for GitLab: one job for each recipe that is to run."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.ci.generate import gitlab_jobs
    from osqual.plan.plan import make_plan
    from osqual.settings import load_settings

    catalogue = open_catalogue(start)
    plan = make_plan(catalogue, catalogue.configurations(), since=since)
    groups = [[step.configuration.path for step in group] for group in plan.groups()]
    keyless = load_settings(catalogue.root).attest.keyless
    click.echo(gitlab_jobs(groups, keyless=keyless), nl=False)
