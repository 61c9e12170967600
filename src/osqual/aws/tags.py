"""The tags by which everything that a run makes is found again.

Plain words with underscores: Terraform's provider reads default tags from environment variables.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from osqual.formats.times import iso

RUN = "osqual_run"
EXPIRES = "osqual_expires"
RECIPE = "osqual_recipe"
BASE = "osqual_base"
CONFIGURATION = "osqual_configuration"
DEPRECATED = "osqual_deprecated"
REVOKED = "osqual_revoked"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def run_tags(run_id: str, now_s: float, lasts_s: float) -> dict[str, str]:
    """Which run made it, and when nobody needs it any more (ISO 8601, UTC)."""
    return {RUN: run_id, EXPIRES: iso(now_s + lasts_s)}


def expiry_of(tags: Mapping[str, str]) -> datetime | None:
    """When nobody needs it any more; None where no tag says so."""
    try:
        return datetime.strptime(tags.get(EXPIRES, ""), _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def as_mapping(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Tags as the API lists them, as a mapping."""
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags or ()}


def tag_filter(name: str, *values: str) -> dict[str, Any]:
    """A filter of describe calls: things whose tag has one of the values (any, without one)."""
    if not values:
        return {"Name": "tag-key", "Values": [name]}
    return {"Name": f"tag:{name}", "Values": list(values)}
