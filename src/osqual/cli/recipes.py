"""`osqual recipes`: what is built once for several configurations."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import CatalogueCommand, filters_of
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import counted, print_broken, printable

if TYPE_CHECKING:
    from osqual.catalogue.recipes import Built, Sharing

EPILOG = """\b
Examples:
  osqual recipes
  osqual recipes --os centos --shared
  osqual recipes --json | jq '.recipes | length'

A recipe is everything that determines an image: the base image, the template
(without names and descriptions), and every script and file that it uses. The
product's release is not in it, so configurations that differ in it alone
share a recipe, and `osqual run` builds their image once.
"""


@click.command(cls=CatalogueCommand, epilog=EPILOG)
@click.option("--shared", is_flag=True, help="Only recipes of more than one configuration.")
@json_option
@catalogue_option
def recipes(*, shared: bool, as_json: bool, start: Path, **dimensions: Any) -> None:
    """Recipes, and the configurations that share each."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.catalogue.recipes import RecipeReader, group_by_recipe

    catalogue = open_catalogue(start)
    filters = filters_of(catalogue, dimensions)
    reader = RecipeReader(catalogue=catalogue)
    built = [
        reader.built(item)
        for item in catalogue.configurations()
        if filters.matches(item.dimensions)
    ]
    groups = [group for group in group_by_recipe(built) if not shared or group.count > 1]
    unknown = [item for item in built if item.recipe is None]
    if as_json:
        print_json(_document(groups, unknown))
    else:
        _print(groups, unknown, len(built))


def _print(groups: "list[Sharing]", unknown: "list[Built]", count: int) -> None:
    for group in groups:
        base = ", ".join(f"{region} {image}" for region, image in group.base.items())
        click.secho(f"{group.digest[:12]}  {group.count} × on {printable(base)}", bold=True)
        for configuration in group.configurations:
            click.echo(f"  {configuration.path}")
    if groups:
        configurations = range(count - len(unknown))
        click.echo(f"\n{counted(groups, 'recipe')} for {counted(configurations, 'configuration')}.")
    print_broken(
        (item.configuration.path, item.problem.brief if item.problem else "") for item in unknown
    )


def _document(groups: "list[Sharing]", unknown: "list[Built]") -> dict[str, Any]:
    return {
        "recipes": [
            {
                "digest": group.digest,
                "base": dict(group.base),
                "configurations": [item.path for item in group.configurations],
            }
            for group in groups
        ],
        "unknown": [
            {
                "configuration": item.configuration.path,
                "problem": item.problem.brief if item.problem else "",
            }
            for item in unknown
        ],
    }
