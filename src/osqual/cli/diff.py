"""`osqual diff`: what the image of a run holds that its base image does not."""

from pathlib import Path

import click

from osqual.cli.common import current_settings, json_option, print_json
from osqual.cli.tables import printable

EPILOG = """\b
Examples:
  osqual diff
  osqual diff 20261123-001805-4149a8 --json

+ came, - went, ~ changed. Of packages that did, the files are only counted; what
every boot changes (logs, caches, identities) is left out.
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="RUN", default="latest")
@json_option
def diff(*, name: str, as_json: bool) -> None:
    """Packages, files, units, kernel arguments, users, groups and ports against the base image.

    RUN is a run's id, a part of it that fits no other, or `latest` (the default).
    """
    from osqual.errors import UsageError
    from osqual.inventory.kept import kept_diff
    from osqual.store.store import open_store

    run = open_store(current_settings()).run(name)
    found = kept_diff(Path(run["directory"]))
    if found is None:
        raise UsageError(
            f"It is not known how the image of the run {run['id']} differs from its base.",
            details="Images are looked at when QEMU's builders make them; the run may have ended "
            "before that, or its directory is gone.",
        )
    if as_json:
        print_json({"run": run["id"], "configuration": run["configuration"], **found.document()})
        return
    click.secho(f"{run['configuration']}  run {run['id']}", bold=True)
    for kind, changes in found.changes.items():
        if changes:
            click.secho(f"{kind}: {len(changes)}", bold=True)
        for change in changes:
            click.echo(f"  {printable(str(change))}")
    if found.packaged_files:
        click.echo(f"and {found.packaged_files} files of packages that came, went or changed")
    if not any(found.changes.values()):
        click.echo("The image holds what its base image does.")
