"""`osqual init`: start a catalogue."""

from pathlib import Path

import click

from osqual.cli.changing import Writing, carry_out, tell
from osqual.cli.common import json_option

EPILOG = """\b
Examples:
  osqual init images
  osqual init --bare --force        # in a clone of dcos/dcos-images

Writes osqual.yaml with every usual setting explained, .gitignore, and one small
configuration with its product, which QEMU on this machine can qualify. A
directory that holds anything is refused; with --force, files that are missing
are added and none that exists is changed.
"""


@click.command(epilog=EPILOG)
@click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False), default=Path(), required=False
)
@click.option("--bare", is_flag=True, help="Only the settings and .gitignore.")
@click.option("--force", is_flag=True, help="Also in a directory that is not empty.")
@click.option("-n", "--dry-run", is_flag=True, help="Show the files and write nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the files.")
@json_option
def init(
    directory: Path, *, bare: bool, force: bool, dry_run: bool, quiet: bool, as_json: bool
) -> None:
    """Start a catalogue in DIRECTORY (default: here)."""
    from osqual.changes.draft import Draft
    from osqual.changes.starter import BARE, EXAMPLE, LEAF
    from osqual.errors import InfrastructureError, UsageError

    root = directory.resolve()
    found = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    if [name for name in found if name != ".git"] and not force:
        raise UsageError(
            f"{directory} is not empty, so no catalogue is started there.",
            resolution="name a new directory, or add what is missing with --force",
        )
    draft = Draft(root)
    existing = []
    for path, text in (BARE if bare else EXAMPLE).items():
        if draft.exists(path):
            existing.append(path)
        else:
            draft.write(path, text, executable=path.endswith(".sh"))
    tell(f"exists, left as it is: {path}" for path in existing)
    if not dry_run:
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InfrastructureError(f"{directory} cannot be made: {error.strerror}") from error
    writing = Writing(dry_run=dry_run, force=False, quiet=quiet, as_json=as_json)
    written = carry_out(draft, writing, {"existing": existing})
    if written and not dry_run and not bare:
        tell(
            [
                "Next:",
                *([f"  cd {directory}"] if directory != Path() else []),
                *(["  git init"] if not (root / ".git").exists() else []),
                "  git add -A && git commit -m 'catalogue: start'",
                "  osqual doctor",
                f"  osqual run {LEAF} --dry-run",
            ]
        )
