"""`osqual lint`: what is wrong or risky in a catalogue, and the repair of some of it."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import complete_leaf
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import print_table, printable
from osqual.errors import ExitCode, NotFound, UsageError

if TYPE_CHECKING:
    from osqual.catalogue.catalogue import Catalogue
    from osqual.lint.check import Report, Scope
    from osqual.lint.finding import Rule
    from osqual.lint.view import View

COLOURS = {"error": "red", "warning": "yellow"}

EPILOG = """\b
Examples:
  osqual lint
  osqual lint centos/7.6 --select OSQ3
  osqual lint --changed-since origin/main --format github
  osqual lint --fix --dry-run
  osqual lint --rules

The whole catalogue is looked at, because many rules compare directories;
PATHS (or globs such as 'centos/*/aws/**') and --changed-since narrow what is
told: findings in those files, and about configurations that are there or use
them. Accept a finding with `# osqual: ignore[OSQ302] reason` on its line or
the line above, or with `lint: {ignore: [...]}` in osqual.yaml where a format
has no comments.

--fix renames profiles, corrects descriptions and moves copies up to a common
parent. It tries that on a copy first and proves that every configuration
finds the same bytes as before. Exit codes: 1 errors were found (with
--strict also warnings; with --fix those that no repair takes away), 0
otherwise.
"""


def complete_code(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    """Codes of rules."""
    from osqual.lint.registry import RULES

    return [code for code in RULES if code.startswith(incomplete.upper())]


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, shell_complete=complete_leaf)
@click.option("--changed-since", "since", metavar="REF", help="Only what changes since concern.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How to print the findings.",
)
@click.option(
    "--select",
    multiple=True,
    metavar="CODES",
    shell_complete=complete_code,
    help="Only these rules: OSQ301, OSQ2 (all OSQ2xx).",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="CODES",
    shell_complete=complete_code,
    help="Not these rules.",
)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--fix", is_flag=True, help="Repair what has one right answer; show the diff.")
@click.option("-n", "--dry-run", is_flag=True, help="With --fix: show the diff and write nothing.")
@click.option("--force", is_flag=True, help="With --fix: overwrite what is not committed.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules and end.")
@json_option
@catalogue_option
def lint(
    *,
    paths: tuple[str, ...],
    since: str | None,
    style: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    strict: bool,
    fix: bool,
    dry_run: bool,
    force: bool,
    list_rules: bool,
    as_json: bool,
    start: Path,
) -> int:
    """Check the catalogue: files, images, names, mutes, secrets, copies."""
    from osqual.catalogue.catalogue import Catalogue, find_catalogue
    from osqual.lint.check import check
    from osqual.lint.registry import choose_rules
    from osqual.settings import load_settings

    style = "json" if as_json else style
    rules = choose_rules(select, ignore)
    if list_rules:
        _print_rules(rules, as_json=as_json)
        return ExitCode.OK
    if (dry_run or force) and not fix:
        raise UsageError("--dry-run and --force belong to --fix.")
    root = find_catalogue(start)
    settings = load_settings(root)
    catalogue = Catalogue(root=root, conventions=settings.conventions)
    view = _look_at(catalogue, settings.products)
    scope = _scope(view, paths, since)
    accepted = settings.lint.accepted
    repaired = None
    if fix:
        from osqual.cli.repairing import repair

        fixable = [rule for rule in rules if rule.fixable]
        repaired = repair(
            view,
            lambda view: check(view, fixable, accepted, scope).findings,
            style=style,
            dry_run=dry_run,
            force=force,
        )
        view = view if dry_run else _look_at(catalogue, settings.products)
    report = check(view, rules, accepted, scope)
    _print(report, rules, style, catalogue, repaired)
    failed = any(strict or settings.lint.strict or f.level == "error" for f in report.findings)
    return ExitCode.REJECTED if failed else ExitCode.OK


def _look_at(catalogue: "Catalogue", products: str) -> "View":
    """The catalogue as it is now: nothing listed earlier is used again."""
    from osqual.catalogue.catalogue import Catalogue
    from osqual.lint.view import View

    fresh = Catalogue(root=catalogue.root, conventions=catalogue.conventions)
    return View(
        catalogue=fresh, today=datetime.now(UTC).date(), products=products, environ=os.environ
    )


def _scope(view: "View", paths: Sequence[str], since: str | None) -> "Scope | None":
    from osqual.catalogue.git import GitTree
    from osqual.lint.check import both, scope_of_changes, scope_of_paths

    chosen = scope_of_paths(view, [_relative(view, path) for path in paths]) if paths else None
    if since is None:
        return chosen
    tree = GitTree(root=view.catalogue.root)
    return both(chosen, scope_of_changes(view, tree.changed_since(tree.fork_point(since))))


def _relative(view: "View", path: str) -> str:
    """A path of the command line relative to the catalogue's root; a glob that matches stays."""
    from osqual.catalogue.globs import glob_matcher, is_glob

    root = view.catalogue.root
    for base in (Path.cwd(), root):
        place = Path(os.path.normpath(base / path))
        # The last part may be a link: it is the file that is meant, not where it leads.
        place = place.parent.resolve() / place.name if place != root else place
        if place.is_relative_to(root) and (place.exists() or place.is_symlink()):
            relative = place.relative_to(root).as_posix()
            return "" if relative == "." else relative
    if is_glob(path):
        matches = glob_matcher(path)
        if any(matches(leaf.path) for leaf in view.leaves) or any(map(matches, view.users)):
            return path
    raise NotFound(
        f"{path!r} is no file or directory of the catalogue {root}.",
        resolution="name files, configurations, directories above them, or a glob over their paths",
    )


def _print(
    report: "Report",
    rules: Sequence["Rule"],
    style: str,
    catalogue: "Catalogue",
    repaired: Mapping[str, Any] | None,
) -> None:
    from osqual.lint import formats
    from osqual.lint.sarif import sarif_document

    prefix = _prefix(catalogue.root)
    if style == "json":
        document = formats.json_document(report)
        print_json(document if repaired is None else {"repaired": repaired, **document})
    elif style == "sarif":
        print_json(sarif_document(report, rules, prefix))
    elif style == "github":
        for line in formats.github_lines(report, prefix):
            click.echo(line.encode(errors="surrogateescape"))
    else:
        for finding in report.findings:
            code = click.style(finding.code, bold=True)
            level = click.style(finding.level.value, fg=COLOURS[finding.level.value])
            said = printable(formats.said(finding))
            click.echo(f"{printable(finding.place)}: {code} {level}: {said}")
    if not report.configurations and (emptiness := catalogue.emptiness()):
        click.secho(f"warning: {printable(emptiness)}", fg="yellow", err=True)
    click.secho(formats.summary(report), bold=True, err=True)


def _print_rules(rules: Sequence["Rule"], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"code": r.code, "level": r.level.value, "fixable": r.fixable, "title": r.title}
                for r in rules
            ]
        )
        return
    print_table(
        ("code", "level", "fix", "rule"),
        [(r.code, r.level.value, "yes" if r.fixable else "", r.title) for r in rules],
    )


def _prefix(root: Path) -> str:
    """Where the catalogue lies in its repository: forges name files from the repository's top."""
    for directory in (root, *root.parents):
        if (directory / ".git").exists():
            relative = root.relative_to(directory).as_posix()
            return "" if relative == "." else f"{relative}/"
    return ""
