"""Images and snapshots of osqual that no configuration refers to, by tag and age."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from osqual.aws.images import CloudImage, own_images
from osqual.aws.session import calling, client
from osqual.aws.tags import RECIPE, tag_filter
from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.facts import read_facts
from osqual.catalogue.recipes import RecipeReader
from osqual.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot that belongs to no image any more."""

    region: str
    snapshot_id: str
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Unreferenced:
    """What may be removed."""

    images: tuple[CloudImage, ...]
    snapshots: tuple[Snapshot, ...]


def find_unreferenced(
    catalogue: Catalogue, regions: Iterable[str], older_than: timedelta, now: datetime
) -> Unreferenced:
    """Only what osqual has tagged; images of a recipe that a configuration has stay.

    Raises InvalidInput while a published file of the catalogue cannot be read: what is in it
    would look unreferenced.
    """
    referenced, recipes = _references(catalogue)
    images: list[CloudImage] = []
    snapshots: list[Snapshot] = []
    for region in sorted(set(regions)):
        own = own_images(region, tag_filter(RECIPE))
        images += [
            image
            for image in own
            if image.image_id not in referenced
            and image.tags[RECIPE] not in recipes
            and now - image.created >= older_than
        ]
        used = {name for image in own_images(region) for name in image.snapshots}
        snapshots += [
            snapshot
            for snapshot in _tagged_snapshots(region)
            if snapshot.snapshot_id not in used and now - snapshot.created >= older_than
        ]
    return Unreferenced(images=tuple(images), snapshots=tuple(snapshots))


def published_regions(catalogue: Catalogue) -> set[str]:
    """Every region of the cloud that the catalogue has published an image in."""
    facts, _ = read_facts(catalogue)
    return {region for item in facts for region in item.images} - {"local"}


def _references(catalogue: Catalogue) -> tuple[set[str], set[str]]:
    facts, problems = read_facts(catalogue)
    reader = RecipeReader(catalogue=catalogue)
    built = [reader.built(item) for item in catalogue.configurations()]
    broken = [str(problem) for problem in problems]
    broken += [str(item.problem) for item in built if item.problem is not None]
    if broken:
        raise InvalidInput(
            "Some files of the catalogue cannot be read, so what they refer to is not known.",
            details="\n".join(broken[:10]),
            resolution="repair them first (`osqual lint`)",
        )
    images = {image for item in facts for image in item.images.values()}
    images |= {base for item in built for base in item.base_images.values()}
    return images, {item.recipe.digest for item in built if item.recipe is not None}


def _tagged_snapshots(region: str) -> list[Snapshot]:
    with calling(f"listing snapshots in {region}"):
        pages = client("ec2", region).get_paginator("describe_snapshots")
        return [
            Snapshot(region=region, snapshot_id=item["SnapshotId"], created=item["StartTime"])
            for page in pages.paginate(OwnerIds=["self"], Filters=[tag_filter(RECIPE)])
            for item in page["Snapshots"]
        ]


def remove_image(image: CloudImage) -> None:
    """Deregister it and delete its snapshots."""
    ec2 = client("ec2", image.region)
    with calling(f"removing {image.image_id}"):
        ec2.deregister_image(ImageId=image.image_id)
        for snapshot in image.snapshots:
            ec2.delete_snapshot(SnapshotId=snapshot)


def remove_snapshot(snapshot: Snapshot) -> None:
    """Delete it."""
    with calling(f"removing {snapshot.snapshot_id}"):
        client("ec2", snapshot.region).delete_snapshot(SnapshotId=snapshot.snapshot_id)
