"""`osqual show`: one configuration, and where everything of it comes from."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import complete_leaf
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.local_images import local_images
from osqual.cli.tables import print_problems, printable

if TYPE_CHECKING:
    from osqual.catalogue.describe import Description
    from osqual.mutes.inventory import MutedTest

EPILOG = """\b
Examples:
  osqual show centos/7.6/aws/DCOS-2.0.1/docker-19.03.4-ce/selinux_enforcing
  cd centos/7.6/aws/DCOS-2.0.1/docker-19.03.4-ce && osqual show selinux_enforcing
  osqual show . --json

Each file is taken from the nearest directory that has it: the configuration's
own, then each one above it. What differs from a path shown is not used.
"""


@click.command(epilog=EPILOG)
@click.argument("leaf", shell_complete=complete_leaf)
@json_option
@catalogue_option
def show(*, leaf: str, as_json: bool, start: Path) -> None:
    """Dimensions, files and where each is from, base images, recipe, images, verdict, mutes."""
    from datetime import UTC, datetime

    from osqual.catalogue.catalogue import open_catalogue
    from osqual.catalogue.describe import Describer
    from osqual.catalogue.tree import upwards
    from osqual.mutes.inventory import read_inventory

    catalogue = open_catalogue(start)
    configuration = catalogue.configuration(leaf)
    found = Describer(catalogue=catalogue).describe(configuration)
    images = local_images(catalogue)
    inventory = read_inventory(catalogue, [configuration])
    above = set(upwards(configuration.path))
    own = [item for item in inventory.problems if item.source.rpartition("/")[0] in above]
    print_problems([*found.problems, *own])
    today = datetime.now(UTC).date()
    muted = [item for item in inventory.muted if not item.expired(today)]
    places = {image: images.locate(image) for image in found.facts.images.values()}
    files = {image: file for image, file in places.items() if file is not None}
    if as_json:
        local = {image: str(file) for image, file in files.items()}
        print_json(
            {
                **_document(found),
                "image_files": local,
                "muted": [_muted_document(item) for item in muted],
            }
        )
    else:
        _print(found, files)
        _section("Muted tests", [(item.test, _muted_words(item)) for item in muted])


def _section(title: str, lines: list[tuple[str, str]]) -> None:
    if not lines:
        return
    click.secho(title, bold=True)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(f"  {printable(name):<{width}}  {printable(value)}".rstrip())


def _print(found: "Description", files: dict[str, Path]) -> None:
    from osqual.catalogue.describe import tests_in_words

    click.secho(found.configuration.path, bold=True)
    _section(
        "Dimensions",
        [
            (name.replace("_", " "), value + (f"  (means {same})" if same != value else ""))
            for name, value, same in found.dimensions
        ],
    )
    _section("Files", [(name, place or found.absent[name]) for name, place in found.files])
    _section("Base images", sorted(found.base_images.items()))
    _section("Cluster", [(name, str(value)) for name, value in found.cluster.items()])
    _section("Tests", list(tests_in_words(found.config).items()))
    recipe = found.recipe or f"unknown: {found.recipe_problem}"
    _section("Recipe", [("digest", recipe)])
    others = [path for path in found.shared_with if path != found.configuration.path]
    if others:
        click.echo(f"  shared with {len(others)}:")
    for path in others:
        click.echo(f"    {path}")
    _section("Published images", sorted(found.facts.images.items()))
    _section("Files of this machine", [(image[:19], str(file)) for image, file in files.items()])
    standing = [("standing", found.facts.standing.value)]
    standing += [("when", found.facts.when)] if found.facts.when else []
    standing += [("run", found.record.run_id)] if found.record and found.record.run_id else []
    standing += [("because", reason) for reason in found.record.reasons] if found.record else []
    _section("Verdict", standing)


def _muted_words(muted: "MutedTest") -> str:
    until = f"until {muted.until}" if muted.until else ""
    place = f"{muted.source}:{muted.line}" if muted.line else muted.source
    why = [muted.reason, muted.ticket, until, f"({muted.how.value}, {place})"]
    return "  ".join(dict.fromkeys(part for part in why if part))


def _muted_document(muted: "MutedTest") -> dict[str, Any]:
    return {
        "test": muted.test,
        "how": muted.how.value,
        "file": muted.source,
        "line": muted.line,
        "reason": muted.reason,
        "ticket": muted.ticket,
        "until": muted.until.isoformat() if muted.until else None,
        "since": muted.since.isoformat() if muted.since else None,
    }


def _document(found: "Description") -> dict[str, Any]:
    return {
        "configuration": found.configuration.path,
        "dimensions": dict(found.configuration.dimensions),
        "files": {name: place or None for name, place in found.files},
        "missing": [name for name, words in found.absent.items() if words == "MISSING"],
        "base_images": dict(found.base_images),
        "cluster": {name.replace(" ", "_"): count for name, count in found.cluster.items()},
        "tests": asdict(found.config) if found.config else None,
        "recipe": {
            "digest": found.recipe or None,
            "problem": found.recipe_problem or None,
            "shared_with": list(found.shared_with),
        },
        "images": dict(found.facts.images),
        "verdict": found.facts.standing.value,
        "when": found.facts.when or None,
        "run": found.record.run_id if found.record else None,
        "reasons": list(found.record.reasons) if found.record else [],
    }
