"""Images of our own in the cloud: found by recipe, made public, looked at in every region."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from osqual.aws.session import CloudError, calling, client
from osqual.aws.tags import BASE, RECIPE, as_mapping, tag_filter

# A new image may not be known everywhere at once.
CONSISTENCY_ATTEMPTS = 6
CONSISTENCY_PAUSE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class CloudImage:
    """An image as the API tells it."""

    region: str
    image_id: str
    name: str
    state: str
    created: datetime
    public: bool
    tags: Mapping[str, str]
    snapshots: tuple[str, ...]
    deprecated_at: str = ""

    @property
    def base(self) -> str:
        """The base image it was built from; empty for one that osqual did not build."""
        return self.tags.get(BASE, "")


def read_image(region: str, item: Mapping[str, Any]) -> CloudImage:
    """From the API's words."""
    mappings = item.get("BlockDeviceMappings") or []
    snapshots = [entry.get("Ebs", {}).get("SnapshotId") for entry in mappings]
    return CloudImage(
        region=region,
        image_id=str(item["ImageId"]),
        name=str(item.get("Name", "")),
        state=str(item.get("State", "")),
        created=datetime.fromisoformat(str(item["CreationDate"])).astimezone(UTC),
        public=bool(item.get("Public")),
        tags=as_mapping(item.get("Tags")),
        snapshots=tuple(str(name) for name in snapshots if name),
        deprecated_at=str(item.get("DeprecationTime") or ""),
    )


def describe_image(region: str, image_id: str) -> Mapping[str, Any] | None:
    """An image as the API describes it; None when there is none of that id."""
    try:
        with calling(f"looking at {image_id}"):
            found = client("ec2", region).describe_images(
                ImageIds=[image_id], IncludeDeprecated=True
            )["Images"]
    except CloudError as error:
        if error.code.startswith("InvalidAMIID"):
            return None
        raise
    image: Mapping[str, Any] | None = found[0] if found else None
    return image


def image_facts(region: str, image_id: str) -> dict[str, Any]:
    """Account and snapshots of an image; empty when there is none of that id. Raises CloudError."""
    item = describe_image(region, image_id)
    if item is None:
        return {}
    snapshots = list(read_image(region, item).snapshots)
    return {"account": str(item.get("OwnerId", "")), "snapshots": snapshots}


def find_image(region: str, image_id: str) -> CloudImage | None:
    """An image by its id; None when there is none."""
    item = describe_image(region, image_id)
    return None if item is None else read_image(region, item)


def own_images(region: str, *filters: Mapping[str, Any]) -> list[CloudImage]:
    """Images of the account, newest first."""
    with calling(f"listing images in {region}"):
        pages = (
            client("ec2", region)
            .get_paginator("describe_images")
            .paginate(Owners=["self"], Filters=list(filters), IncludeDeprecated=True)
        )
        found = [read_image(region, item) for page in pages for item in page["Images"]]
    return sorted(found, key=lambda image: (image.created, image.image_id), reverse=True)


def find_built(regions: Iterable[str], recipe: str) -> dict[str, CloudImage] | None:
    """The newest image of a recipe that is there in every region; None when there is none."""
    regions = list(regions)
    candidates = [
        {
            image.name: image
            for image in reversed(own_images(region, tag_filter(RECIPE, recipe)))
            if image.state == "available"
        }
        for region in regions
    ]
    first, others = candidates[0], candidates[1:]
    for name, image in sorted(first.items(), key=lambda pair: pair[1].created, reverse=True):
        if all(name in other for other in others):
            copies = [image, *(other[name] for other in others)]
            return dict(zip(regions, copies, strict=True))
    return None


def make_public(region: str, image_id: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Let everybody launch the image."""

    def grant() -> None:
        with calling(f"making {image_id} public"):
            client("ec2", region).modify_image_attribute(
                ImageId=image_id,
                Attribute="launchPermission",
                LaunchPermission={"Add": [{"Group": "all"}]},
            )

    _when_known(grant, sleep)


def _when_known(action: Callable[[], None], sleep: Callable[[float], None]) -> None:
    """Do it, again while the API does not know the image yet."""
    for attempt in range(CONSISTENCY_ATTEMPTS):
        try:
            action()
        except CloudError as error:
            last = attempt == CONSISTENCY_ATTEMPTS - 1
            if last or not error.code.endswith((".NotFound", ".Unavailable")):
                raise
            sleep(CONSISTENCY_PAUSE_S)
        else:
            return
