"""What a cluster costs: an estimate an hour, noted in the run directory when it is planned."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osqual.processes.process import write_atomic

FILE_NAME = "cost.json"
_WITH_CLUSTER = ("provision", "install", "test", "judge")


@dataclass(frozen=True, kw_only=True)
class HourlyCost:
    """An estimate in USD an hour; `unknown` are instance types without a price."""

    usd: float
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spent:
    """The estimate for the time that the cluster has been there."""

    usd: float
    hours: float
    unknown: tuple[str, ...]


def write_cost(directory: Path, cost: HourlyCost) -> None:
    """Note it."""
    write_atomic(directory / FILE_NAME, json.dumps(vars(cost)) + "\n")


def read_cost(directory: Path) -> HourlyCost | None:
    """What was noted; None where nobody knows a price, as on one's own machine."""
    try:
        document = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
        return HourlyCost(usd=float(document["usd"]), unknown=tuple(document["unknown"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def spent_so_far(directory: Path, step_seconds: Mapping[str, float]) -> Spent | None:
    """What the cluster has cost, by how long the run's steps took; None without a price."""
    hourly = read_cost(directory)
    if hourly is None:
        return None
    hours = sum(step_seconds.get(name, 0.0) for name in _WITH_CLUSTER) / 3600
    return Spent(usd=round(hourly.usd * hours, 2), hours=round(hours, 2), unknown=hourly.unknown)
