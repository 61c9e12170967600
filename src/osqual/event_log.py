"""The event log of a run: one JSON object a line, written as it happens and read back later."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from osqual.events import Event, EventKind

FILE_NAME = "events.jsonl"


class EventLog:
    """Appends every event to a file; subscribe it to a bus."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write one event and flush it, so that another process can follow."""
        self._stream.write(json.dumps(event_document(event), ensure_ascii=False) + "\n")
        self._stream.flush()


def event_document(event: Event) -> dict[str, Any]:
    """An event as JSON; empty parts are left out."""
    document = {
        "time": round(event.time, 3),
        "kind": event.kind.value,
        "run": event.run_id,
        "step": event.step,
        "message": event.message,
        "data": dict(event.data),
    }
    return {key: value for key, value in document.items() if value not in ("", {})}


def read_events(path: Path) -> Iterator[Event]:
    """The events of a log; a last line cut short by a crash is left out."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            event = parse_event(line)
            if event is not None:
                yield event


def parse_event(line: str) -> Event | None:
    """One line of a log, or None when it is not whole."""
    try:
        document = json.loads(line)
        return Event(
            kind=EventKind(document["kind"]),
            run_id=document["run"],
            time=document["time"],
            message=document.get("message", ""),
            step=document.get("step", ""),
            data=document.get("data", {}),
        )
    except (ValueError, KeyError, TypeError):
        return None
