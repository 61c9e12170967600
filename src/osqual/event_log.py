"""The event log of a run: one JSON object a line, written as it happens and read back later."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from osqual.events import Event, EventKind

FILE_NAME = "events.jsonl"


class EventLog:
    """Appends every event to a file; subscribe it to a bus."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, event: Event) -> None:
        """Write one event; it is with the kernel then, so that another process can follow."""
        line = json.dumps(event_document(event), ensure_ascii=False) + "\n"
        os.write(self._descriptor, line.encode(errors="replace"))


@contextmanager
def open_log(directory: Path) -> Iterator[EventLog]:
    """The log of the run in this directory, continued where an earlier process left it.

    A last line that was cut short is ended, so that it spoils no other.
    """
    path = directory / FILE_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")
        yield EventLog(descriptor)
    finally:
        os.close(descriptor)


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
