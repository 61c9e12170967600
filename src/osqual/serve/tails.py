"""Files of a run as they grow: its events as lines, consoles and logs from their ends on."""

import io
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from osqual.event_log import FILE_NAME, parse_event
from osqual.report.console import ConsoleRenderer
from osqual.report.plain import plain_text
from osqual.report.runs import log_files

FIRST_BYTES = 64 * 1024
"""How much of what is there already is shown."""
READ_BYTES = 256 * 1024


@dataclass(kw_only=True)
class Tail:
    """The text at the end of a file, whole lines first; `offset` is where the next read begins."""

    path: Path
    offset: int = -1
    """-1: from the last part of what is there."""
    _waiting: int = field(default=0, init=False)

    def read(self) -> str:
        """What has come since; of a line that is not ended only when nothing follows it."""
        try:
            with self.path.open("rb") as stream:
                return self._read(stream)
        except OSError:
            return ""  # not there yet, or no more

    def _read(self, stream: io.BufferedReader) -> str:
        size = stream.seek(0, io.SEEK_END)
        begun = self.offset >= 0
        if not begun or size < self.offset:  # written anew
            self.offset = max(0, size - FIRST_BYTES)
        stream.seek(self.offset)
        data = stream.read(READ_BYTES)
        skipped = data.find(b"\n") + 1 if not begun and self.offset else 0
        end = data.rfind(b"\n") + 1
        if end <= skipped and (len(data) == self._waiting or len(data) == READ_BYTES):
            end = len(data)
        self._waiting = len(data) - end if end else len(data)
        self.offset += end
        return data[skipped:end].decode(errors="replace") if end > skipped else ""


@dataclass(kw_only=True)
class EventLines:
    """The event log of a run as `osqual logs` prints it."""

    directory: Path
    started_at: float
    offset: int = -1

    def __post_init__(self) -> None:
        self._tail = Tail(path=self.directory / FILE_NAME, offset=self.offset)
        self._text = io.StringIO()
        console = Console(
            file=self._text, force_terminal=False, no_color=True, width=1000, highlight=False
        )
        self._renderer = ConsoleRenderer(console, verbose=True, clock=lambda: self.started_at)

    def read(self) -> list[str]:
        """The lines that have come since."""
        for line in self._tail.read().splitlines():
            event = parse_event(line)
            if event is not None:
                self._renderer.at(event)
        self.offset = self._tail.offset
        found = plain_text(self._text.getvalue()).splitlines()
        self._text.seek(0)
        self._text.truncate()
        return found


def files_of(directory: Path) -> list[str]:
    """Names of the logs and consoles of a run, as far as they are really below its directory."""
    root = directory.resolve()
    return [
        str(path.relative_to(directory))
        for path in log_files(directory)
        if path.name != FILE_NAME and path.resolve().is_relative_to(root)
    ]
