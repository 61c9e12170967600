"""`osqual ancestry`: what derives from an image."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import CatalogueCommand, filters_of
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import print_problems, printable

if TYPE_CHECKING:
    from osqual.catalogue.ancestry import Ancestry, Derived
    from osqual.catalogue.facts import Facts

EPILOG = """\b
Examples:
  osqual ancestry ami-0977d7933110e9633
  osqual ancestry ami-0977d7933110e9633 --release '>=2.0'
  osqual ancestry debian:bookworm --json

IMAGE is an id as base_images.json or dcos_images.yaml has it: of a vendor's
base image (when it was withdrawn or has a hole: what has to be rebuilt?) or of
a published image (what was it made from, who else uses it?). Exit codes: 0 the
catalogue knows it, 1 it does not.
"""


@click.command(cls=CatalogueCommand, epilog=EPILOG)
@click.argument("image")
@json_option
@catalogue_option
def ancestry(*, image: str, as_json: bool, start: Path, **dimensions: Any) -> int:
    """What derives from a base image or from a published one, across the catalogue."""
    from osqual.catalogue.ancestry import AncestryReader
    from osqual.catalogue.catalogue import open_catalogue

    catalogue = open_catalogue(start)
    filters = filters_of(catalogue, dimensions)
    reader = AncestryReader(catalogue=catalogue)
    reader.read()
    everything = reader.of(image)
    found = everything.only(filters.matches)
    print_problems(reader.problems)
    if as_json:
        print_json(_document(found))
    elif everything.known:
        _print(found)
    else:
        click.echo(f"The catalogue does not mention {printable(image)}.", err=True)
    return 0 if everything.known else 1


def _print(found: "Ancestry") -> None:
    click.secho(printable(found.image), bold=True)
    for source, region in found.base_in:
        click.echo(f"  base image in {printable(source)} ({printable(region)})")
    for publication in found.published:
        how = "published by" if publication.current else "replaced; an earlier build of"
        region = printable(publication.region)
        click.echo(f"  {how} {publication.facts.path} ({region}), {_standing(publication.facts)}")
        for name, base in publication.base.items():
            click.echo(f"    built on {printable(base)} ({printable(name)})")
    if found.derived:
        total = sum(item.count() for item in found.derived)
        click.echo(f"  {total} configurations derive from it:")
        _print_derived(found.derived, "    ")


def _print_derived(derived: "Sequence[Derived]", indent: str) -> None:
    for item in derived:
        click.echo(f"{indent}{item.facts.path}  {_standing(item.facts)}")
        for region, image in sorted(item.facts.images.items()):
            click.echo(f"{indent}  {printable(region)}: {printable(image)}")
        _print_derived(item.derived, f"{indent}  > ")


def _standing(facts: "Facts") -> str:
    return f"{facts.standing.value}{', ' + printable(facts.when) if facts.when else ''}"


def _document(found: "Ancestry") -> dict[str, Any]:
    return {
        "image": found.image,
        "base_in": [{"file": source, "region": region} for source, region in found.base_in],
        "published": [
            {
                "configuration": item.facts.path,
                "region": item.region,
                "current": item.current,
                "built_on": dict(item.base),
                "verdict": item.facts.standing.value,
                "when": item.facts.when or None,
            }
            for item in found.published
        ],
        "derived": [_derived_document(item) for item in found.derived],
    }


def _derived_document(item: "Derived") -> dict[str, Any]:
    return {
        "configuration": item.facts.path,
        "images": dict(sorted(item.facts.images.items())),
        "verdict": item.facts.standing.value,
        "when": item.facts.when or None,
        "derived": [_derived_document(inner) for inner in item.derived],
    }
