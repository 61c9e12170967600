"""Progress of many runs: one line each, live on a terminal, as plain lines anywhere else."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from osqual.events import Event, EventKind, Subscriber
from osqual.operations.prospects import Prospect
from osqual.operations.side_by_side import Ended
from osqual.report.console import STEP_SIGNS
from osqual.report.durations import duration
from osqual.report.summary import STYLES
from osqual.report.time_left import TimeLeft


@dataclass(kw_only=True)
class Line:
    """What is known of one run that goes on."""

    configuration: str
    started: float
    time_left: TimeLeft
    doing: str = ""

    def text(self, now: float) -> str:
        """Configuration, step, elapsed, and time left."""
        words = self.time_left.words(now)
        took = duration(now - self.started) + (f", {words}" if words else "")
        return f"{self.configuration}  {self.time_left.step or 'begins'}  {took}"


class ManyRenderer:
    """A `side_by_side.Watcher`; use it as a context manager while runs go on."""

    def __init__(
        self, console: Console, *, quiet: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._console = console
        self._quiet = quiet
        self._clock = clock
        self._lock = threading.RLock()
        self._lines: dict[str, Line] = {}
        self._waiting: dict[str, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> "ManyRenderer":
        if self._console.is_terminal and not self._quiet:
            self._live = Live(
                console=self._console,
                get_renderable=self._table,
                refresh_per_second=2,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    # What happens

    def begins(self, prospect: Prospect) -> Subscriber:
        """See `side_by_side.Watcher`."""
        line = Line(
            configuration=prospect.configuration,
            started=self._clock(),
            time_left=TimeLeft(steps_s=prospect.steps_s),
        )
        with self._lock:
            self._waiting.pop(prospect.configuration, None)
            self._lines[prospect.configuration] = line
        return lambda event: self._event(line, event)

    def waits(self, prospect: Prospect, why: str) -> None:
        """See `side_by_side.Watcher`."""
        with self._lock:
            self._lines.pop(prospect.configuration, None)
            news = self._waiting.get(prospect.configuration) != why
            self._waiting[prospect.configuration] = why
        if news and self._live is None and not self._quiet:
            self._say(f"{escape(prospect.configuration)}  [dim]waits: {escape(why)}[/]")

    def ends(self, ended: Ended) -> None:
        """See `side_by_side.Watcher`."""
        with self._lock:
            line = self._lines.pop(ended.configuration, None)
            self._waiting.pop(ended.configuration, None)
        took = "" if line is None else f"  {duration(self._clock() - line.started)}"
        if ended.result is not None:
            verdict = ended.result.judgement.verdict
            how = f"[{STYLES[verdict]}]{verdict.value}[/]"
        else:
            how = f"[red]{escape(getattr(ended.error, 'brief', None) or repr(ended.error))}[/]"
        self._say(f"{escape(ended.configuration)}  {how}{took}")

    def _event(self, line: Line, event: Event) -> None:
        now = self._clock()
        with self._lock:
            line.time_left.notice(event, now)
        if event.kind is EventKind.STEP_STARTED:
            line.doing = ""
        elif event.kind is EventKind.STEP_ENDED:
            status = str(event.data.get("status"))
            if self._live is None and (not self._quiet or status == "failed"):
                sign = STEP_SIGNS.get(status, "·")
                message = f"  {escape(event.message)}" if event.message else ""
                self._say(f"{escape(line.text(now))}  {sign}{message}")
        elif event.kind is EventKind.PROGRESS:
            with self._lock:
                line.doing = event.message
        elif event.kind in (EventKind.WARNING, EventKind.RETRY):
            where = escape(line.configuration)
            self._say(f"{where}  [yellow]{event.kind.value}:[/] {escape(event.message)}")

    # How it looks

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _table(self) -> RenderableType:
        now = self._clock()
        with self._lock:
            rows = [
                Text(f"{line.text(now)}  {line.doing}", no_wrap=True, overflow="ellipsis")
                for line in self._lines.values()
            ]
            waiting = next(iter(self._waiting.items()), None)
            if waiting is not None:
                count = len(self._waiting)
                text = f"{count} more wait; {waiting[0]}: {waiting[1]}"
                rows.append(Text(text, style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*rows)
