"""`osqual convert-feed`: a vendor's feed of images becomes base_images.json."""

import sys
from pathlib import Path

import click

from osqual.cli.changing import Writing, carry_out, change_options, tell
from osqual.cli.common import catalogue_option

EPILOG = """\b
Examples:
  osqual convert-feed coreos/2512.3.0/aws/coreos_production_ami_all.json
  osqual convert-feed flatcar.json --into flatcar-linux/2605.6.0/aws
  curl -s https://example.org/feed.json | osqual convert-feed - --into flatcar/2605.6.0/aws

A feed is {"amis": [{"name": region, "hvm": image}, …]}. The result goes beside a
feed that lies in the catalogue, else into the directory that --into names.
"""


@click.command(name="convert-feed", epilog=EPILOG)
@click.argument(
    "feed", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
)
@click.option(
    "--into", type=click.Path(path_type=Path), help="The directory that gets base_images.json."
)
@click.option(
    "--kind",
    default="hvm",
    show_default=True,
    type=click.Choice(["hvm", "pv"]),
    help="Which images of the feed.",
)
@click.option("--stdout", "to_stdout", is_flag=True, help="Print it instead of writing it.")
@change_options
@catalogue_option
def convert_feed(
    *,
    feed: Path,
    into: Path | None,
    kind: str,
    to_stdout: bool,
    writing: Writing,
    start: Path,
) -> None:
    """Turn a CoreOS or Flatcar feed of images into base_images.json."""
    from osqual.changes.draft import Draft, join
    from osqual.changes.feed import parse_feed

    source = "the feed" if str(feed) == "-" else str(feed)
    found = parse_feed(_read(feed), source, kind)
    tell(f"no {kind} image in {region}: left out" for region in found.skipped)
    if to_stdout:
        click.echo(found.as_base_images(), nl=False)
        return
    root, name, directory = _place(feed, into, start)
    draft = Draft(root)
    draft.write(join(directory, name), found.as_base_images())
    carry_out(draft, writing, {"skipped": list(found.skipped)})


def _read(feed: Path) -> str:
    from osqual.formats.documents import MAX_BYTES, decode, read_document

    if str(feed) == "-":
        return decode(sys.stdin.buffer.read(MAX_BYTES), "the feed")
    path = feed.resolve()
    return read_document(path.parent, path.name)


def _place(feed: Path, into: Path | None, start: Path) -> tuple[Path, str, str]:
    """The catalogue's root, the file's name, and the directory in the catalogue that gets it."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.errors import NotFound, UsageError

    try:
        catalogue = open_catalogue(start)
    except NotFound:
        if str(feed) == "-":
            raise
        catalogue = open_catalogue(feed.parent)
    wanted = into if into is not None else feed.parent
    if into is None and str(feed) == "-":
        raise UsageError("Nothing says where the base images go.", resolution="give --into")
    for base in (Path.cwd(), catalogue.root):
        place = (base / wanted).resolve()
        if place.is_relative_to(catalogue.root):
            directory = place.relative_to(catalogue.root).as_posix()
            return catalogue.root, catalogue.conventions.files.base_images, directory
    raise UsageError(
        f"{wanted} is not in the catalogue {catalogue.root}.",
        resolution="name a directory of the catalogue with --into",
    )
