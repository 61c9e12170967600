"""Whether the account may run what is planned beside what runs already: vCPUs, by kind of instance.

Everything here only asks.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from osqual.aws.session import calling, client
from osqual.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Quota:
    """One quota of on-demand instances that run at a time; it counts vCPUs."""

    code: str
    name: str
    families: frozenset[str]
    """The letters that types begin with: `m` of m5.large."""


QUOTAS = (
    Quota(
        code="L-1216C47A",
        name="standard instances",
        families=frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"}),
    ),
    Quota(code="L-74FC7D96", name="F instances", families=frozenset({"f"})),
    Quota(code="L-DB2E81BA", name="G and VT instances", families=frozenset({"g", "gr", "vt"})),
    Quota(code="L-417A185B", name="P instances", families=frozenset({"p"})),
    Quota(code="L-7295265B", name="X instances", families=frozenset({"x"})),
)


class QuotaTooSmall(InvalidInput):
    """The account may not run as many instances at a time."""


@dataclass(frozen=True, kw_only=True)
class QuotaUse:
    """Numbers of vCPUs: allowed, in use now, and needed by what is planned."""

    quota: Quota
    limit: int
    used: int
    needed: int

    def __str__(self) -> str:
        free = max(0, self.limit - self.used)
        return (
            f"{self.needed} vCPUs are needed, and {free} are free "
            f"({self.used} of {self.limit} in use by {self.quota.name})"
        )


def check_quota(region: str, types: Sequence[str]) -> list[QuotaUse]:
    """The instances, one type each, fit into what is free; types of other kinds are not looked at.

    Raises QuotaTooSmall with the numbers, CloudError when the account cannot be asked.
    """
    uses = list(_uses(region, types))
    for use in uses:
        if use.used + use.needed > use.limit:
            counted = ", ".join(f"{n} x {name}" for name, n in sorted(Counter(types).items()))
            raise QuotaTooSmall(
                f"The quota for {use.quota.name} in {region} is too small.",
                details=f"{use}\nplanned: {counted}",
                resolution=f"ask AWS for more (quota {use.quota.code}), end what is running, or "
                "ask for fewer or smaller nodes",
            )
    return uses


def _uses(region: str, types: Sequence[str]) -> Iterator[QuotaUse]:
    running: list[str] | None = None
    for quota in QUOTAS:
        planned = [name for name in types if _counts(quota, name)]
        if not planned:
            continue
        running = _running_types(region) if running is None else running
        now = [name for name in running if _counts(quota, name)]
        sizes = _sizes(region, {*planned, *now})
        yield QuotaUse(
            quota=quota,
            limit=_limit(region, quota),
            used=sum(sizes.get(name, 0) for name in now),
            needed=sum(sizes.get(name, 0) for name in planned),
        )


def _counts(quota: Quota, instance_type: str) -> bool:
    letters = re.match(r"[a-z]+", instance_type)
    return letters is not None and letters[0] in quota.families


def _limit(region: str, quota: Quota) -> int:
    with calling("asking for the quota"):
        found = client("service-quotas", region).get_service_quota(
            ServiceCode="ec2", QuotaCode=quota.code
        )
    return int(found["Quota"]["Value"])


def _running_types(region: str) -> list[str]:
    """The type of each on-demand instance; spot instances have quotas of their own."""
    states = {"Name": "instance-state-name", "Values": ["pending", "running"]}
    with calling("listing instances"):
        pages = client("ec2", region).get_paginator("describe_instances")
        return [
            instance["InstanceType"]
            for page in pages.paginate(Filters=[states])
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
            if instance.get("InstanceLifecycle") != "spot"
        ]


def _sizes(region: str, types: set[str]) -> Mapping[str, int]:
    with calling("looking at instance types"):
        pages = client("ec2", region).get_paginator("describe_instance_types")
        return {
            entry["InstanceType"]: int(entry["VCpuInfo"]["DefaultVCpus"])
            for page in pages.paginate(InstanceTypes=sorted(types))
            for entry in page["InstanceTypes"]
        }
