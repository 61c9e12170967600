"""`osqual find`: which image to use."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.catalogue.facts import Standing
from osqual.cli.catalogue_options import CatalogueCommand, filters_of, region_matcher
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.local_images import local_images
from osqual.cli.tables import counted, print_problems, print_table, printable
from osqual.errors import UsageError

if TYPE_CHECKING:
    from osqual.catalogue.catalogue import Catalogue
    from osqual.catalogue.facts import Facts
    from osqual.catalogue.filters import Filters
    from osqual.catalogue.query import Match, NearMatch

LISTED = 5
EPILOG = """\b
Examples:
  osqual find --os centos --os-version 7.6 --release 1.13.6
  osqual find --os 'rhel*' --release '>=2.0' --release '<2.2'
  osqual find --channel stable --os centos
  osqual find --docker 19.03.5 --variant selinux_enforcing --region us-west-2
  osqual find --os centos --os-version 7.6 --release 1.13.6 \\
              --region us-west-2 --id-only | head -n 1

Every option that names a dimension may be repeated: it is one of the values
or globs, and it meets every comparison (>=, <, !=, …). Versions compare as
versions: 1.9 < 1.10, 2.0.0-rc1 < 2.0.0. `none` means without that part.

The best comes first: qualified before published without evidence, newer
before older. Exit codes: 0 found, 1 there is none (the nearest are named).
"""


@click.command(cls=CatalogueCommand, epilog=EPILOG)
@click.option(
    "--region",
    "regions",
    metavar="VALUE",
    multiple=True,
    help="Only images of this region (or glob). Default: default_region of osqual.yaml, else all.",
)
@click.option(
    "--verdict",
    "verdicts",
    type=click.Choice(["qualified", "unproven", "inconclusive", "rejected"]),
    multiple=True,
    help="Only images that stand so; unproven is published without evidence.",
)
@click.option("--channel", metavar="NAME", help="Only what is promoted to it: stable, …")
@click.option("--id-only", is_flag=True, help="Print image ids only; never of a rejected image.")
@json_option
@catalogue_option
def find(
    *,
    regions: tuple[str, ...],
    verdicts: tuple[str, ...],
    channel: str | None,
    id_only: bool,
    as_json: bool,
    start: Path,
    **dimensions: Any,
) -> int:
    """Which image to use: image id, region, configuration, verdict, when."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.catalogue.facts import read_facts
    from osqual.catalogue.query import find_images

    catalogue = open_catalogue(start, environ=os.environ)
    filters = filters_of(catalogue, dimensions)
    if not regions and catalogue.conventions.default_region:
        regions = (catalogue.conventions.default_region,)
    facts, problems = read_facts(catalogue, filters)
    print_problems(problems)
    if channel is not None:
        from osqual.catalogue.channels import facts_in, read_channel

        facts = facts_in(read_channel(catalogue.root, channel), facts)
    standings = frozenset(
        Standing[name.upper()]
        for name in verdicts or [name.lower() for name in Standing.__members__]
    )
    if id_only and not verdicts:
        standings -= {Standing.REJECTED}
    found = find_images(facts, in_region=region_matcher(regions), standings=standings)
    found = _without_withdrawn(catalogue, found)
    images = local_images(catalogue)
    if id_only:
        _refuse_mixed_regions(found, regions)
    if as_json:
        print_json([_document(match, images.locate(match.image)) for match in found])
    elif id_only:
        click.echo(
            "\n".join(dict.fromkeys(printable(match.image) for match in found)), nl=bool(found)
        )
    else:
        print_table(("image", "region", "configuration", "verdict", "when"), map(_row, found))
        for image in dict.fromkeys(match.image for match in found):
            if file := images.locate(image):
                click.echo(f"{printable(image[:19])}… is the file {printable(str(file))}")
    if not found:
        _explain(catalogue, facts, filters, regions, verdicts)
    return 0 if found else 1


def _without_withdrawn(catalogue: "Catalogue", found: "list[Match]") -> "list[Match]":
    """Leave revoked images out and warn of deprecated ones, on standard error."""
    from osqual.catalogue.withdrawn import FILE_NAME, Withdrawal, read_withdrawn

    if not (catalogue.root / FILE_NAME).exists():
        return found
    withdrawn = read_withdrawn(catalogue.root)
    for image in dict.fromkeys(match.image for match in found):
        if image in withdrawn:
            click.secho(f"warning: {printable(str(withdrawn[image]))}", fg="yellow", err=True)
    revoked = {name for name, item in withdrawn.items() if item.withdrawal is Withdrawal.REVOKED}
    return [match for match in found if match.image not in revoked]


def _refuse_mixed_regions(found: "list[Match]", regions: tuple[str, ...]) -> None:
    """An id without its region is of no use in any other."""
    names = sorted({match.region for match in found})
    if len(names) > 1 and not regions:
        raise UsageError(
            "The images are in several regions, and an id is only good in its own.",
            details=", ".join(names),
            resolution="name one with --region, or set default_region in osqual.yaml",
        )


def _row(match: "Match") -> tuple[str, ...]:
    facts = match.facts
    return (match.image, match.region, facts.path, facts.standing.value, facts.when)


def _document(match: "Match", file: Path | None) -> dict[str, Any]:
    return {
        "image": match.image,
        "region": match.region,
        "configuration": match.facts.path,
        "dimensions": dict(match.facts.dimensions),
        "verdict": match.facts.standing.value,
        "when": match.facts.when or None,
        "file": None if file is None else str(file),
    }


def _explain(
    catalogue: "Catalogue",
    facts: "list[Facts]",
    filters: "Filters",
    regions: tuple[str, ...],
    verdicts: tuple[str, ...],
) -> None:
    """Why nothing was found, and what comes nearest; on standard error."""
    published = [item for item in facts if item.images]
    if published:
        others = ", ".join(sorted({region for item in published for region in item.images}))
        standings = ", ".join(sorted({item.standing.value for item in published}))
        click.echo(
            f"No such image, but {len(published)} matching configurations have images: in the "
            f"regions {printable(others)}; {standings}.",
            err=True,
        )
        return
    if facts:
        click.echo(f"{counted(facts, 'configuration')} without a published image:", err=True)
        for item in facts[:LISTED]:
            click.echo(f"  {printable(item.path)}", err=True)
        if len(facts) > LISTED:
            click.echo("`osqual plan` lists them all.", err=True)
    else:
        wanted = ", ".join(map(str, filters.conditions)) or "anything"
        click.echo(f"No configuration matches: {printable(wanted)}.", err=True)
        if not filters.conditions and (emptiness := catalogue.emptiness()):
            click.echo(printable(emptiness), err=True)
    near = _nearest(catalogue, filters)
    if near:
        click.echo("The nearest with an image:", err=True)
    elif filters.conditions:
        click.echo("No configuration of this catalogue has a published image.", err=True)
    for match in near:
        differs = ", ".join(
            f"{name.replace('_', '-')} {match.facts.dimensions.get(name, 'none')}"
            for name in match.unmet
        )
        click.echo(f"  {match.facts.path}" + (f"  ({differs})" if differs else ""), err=True)


def _nearest(catalogue: "Catalogue", filters: "Filters") -> "list[NearMatch]":
    """Give up one dimension's conditions, then two, …, until something has an image.

    A large catalogue is then looked at only where most conditions hold.
    """
    from itertools import combinations

    from osqual.catalogue.facts import read_facts
    from osqual.catalogue.query import nearest

    dimensions = list(dict.fromkeys(condition.dimension for condition in filters.conditions))
    for count in range(1, len(dimensions) + 1):
        found = {
            item.path: item
            for kept in combinations(dimensions, len(dimensions) - count)
            for item in read_facts(catalogue, filters.only(kept))[0]
            if item.images
        }
        if found:
            return nearest(found.values(), filters, catalogue.layout.dimensions)
    return []
