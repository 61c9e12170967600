"""Ending what carries a run's tag, in the order in which the cloud lets go of it.

Needs nothing but the tag. Images and snapshots are left: they may be what was published.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from osqual.aws.session import CloudError, calling, client
from osqual.aws.tags import RUN, as_mapping, expiry_of, tag_filter
from osqual.cancellation import Cancellation, pauses
from osqual.errors import CleanupIncomplete, TimeLimitExceeded

POLL_S = 3.0
ATTEMPTS = 26
_GONE = ("NotFound", "Malformed")
# What Packer calls the group and the key pair of its machine.
PACKER_PREFIX = "packer_"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One kind of thing: how to list and how to end it. `listing`: method, answer's key, id."""

    name: str
    listing: tuple[str, str, str]
    end: Callable[[Any, Mapping[str, Any]], None]
    filters: tuple[Mapping[str, Any], ...] = ()


def _end_gateway(ec2: Any, item: Mapping[str, Any]) -> None:
    gateway = item["InternetGatewayId"]
    for attachment in item.get("Attachments", []):
        ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=attachment["VpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=gateway)


def _end_routes(ec2: Any, item: Mapping[str, Any]) -> None:
    for association in item.get("Associations", []):
        if not association.get("Main"):
            ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    ec2.delete_route_table(RouteTableId=item["RouteTableId"])


_KINDS = (
    _Kind(
        name="volume",
        listing=("describe_volumes", "Volumes", "VolumeId"),
        end=lambda ec2, item: ec2.delete_volume(VolumeId=item["VolumeId"]),
        filters=({"Name": "status", "Values": ["available"]},),
    ),
    _Kind(
        name="key pair",
        listing=("describe_key_pairs", "KeyPairs", "KeyName"),
        end=lambda ec2, item: ec2.delete_key_pair(KeyName=item["KeyName"]),
    ),
    _Kind(
        name="network interface",
        listing=("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
        end=lambda ec2, item: ec2.delete_network_interface(
            NetworkInterfaceId=item["NetworkInterfaceId"]
        ),
    ),
    _Kind(
        name="security group",
        listing=("describe_security_groups", "SecurityGroups", "GroupId"),
        end=lambda ec2, item: ec2.delete_security_group(GroupId=item["GroupId"]),
    ),
    _Kind(
        name="internet gateway",
        listing=("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
        end=_end_gateway,
    ),
    _Kind(
        name="subnet",
        listing=("describe_subnets", "Subnets", "SubnetId"),
        end=lambda ec2, item: ec2.delete_subnet(SubnetId=item["SubnetId"]),
    ),
    _Kind(
        name="route table",
        listing=("describe_route_tables", "RouteTables", "RouteTableId"),
        end=_end_routes,
    ),
    _Kind(
        name="network",
        listing=("describe_vpcs", "Vpcs", "VpcId"),
        end=lambda ec2, item: ec2.delete_vpc(VpcId=item["VpcId"]),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Expired:
    """What is left of a run whose time is over, by its tags alone."""

    region: str
    run_id: str
    since: datetime
    things: tuple[str, ...]


def left_of_run(region: str, run_id: str) -> list[str]:
    """What of a run is still there, as `kind id`. Only asks."""
    return [what for what, _ in _tagged(client("ec2", region), tag_filter(RUN, run_id))]


def expired_runs(region: str, now: datetime) -> list[Expired]:
    """Runs of which something is there although its tag says that nobody needs it. Only asks."""
    things: dict[str, list[str]] = {}
    since: dict[str, datetime] = {}
    for what, tags in _tagged(client("ec2", region), tag_filter(RUN)):
        run_id, expires = tags[RUN], expiry_of(tags)
        if expires is not None:
            things.setdefault(run_id, []).append(what)
            since[run_id] = max(expires, since.get(run_id, expires))
    return [
        Expired(region=region, run_id=run_id, since=since[run_id], things=tuple(names))
        for run_id, names in sorted(things.items())
        if since[run_id] <= now
    ]


def _tagged(ec2: Any, where: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """`kind id` and tags of everything that a filter finds."""
    for item in _instances(ec2, where):
        yield f"instance {item['InstanceId']}", as_mapping(item.get("Tags"))
    for kind in _KINDS:
        for item in _list(ec2, kind, where):
            tags = as_mapping(item.get("Tags") or item.get("TagSet"))
            yield f"{kind.name} {item[kind.listing[2]]}", tags


def reap_run(region: str, run_id: str, cancellation: Cancellation) -> list[str]:
    """End everything that carries the run's tag; what that was.

    A failure at one thing does not keep it from the others, and each is tried again, because some
    let go of others only after a while. Raises CleanupIncomplete with what is left.
    """
    before = left_of_run(region, run_id)
    if not before:
        return []
    sweep = _Sweep(ec2=client("ec2", region), where=tag_filter(RUN, run_id))
    with suppress(TimeLimitExceeded):
        for attempt, pause in zip(range(ATTEMPTS), pauses(POLL_S), strict=False):
            if attempt:
                cancellation.sleep(pause)
            if sweep.end_all(cancellation) and not left_of_run(region, run_id):
                return before
    raise CleanupIncomplete(
        f"Resources of the run {run_id} are left in {region}.",
        details="\n".join([*left_of_run(region, run_id), *sweep.errors]),
        resolution=f"run `osqual destroy {run_id}` again",
    )


@dataclass(kw_only=True)
class _Sweep:
    """One region being emptied of a run."""

    ec2: Any
    where: Mapping[str, Any]
    errors: list[str] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    """Security groups that Packer made for its machine and could not tag."""
    keys: set[str] = field(default_factory=set)

    def end_all(self, cancellation: Cancellation) -> bool:
        """Try to end each thing once; whether all of it worked."""
        self.errors = []
        instances = [str(item["InstanceId"]) for item in _instances(self.ec2, self.where)]
        self._note_companions()
        if instances:
            self._attempt("instances", lambda: self.ec2.terminate_instances(InstanceIds=instances))
        for pause in pauses(POLL_S):
            if self.errors or not list(_instances(self.ec2, self.where)):
                break
            cancellation.sleep(pause)
        for kind in _KINDS:
            for item in _list(self.ec2, kind, self.where):
                what = f"{kind.name} {item[kind.listing[2]]}"
                self._attempt(what, lambda kind=kind, item=item: kind.end(self.ec2, item))  # type: ignore[misc]
        for group in sorted(self.groups):
            self._attempt(group, lambda group=group: self.ec2.delete_security_group(GroupId=group))  # type: ignore[misc]
        for key in sorted(self.keys):
            self._attempt(key, lambda key=key: self.ec2.delete_key_pair(KeyName=key))  # type: ignore[misc]
        return not self.errors

    def _note_companions(self) -> None:
        for instance in _instances(self.ec2, self.where):
            self.groups |= {
                str(group["GroupId"])
                for group in instance.get("SecurityGroups", [])
                if str(group["GroupName"]).startswith(PACKER_PREFIX)
            }
            if str(instance.get("KeyName", "")).startswith(PACKER_PREFIX):
                self.keys.add(str(instance["KeyName"]))

    def _attempt(self, what: str, action: Callable[[], object]) -> None:
        try:
            with calling(f"ending {what}"):
                action()
        except CloudError as error:
            if not any(word in error.code for word in _GONE):
                self.errors.append(f"{what}: {error.details or error.brief}")


def _instances(ec2: Any, where: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    alive = ["pending", "running", "stopping", "stopped", "shutting-down"]
    filters = [where, {"Name": "instance-state-name", "Values": alive}]
    with calling("listing instances"):
        for page in ec2.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]


def _list(ec2: Any, kind: _Kind, where: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    method, key, _ = kind.listing
    with calling(f"listing {kind.name}s"):
        found: list[Mapping[str, Any]] = getattr(ec2, method)(Filters=[where, *kind.filters])[key]
    return found
