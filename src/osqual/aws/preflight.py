"""What must hold before anything costs money. Each check raises a named error, or returns.

Everything here only asks.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from osqual.aws.images import describe_image
from osqual.aws.session import CloudError, calling, client
from osqual.errors import InvalidInput

_ID = re.compile(r"ami-[0-9a-f]{8,17}")


class UnknownRegion(InvalidInput):
    """The region does not exist, or the account may not use it."""


class BaseImageGone(InvalidInput):
    """The image to build from does not exist (any more), or is not to be used."""


class TypeNotOffered(InvalidInput):
    """An instance type does not exist in the region."""


class KeyPairMissing(InvalidInput):
    """The module starts nodes with a key pair that the account does not have."""


def check_region(region: str) -> None:
    """Credentials that are accepted, and a region that the account has."""
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]", region):
        raise UnknownRegion(f"{region!r} is not the name of an AWS region.")
    with calling("who we are"):
        client("sts", home_region(region)).get_caller_identity()
    with calling("listing regions"):
        found = client("ec2", home_region(region)).describe_regions()["Regions"]
    known = {entry["RegionName"] for entry in found}
    if region not in known:
        raise UnknownRegion(
            f"The account has no region {region!r}.",
            details=f"It has: {', '.join(sorted(known))}",
            resolution="correct the region in the template or the profile, or enable it",
        )


def home_region(region: str) -> str:
    """A region of the same partition that every account in it has."""
    homes = {"cn-": "cn-north-1", "us-gov-": "us-gov-west-1"}
    return next((home for start, home in homes.items() if region.startswith(start)), "us-east-1")


def check_base_image(region: str, image_id: str, *, allow_deprecated: bool, now: datetime) -> None:
    """The image exists, is available, and its owner has not withdrawn it."""
    update = "`osqual base update` looks the vendor's newest image up"
    if not _ID.fullmatch(image_id):
        raise BaseImageGone(f"The base image {image_id!r} is not the id of an AMI.")
    image = describe_image(region, image_id)
    if image is None:
        raise BaseImageGone(
            f"The base image {image_id} does not exist in {region}.", resolution=update
        )
    if image.get("State", "available") != "available":
        raise BaseImageGone(f"The base image {image_id} in {region} is {image['State']}.")
    deprecated = image.get("DeprecationTime")
    if (
        deprecated
        and not allow_deprecated
        and datetime.fromisoformat(deprecated).astimezone(UTC) <= now
    ):
        raise BaseImageGone(
            f"The base image {image_id} in {region} is deprecated since {deprecated}.",
            resolution=f"{update}; or set aws.allow_deprecated_bases in osqual.yaml",
        )


def check_types_offered(region: str, types: Iterable[str]) -> None:
    """Every instance type exists in the region."""
    wanted = set(types)
    if not wanted:
        return
    with calling("listing instance types"):
        pages = client("ec2", region).get_paginator("describe_instance_type_offerings")
        found = {
            entry["InstanceType"]
            for page in pages.paginate(
                LocationType="region",
                Filters=[{"Name": "instance-type", "Values": sorted(wanted)}],
            )
            for entry in page["InstanceTypeOfferings"]
        }
    missing = sorted(wanted - found)
    if missing:
        raise TypeNotOffered(
            f"{region} does not offer the instance type {', '.join(missing)}.",
            resolution="choose another type in the profile or the template",
        )


def check_key_pair(region: str, name: str) -> None:
    """A key pair of that name exists."""
    try:
        with calling(f"looking at the key pair {name}"):
            client("ec2", region).describe_key_pairs(KeyNames=[name])
    except CloudError as error:
        if error.code != "InvalidKeyPair.NotFound":
            raise
        raise KeyPairMissing(
            f"The account has no key pair {name!r} in {region}.",
            resolution="import it, correct the profile, or use the module aws-cluster, which "
            "makes one for each run",
        ) from error


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An estimate in USD; `unknown` are instance types that the table has no price for."""

    usd: float
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        gap = f", without {', '.join(self.unknown)} (no price)" if self.unknown else ""
        return f"about {self.usd:.2f} USD{gap}"


def estimate(
    region: str, types: Sequence[str], hours: float, prices: Mapping[str, Mapping[str, float]]
) -> Cost:
    """What these instances cost for so long, by the price table of the settings."""
    table = prices.get(region, {})
    return Cost(
        usd=sum(table.get(name, 0.0) for name in types) * hours,
        unknown=tuple(sorted({name for name in types if name not in table})),
    )


class TooExpensive(InvalidInput):
    """The estimate is above what the person allows."""


def check_cost(cost: Cost, limit_usd: float, what: str) -> None:
    """The estimate is known and within the limit."""
    if cost.unknown:
        raise TooExpensive(
            f"What {what} costs cannot be estimated.",
            details=f"There is no price for {', '.join(cost.unknown)}.",
            resolution="add them to aws.prices in osqual.yaml, or leave --max-cost out",
        )
    if cost.usd > limit_usd:
        raise TooExpensive(
            f"{what[:1].upper()}{what[1:]} costs about {cost.usd:.2f} USD, and "
            f"{limit_usd:.2f} USD are allowed.",
            resolution="raise --max-cost, or ask for fewer or smaller nodes",
        )
