"""What a run's cluster costs an hour, noted in the run directory when it is planned."""

import json
from dataclasses import dataclass
from pathlib import Path

from osqual.process import write_atomic

FILE_NAME = "cost.json"


@dataclass(frozen=True, kw_only=True)
class HourlyCost:
    """An estimate in USD an hour; `unknown` are instance types without a price."""

    usd: float
    unknown: tuple[str, ...] = ()


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
