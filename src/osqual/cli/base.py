"""`osqual base`: newer base images of the vendors."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import CatalogueCommand
from osqual.cli.changing import Writing, carry_out, change_options, choose
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import print_table

if TYPE_CHECKING:
    from osqual.catalogue.catalogue import Catalogue
    from osqual.model import Configuration

EPILOG = """\b
Examples:
  osqual base check 'centos/**'
  osqual base update --os flatcar-linux

Where a vendor's images are: built in for the usual ones, and under
aws.base_images in osqual.yaml. Exit codes of check: 0 all are the newest,
1 there is a newer one.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One region of one base_images.json; `newest` is empty where the vendor has none."""

    file: str
    region: str
    current: str
    newest: str
    name: str

    @property
    def stale(self) -> bool:
        """Whether the vendor has another, newer image."""
        return bool(self.newest) and self.newest != self.current


@click.group()
def base() -> None:
    """Look up, and take over, the vendors' newest base images."""


@base.command(cls=CatalogueCommand, epilog=EPILOG)
@click.argument("patterns", nargs=-1)
@json_option
@catalogue_option
def check(*, patterns: tuple[str, ...], as_json: bool, start: Path, **dimensions: Any) -> int:
    """Compare each base_images.json with what its vendor offers now."""
    from osqual.catalogue.catalogue import open_catalogue

    catalogue = open_catalogue(start)
    rows = list(_rows(catalogue, choose(catalogue, patterns or ("**",), dimensions)))
    if as_json:
        print_json([vars(row) for row in rows])
    else:
        shown = [
            (row.file, row.region, row.current, row.newest or "none", row.name) for row in rows
        ]
        print_table(("file", "region", "current", "newest", "name"), shown)
    return 1 if any(row.stale for row in rows) else 0


@base.command(cls=CatalogueCommand, epilog=EPILOG)
@click.argument("patterns", nargs=-1)
@change_options
@catalogue_option
def update(
    *,
    patterns: tuple[str, ...],
    writing: Writing,
    start: Path,
    **dimensions: Any,
) -> None:
    """Write the vendors' newest images into base_images.json; `plan` then runs what uses them."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.draft import Draft

    catalogue = open_catalogue(start)
    chosen = choose(catalogue, patterns, dimensions)
    draft = Draft(catalogue.root)
    stale = [row for row in _rows(catalogue, chosen) if row.stale]
    for row in stale:
        document = json.loads(draft.read_text(row.file) or "{}")
        document[row.region] = row.newest
        draft.write(row.file, json.dumps(document, indent=2) + "\n")
    carry_out(draft, writing, {"updated": [vars(row) for row in stale]})


def _rows(catalogue: "Catalogue", configurations: "list[Configuration]") -> Iterator[Row]:
    """Each file once, with the OS and version of the first configuration that uses it."""
    from osqual.catalogue.files import find_file, parse_base_images, read
    from osqual.image_care.newest import find_newest, vendor_of
    from osqual.settings import load_settings

    settings = load_settings(catalogue.root, os.environ)
    seen: set[Path] = set()
    for item in configurations:
        path = find_file(catalogue, item, catalogue.conventions.files.base_images)
        if path is None or path in seen or item.dimensions.get("platform") != "aws":
            continue
        seen.add(path)
        text, source = read(catalogue, path)
        vendor = vendor_of(item.dimensions["os"], settings.aws.base_images)
        for region, current in sorted(parse_base_images(text, source).items()):
            newest = find_newest(region, vendor, item.dimensions["os_version"])
            yield Row(
                file=source,
                region=region,
                current=current,
                newest=newest.image_id if newest else "",
                name=newest.name if newest else "",
            )
