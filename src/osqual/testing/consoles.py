"""What the machines' consoles said last when a test failed: kept beside the suite's results."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from osqual.events import Event, EventKind
from osqual.model import Cluster
from osqual.processes.process import write_atomic
from osqual.run.context import RunContext, need

LINES = 50
_TAIL_BYTES = 64 * 1024
_BAD = ("fail", "error")


def watch_consoles(context: RunContext, *, apart: Collection[str] = ()) -> None:
    """From now on, keep the ends of all consoles whenever a test is told to have failed.

    Kinds that tell of a test as it ends have the consoles of that moment, the others those of the
    suite's end. Suites that run `apart`, on clusters of their own, see to it themselves.
    """
    if not any(node.console for node in need(context.cluster).nodes):
        return

    def keep(event: Event) -> None:
        bad = event.kind is EventKind.TEST and event.data.get("outcome") in _BAD
        if bad and (suite := str(event.data["suite"])) not in apart:
            keep_consoles(suite, [str(event.data["test_id"])], context)

    context.scope.bus.subscribe(keep)


def keep_consoles(suite: str, tests: Sequence[str], context: RunContext) -> None:
    """Keep, for each of these tests, what the context's machines said last."""
    if tests and context.cluster is not None:
        path = consoles_file(context.run_directory, suite)
        last = tails(context.cluster)
        write_atomic(path, json.dumps({**read_consoles(path), **dict.fromkeys(tests, last)}))


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
