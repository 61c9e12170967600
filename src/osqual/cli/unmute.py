"""`osqual unmute`: let a test count again."""

from pathlib import Path

import click

from osqual.cli.changing import carry_out, change_options, tell
from osqual.cli.common import catalogue_option

EPILOG = """\b
Examples:
  osqual unmute test_vip_ipv6
  osqual unmute test_vip_ipv6 --scope os=rhel
  osqual unmute 'test_metrics_*' --at centos/7.8

Removes the entries whose test is written just like that, from every mutes.yaml
or from those at and below a directory. With --scope, only the entries that
have just this scope.
"""


@click.command(epilog=EPILOG)
@click.argument("tests", metavar="TEST...", nargs=-1, required=True)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="DIMENSION=VALUE",
    help="Only entries with just this scope; repeatable.",
)
@click.option("--at", "directory", metavar="DIRECTORY", help="Only at and below this directory.")
@change_options
@catalogue_option
def unmute(
    *,
    tests: tuple[str, ...],
    scopes: tuple[str, ...],
    directory: str | None,
    dry_run: bool,
    force: bool,
    quiet: bool,
    start: Path,
) -> None:
    """Remove mutes of tests, so that their failure counts again."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.draft import Draft
    from osqual.changes.mute_entries import directory_for, parse_scope, plan_unmute

    catalogue = open_catalogue(start)
    draft = Draft(catalogue.root)
    at = "" if directory is None else directory_for(catalogue, directory)
    scope = parse_scope(scopes) if scopes else None
    for test in tests:
        unmuted = plan_unmute(catalogue, draft, test.strip(), scope, at)
        tell(f"{found.source}:{found.line} goes" for found in unmuted.removed)
        others = (f"{found.source}:{found.line}, as {found.test}" for found in unmuted.also)
        tell((f"note: still muted by {other}" for other in others), colour="yellow")
    carry_out(draft, dry_run=dry_run, force=force, quiet=quiet)
