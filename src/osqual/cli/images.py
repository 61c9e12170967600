"""`osqual images`: published images in the cloud."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.changing import Writing, carry_out, change_options
from osqual.cli.common import catalogue_option, json_option, print_json
from osqual.cli.tables import print_table, printable

if TYPE_CHECKING:
    from osqual.image_care.unreferenced import Unreferenced
    from osqual.image_care.verify import Checked
    from osqual.settings import Settings


@click.group()
def images() -> None:
    """Published images in the cloud: check them, clean up, mark those not to be used."""


VERIFY_EPILOG = """\b
Examples:
  osqual images verify
  osqual images verify 'centos/7.6/**' --boot

Exit codes: 0 all is well, 1 an image is not what the catalogue says.
"""


@images.command(epilog=VERIFY_EPILOG)
@click.argument("paths", nargs=-1)
@click.option("--boot", is_flag=True, help="Start one machine per region and look for ssh.")
@json_option
@catalogue_option
def verify(*, paths: tuple[str, ...], boot: bool, as_json: bool, start: Path) -> int:
    """Check each published image in each region: there, available, public as wanted, its base."""
    from osqual.cancellation import Cancellation
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.image_care import verify as care
    from osqual.processes.signals import cancel_on_signals
    from osqual.settings import load_settings

    catalogue = open_catalogue(start)
    settings = load_settings(catalogue.root, os.environ)
    cancellation = Cancellation()
    found = []
    with cancel_on_signals(cancellation, lambda text: click.echo(text, err=True)):
        for checked in care.verify(catalogue, catalogue.select(paths)):
            cancellation.check()
            result = _booted(checked, settings, cancellation) if boot else checked
            found.append(result)
            if not as_json:
                _print_checked(result)
    if as_json:
        print_json([_checked_document(item) for item in found])
    else:
        bad = sum(bool(item.problems) for item in found)
        click.echo(f"{len(found)} images, {bad} with problems.", err=True)
    return 1 if any(item.problems for item in found) else 0


def _booted(checked: "Checked", settings: "Settings", cancellation: Any) -> "Checked":
    from dataclasses import replace

    from osqual.image_care.boot import boot_once

    if checked.problems:
        return checked
    problem = boot_once(checked.region, checked.image_id, settings, cancellation)
    return replace(checked, problems=(problem,)) if problem else checked


def _print_checked(item: "Checked") -> None:
    state = "; ".join(item.problems) or "; ".join(item.unknown) or "ok"
    colour = "red" if item.problems else "yellow" if item.unknown else "green"
    place = f"{item.image_id}  {item.region}  {item.configuration}"
    click.echo(f"{printable(place)}  {click.style(printable(state), fg=colour)}")


def _checked_document(item: "Checked") -> dict[str, Any]:
    return {
        "configuration": item.configuration,
        "region": item.region,
        "image": item.image_id,
        "problems": list(item.problems),
        "unknown": list(item.unknown),
    }


GC_EPILOG = """\b
Examples:
  osqual images gc
  osqual images gc --older-than 90 --region us-west-2 --delete

Only what osqual tagged, and what no configuration publishes, builds on or
would find by its recipe. Nothing is removed without --delete.
"""


@images.command(epilog=GC_EPILOG)
@click.option(
    "--older-than", type=click.IntRange(min=0), default=30, show_default=True, help="Days."
)
@click.option("--region", "regions", multiple=True, help="Default: every published region.")
@click.option("--delete", is_flag=True, help="Remove what is listed.")
@json_option
@catalogue_option
def gc(
    *, older_than: int, regions: tuple[str, ...], delete: bool, as_json: bool, start: Path
) -> None:
    """List images and snapshots that no configuration refers to, and remove them if asked."""
    from datetime import UTC, datetime, timedelta

    from osqual.catalogue.catalogue import open_catalogue
    from osqual.image_care import unreferenced

    catalogue = open_catalogue(start)
    found = unreferenced.find_unreferenced(
        catalogue,
        regions or unreferenced.published_regions(catalogue),
        timedelta(days=older_than),
        datetime.now(UTC),
    )
    _print_unreferenced(found, as_json=as_json)
    if not delete:
        return
    for image in found.images:
        unreferenced.remove_image(image)
    for snapshot in found.snapshots:
        unreferenced.remove_snapshot(snapshot)
    click.echo(f"Removed: {len(found.images)} images, {len(found.snapshots)} snapshots.", err=True)


def _print_unreferenced(found: "Unreferenced", *, as_json: bool) -> None:
    rows = [
        (image.image_id, image.region, image.created.strftime("%Y-%m-%d"), image.name)
        for image in found.images
    ]
    rows += [
        (item.snapshot_id, item.region, item.created.strftime("%Y-%m-%d"), "snapshot")
        for item in found.snapshots
    ]
    if as_json:
        names = ("id", "region", "created", "name")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        print_table(("id", "region", "created", "name"), rows)


def _withdraw(
    image: str, kind: str, reason: str, start: Path, writing: Writing, *, in_cloud: bool
) -> None:
    from datetime import UTC, datetime

    import yaml

    from osqual.catalogue.ancestry import AncestryReader
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.catalogue.withdrawn import FILE_NAME, Withdrawal, as_document, read_withdrawn
    from osqual.changes.draft import Draft
    from osqual.image_care import withdraw

    catalogue = open_catalogue(start)
    reader = AncestryReader(catalogue=catalogue)
    reader.read()
    affected = withdraw.affected_by(reader.of(image))
    withdrawal = Withdrawal(kind)
    since = datetime.now(UTC).strftime("%Y-%m-%d")
    new = withdraw.entries_for(affected, withdrawal, reason, since)
    draft = Draft(catalogue.root)
    document = as_document({**read_withdrawn(catalogue.root), **new})
    draft.write(FILE_NAME, yaml.safe_dump(document, sort_keys=True))
    facts = {"affected": [vars(item) for item in affected]}
    written = carry_out(draft, writing, facts)
    if not written or writing.dry_run or not in_cloud:
        return
    for item in affected:
        if item.region != "local" and item.configuration:
            there = withdraw.mark_in_cloud(item, withdrawal, reason)
            state = "marked" if there else "not there"
            click.echo(f"{item.image} in {item.region}: {state}", err=True)


WITHDRAW_EPILOG = """\b
Example:
  osqual images {name} ami-0977d7933110e9633 --reason 'CVE-2026-1234'

IMAGE is a published image or a base image; everything that descends from it
goes with it. `find` then {effect}, and `plan` runs what uses it.
"""


@images.command(epilog=WITHDRAW_EPILOG.format(name="deprecate", effect="warns of them"))
@click.argument("image")
@click.option("--reason", required=True)
@click.option("--cloud/--no-cloud", "in_cloud", default=True, help="Tag them in the cloud too.")
@change_options
@catalogue_option
def deprecate(*, image: str, reason: str, in_cloud: bool, start: Path, writing: Writing) -> None:
    """Say that an image works, and that something newer should be used."""
    _withdraw(image, "deprecated", reason, start, writing, in_cloud=in_cloud)


@images.command(epilog=WITHDRAW_EPILOG.format(name="revoke", effect="leaves them out"))
@click.argument("image")
@click.option("--reason", required=True)
@click.option(
    "--cloud/--no-cloud",
    "in_cloud",
    default=True,
    help="Tag them in the cloud too, and take their public permission away.",
)
@change_options
@catalogue_option
def revoke(*, image: str, reason: str, in_cloud: bool, start: Path, writing: Writing) -> None:
    """Say that an image must not be used."""
    _withdraw(image, "revoked", reason, start, writing, in_cloud=in_cloud)
