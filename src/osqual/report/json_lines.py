"""Progress of runs for programs: one JSON object a line, as in the event log of a run."""

import io
import json
import threading
import time
from contextlib import suppress
from typing import Any, TextIO

from osqual.errors import OsqualError
from osqual.event_log import event_document
from osqual.events import Event, Subscriber
from osqual.operations.prospects import Prospect
from osqual.operations.side_by_side import Ended


class JsonLines:
    """A `side_by_side.Watcher`. What is no event of a run has the kind waits, ended or message."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def begins(self, prospect: Prospect) -> Subscriber:
        """See `side_by_side.Watcher`."""
        return self._event

    def waits(self, prospect: Prospect, why: str) -> None:
        """See `side_by_side.Watcher`."""
        self.write("waits", configuration=prospect.configuration, message=why)

    def ends(self, ended: Ended) -> None:
        """See `side_by_side.Watcher`."""
        said: dict[str, Any] = {"exit_code": int(ended.exit_code)}
        if ended.result is not None:
            said |= {"run": ended.result.run_id, "verdict": ended.result.judgement.verdict.value}
        if isinstance(ended.error, OsqualError):
            said["message"] = ended.error.brief
        self.write("ended", configuration=ended.configuration, **said)

    def write(self, kind: str, **said: Any) -> None:
        """Something that no run says itself."""
        self._line({"time": round(time.time(), 3), "kind": kind, **said})

    def _event(self, event: Event) -> None:
        self._line(event_document(event))

    def _line(self, document: dict[str, Any]) -> None:
        # The reader may be gone; the runs go on.
        with self._lock, suppress(BrokenPipeError):
            self._stream.write(json.dumps(document, ensure_ascii=False) + "\n")
            self._stream.flush()


class Messages(io.StringIO):
    """A file for text that people would read: each line becomes a message among the JSON lines."""

    def __init__(self, lines: JsonLines) -> None:
        super().__init__()
        self._lines = lines
        self._rest = ""

    def write(self, text: str) -> int:
        """Whole lines are handed on."""
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            if line:
                self._lines.write("message", message=line)
        return len(text)
