"""What a plan would create, from `terraform show -json`."""

from collections.abc import Iterator, Mapping
from typing import Any

_INSTANCES = ("aws_instance", "aws_spot_instance_request")


def instance_types(plan: Mapping[str, Any]) -> list[str]:
    """The instance type of each machine that the plan would create, one entry a machine."""
    return [str(after["instance_type"]) for after in _created(plan) if after.get("instance_type")]


def on_demand_types(plan: Mapping[str, Any]) -> list[str]:
    """The same without spot instances, which have quotas of their own."""
    return [
        str(after["instance_type"])
        for after in _created(plan)
        if after.get("instance_type") and not _is_spot(after)
    ]


def images(plan: Mapping[str, Any]) -> set[str]:
    """The images that machines of the plan would start from."""
    return {str(after["ami"]) for after in _created(plan) if after.get("ami")}


def _is_spot(after: Mapping[str, Any]) -> bool:
    options = after.get("instance_market_options") or []
    kinds = [option.get("market_type") for option in options]
    return "spot" in kinds or "spot_price" in after


def _created(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for entry in plan.get("resource_changes", []):
        change = entry.get("change", {})
        if entry.get("type") in _INSTANCES and "create" in change.get("actions", []):
            yield change.get("after") or {}
