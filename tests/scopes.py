"""Surroundings for tests of single effects: a scope that remembers its events, and a cluster."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.events import Event, EventBus, EventKind
from osqual.model import Cluster, Node, SshIdentity, Topology
from osqual.settings import Settings


@dataclass
class MemoryJournal:
    """Resource rows as a list: name, and how far each got."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def intend(self, kind: str, name: str, details: Mapping[str, Any]) -> int:
        row = {"id": len(self.rows), "kind": kind, "name": name, "details": dict(details)}
        self.rows.append({**row, "external_id": None, "state": "intended"})
        return len(self.rows) - 1

    def created(self, row: int, external_id: str, details: Mapping[str, Any]) -> None:
        self.rows[row] |= {"state": "created", "external_id": external_id}
        self.rows[row]["details"] |= details

    def ended(self, row: int) -> None:
        self.rows[row]["state"] = "ended"

    def in_step(self, step: str) -> "MemoryJournal":
        return self

    def unended(self) -> Sequence[Mapping[str, Any]]:
        return [row for row in self.rows if row["state"] != "ended"]

    def started(self, kind: str) -> int:
        return sum(row["kind"] == kind for row in self.rows)


@dataclass
class Clock:
    """The monotonic clock, which can be made to jump."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@dataclass
class Surroundings:
    """A scope, and what was said and journalled through it."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    cancellation: Cancellation = field(init=False)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cancellation = Cancellation(clock=self.clock)

    @property
    def scope(self) -> RunScope:
        return RunScope(
            run_id="run",
            directory=self.directory,
            settings=Settings(),
            journal=self.journal,
            bus=EventBus(self.events.append),
            cancellation=self.cancellation,
        )

    def said(self, kind: EventKind) -> list[Event]:
        return [event for event in self.events if event.kind is kind]


def make_cluster(topology: Topology, keys: Path = Path("/nonexistent")) -> Cluster:
    """Nodes as a platform would describe them; nothing answers at their addresses."""
    nodes = tuple(
        Node(
            name=name,
            role=role,
            ssh_host="127.0.0.1",
            ssh_port=1,
            ssh_user="root",
            private_address=f"10.0.0.{number}",
            public_address="127.0.0.1",
        )
        for number, (name, role) in enumerate(topology.names(), 1)
    )
    return Cluster(
        nodes=nodes, identity=SshIdentity(private_key=keys, public_key=keys, known_hosts=keys)
    )
