"""Withdrawing an image and everything that descends from it: in the catalogue, and in the cloud."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from osqual.aws.images import find_image
from osqual.aws.session import calling, client
from osqual.aws.tags import DEPRECATED, REVOKED
from osqual.catalogue.ancestry import Ancestry, Derived
from osqual.catalogue.withdrawn import Withdrawal, Withdrawn
from osqual.errors import NotFound

_TAGS = {Withdrawal.DEPRECATED: DEPRECATED, Withdrawal.REVOKED: REVOKED}
_TAG_LENGTH = 255


@dataclass(frozen=True, kw_only=True)
class Affected:
    """An image that is withdrawn, and where it is."""

    image: str
    region: str
    configuration: str
    derives_from: str = ""


def affected_by(ancestry: Ancestry) -> list[Affected]:
    """The image itself, wherever it is published, then what descends from it, each once."""
    if not ancestry.known:
        raise NotFound(f"The catalogue does not mention the image {ancestry.image}.")
    found = {
        item.region: Affected(
            image=ancestry.image, region=item.region, configuration=item.facts.path
        )
        for item in ancestry.published
    }
    itself = list(found.values()) or [
        Affected(image=ancestry.image, region=region, configuration="")
        for _, region in ancestry.base_in[:1]
    ]
    siblings = [
        Affected(
            image=image,
            region=region,
            configuration=item.facts.path,
            derives_from=ancestry.image,
        )
        for item in ancestry.published
        if item.current
        for region, image in item.facts.images.items()
        if image != ancestry.image
    ]
    below = list(_below(ancestry.derived, ancestry.image))
    unique = {(item.image, item.region): item for item in [*below, *siblings, *itself]}
    return sorted(unique.values(), key=lambda item: (item.derives_from, item.image))


def _below(derived: Sequence[Derived], named: str) -> Iterator[Affected]:
    for item in derived:
        for region, image in item.facts.images.items():
            yield Affected(
                image=image, region=region, configuration=item.facts.path, derives_from=named
            )
        yield from _below(item.derived, named)


def entries_for(
    affected: Sequence[Affected], withdrawal: Withdrawal, reason: str, since: str
) -> dict[str, Withdrawn]:
    """What the catalogue's file gets."""
    return {
        item.image: Withdrawn(
            image=item.image,
            withdrawal=withdrawal,
            reason=reason,
            since=since,
            derives_from=item.derives_from,
        )
        for item in affected
    }


def mark_in_cloud(item: Affected, withdrawal: Withdrawal, reason: str) -> bool:
    """Tag the image; a revoked one loses its public permission. False when it is not there."""
    image = find_image(item.region, item.image)
    if image is None:
        return False
    ec2 = client("ec2", item.region)
    with calling(f"marking {item.image}"):
        tag = {"Key": _TAGS[withdrawal], "Value": reason[:_TAG_LENGTH]}
        ec2.create_tags(Resources=[item.image], Tags=[tag])
        if withdrawal is Withdrawal.REVOKED and image.public:
            ec2.modify_image_attribute(
                ImageId=item.image,
                Attribute="launchPermission",
                LaunchPermission={"Remove": [{"Group": "all"}]},
            )
    return True
