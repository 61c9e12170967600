"""`osqual edit`: set a key across many configurations."""

from pathlib import Path
from typing import Any

import click

from osqual.cli.catalogue_options import CatalogueCommand, complete_leaf
from osqual.cli.changing import Writing, carry_out, change_options, choose, tell
from osqual.cli.common import catalogue_option

EPILOG = """\b
Examples:
  osqual edit --set profile.aws_master_instance_type=m5.2xlarge 'centos/**'
  osqual edit --set profile.expiration=4h '**'
  osqual edit --set template.builders.0.instance_type=m5.2xlarge --os rhel
  osqual edit --set config.run_framework_tests=false --release '<1.13' '**'
  osqual edit --unset profile.aws_availability_zone 'rhel/7.5/**'
  osqual edit --set 'profile.installer_url=https://example.org/stable/{release}/i.sh' '**'

\b
KIND.KEY:
  profile      the cluster profile; keys of maps and numbers of items go on with dots
  template     the Packer template
  config       publish_and_test_config.yaml
  base_images  base_images.json, by region

A value is text where text stands, else it is read as JSON (true, 3, ["a"]) and
is text when it is none. {dimension} stands for that value of each
configuration. Only the value changes in a file: comments and spacing stay.

A file that only selected configurations use is edited where it is. When others
use it too, they keep it, and the selected ones get a copy nearer to them.
"""


@click.command(cls=CatalogueCommand, epilog=EPILOG)
@click.argument("patterns", nargs=-1, shell_complete=complete_leaf)
@click.option(
    "--set", "values", multiple=True, metavar="KIND.KEY=VALUE", help="Set a key; repeatable."
)
@click.option(
    "--unset", "removals", multiple=True, metavar="KIND.KEY", help="Remove a key; repeatable."
)
@change_options
@catalogue_option
def edit(
    *,
    patterns: tuple[str, ...],
    values: tuple[str, ...],
    removals: tuple[str, ...],
    writing: Writing,
    start: Path,
    **dimensions: Any,
) -> None:
    """Set or remove a key in the files of many configurations."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.assignment import parse_assignment, parse_removal
    from osqual.changes.edit import Editor
    from osqual.errors import UsageError

    assignments = [*map(parse_assignment, values), *map(parse_removal, removals)]
    if not assignments:
        raise UsageError("Nothing is to be edited.", resolution="give --set or --unset")
    catalogue = open_catalogue(start)
    editor = Editor(catalogue, choose(catalogue, patterns, dimensions))
    edited = editor.edit(assignments)
    tell(edited.notes)
    if edited.unchanged:
        tell([f"{len(edited.unchanged)} of {len(editor.selection)} have it so already"])
    facts = {"notes": edited.notes, "unchanged": edited.unchanged}
    carry_out(edited.draft, writing, facts)
