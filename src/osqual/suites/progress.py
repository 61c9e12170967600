"""The file of JSON lines by which a running suite tells what it does, as it does it.

One line an event, each with `event`: `collected` (count, found, left_out, tests), `started` and
`failing` (test_id), `ended` (test_id, outcome, duration_s, message, details, lost), `finished`. It
is what remains of a suite that did not live to write its report.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osqual.model import Outcome, TestResult

MAX_LINE_BYTES = 1 << 20


class ProgressWriter:
    """Appends events; each line is with the kernel when the call returns."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)

    def write(self, event: str, **data: Any) -> None:
        """Append one event."""
        line = json.dumps({"event": event, **data})
        os.write(self._descriptor, line.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class LineFollower:
    """Reads what was appended to a file since the last look; only whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def new_lines(self) -> list[str]:
        """The lines that were completed since the last call."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def rest(self) -> list[str]:
        """What stands after the last line end, when nothing more will come."""
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []


class SuiteProgress:
    """What is known of a running suite from its events."""

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self.selected: int | None = None
        """How many tests it is going to run; None before it has collected them."""
        self.found: int = 0
        """How many tests there were before -k narrowed them."""
        self.left_out: tuple[str, ...] = ()
        """Ids of the tests that are not run because they are muted."""
        self.listed: tuple[str, ...] = ()
        """Ids of the tests that it would run, when it was asked for no more than that."""
        self.results: dict[str, TestResult] = {}
        self.lost: dict[str, str] = {}
        """Tests during which a machine could not be reached, with the error's words."""
        self.running: str = ""
        self.failing: list[str] = []
        """Tests that have failed and wait until somebody has looked at what they left."""
        self.finished = False

    def feed(self, line: str) -> TestResult | None:
        """Take an event; returns the result when it tells of one. Broken lines are skipped."""
        try:
            event = json.loads(line)
            kind = event["event"]
            return self._take(kind, event)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _take(self, kind: str, event: Mapping[str, Any]) -> TestResult | None:
        if kind == "collected":
            self.selected, self.found = int(event["count"]), int(event["found"])
            self.left_out = tuple(map(str, event["left_out"]))
            self.listed = tuple(map(str, event.get("tests", ())))
        elif kind == "started":
            self.running = str(event["test_id"])
        elif kind == "failing":
            self.failing.append(str(event["test_id"]))
        elif kind == "finished":
            self.finished = True
        elif kind == "ended":
            return self._ended(event)
        return None

    def _ended(self, event: Mapping[str, Any]) -> TestResult:
        result = TestResult(
            suite=self._suite,
            test_id=str(event["test_id"]),
            outcome=Outcome(event["outcome"]),
            duration_s=float(event["duration_s"]),
            message=str(event["message"]),
            details=str(event["details"]),
        )
        self.results[result.test_id] = result
        self.running = ""
        if event["lost"]:
            self.lost[result.test_id] = str(event["lost"])
        return result
