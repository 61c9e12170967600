"""What the machines' consoles said last when a test failed: kept beside the suite's results."""

import json
from pathlib import Path

from osqual.context import RunContext, need
from osqual.events import Event, EventKind
from osqual.model import Cluster
from osqual.process import write_atomic

LINES = 50
_TAIL_BYTES = 64 * 1024
_BAD = ("fail", "error")


def watch_consoles(context: RunContext) -> None:
    """From now on, keep the ends of all consoles whenever a test is told to have failed.

    Kinds that tell of a test as it ends have the consoles of that moment, the others those of the
    suite's end.
    """
    cluster = need(context.cluster)
    if not any(node.console for node in cluster.nodes):
        return

    def keep(event: Event) -> None:
        if event.kind is EventKind.TEST and event.data.get("outcome") in _BAD:
            path = consoles_file(context.scope.directory, str(event.data["suite"]))
            kept = read_consoles(path)
            kept[str(event.data["test_id"])] = tails(cluster)
            write_atomic(path, json.dumps(kept))

    context.scope.bus.subscribe(keep)


def consoles_file(directory: Path, suite: str) -> Path:
    """Where the consoles of a suite's failures are, in the run directory."""
    return directory / "suites" / suite / "consoles.json"


def read_consoles(path: Path) -> dict[str, dict[str, list[str]]]:
    """Test id -> node -> the last lines; nothing where nothing was kept."""
    try:
        found: dict[str, dict[str, list[str]]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def tails(cluster: Cluster) -> dict[str, list[str]]:
    """The last lines of each node's console, by the node's name."""
    return {node.name: _tail(node.console) for node in cluster.nodes if node.console is not None}


def _tail(console: Path) -> list[str]:
    try:
        with console.open("rb") as stream:
            stream.seek(max(0, console.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip("\r") for line in text.splitlines()[-LINES:]]
