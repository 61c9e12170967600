"""What a suite's own process is told. Apart from the plugin, so that the engine needs no pytest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REQUEST_VARIABLE = "OSQUAL_SUITE_REQUEST"


@dataclass(frozen=True, kw_only=True)
class PluginRequest:
    """What the plugin is told, as JSON: paths, the configuration's dimensions, what to run."""

    cluster: Path
    control_dir: Path
    progress: Path
    dimensions: Mapping[str, str] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None
    """Its number, counted from 1, and how many there are."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    go_on: Path | None = None
    """Where a test that has failed waits for: this file says that what it left was looked at."""

    def dump(self) -> str:
        """The request as JSON."""
        document = dict(vars(self))
        document["dimensions"] = dict(self.dimensions)
        document["parameters"] = dict(self.parameters)
        return json.dumps(document, indent=2, default=str) + "\n"

    @classmethod
    def load(cls, path: Path) -> "PluginRequest":
        """Read what `dump` wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            cluster=Path(document["cluster"]),
            control_dir=Path(document["control_dir"]),
            progress=Path(document["progress"]),
            dimensions=document["dimensions"],
            keywords=tuple(document["keywords"]),
            leave_out=tuple(document["leave_out"]),
            only=tuple(document["only"]),
            shard=tuple(document["shard"]) if document["shard"] else None,
            parameters=document["parameters"],
            go_on=Path(document["go_on"]) if document.get("go_on") else None,
        )
