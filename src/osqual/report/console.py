"""Progress of runs for people: a live status line on a terminal, plain lines anywhere else."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from osqual.events import Event, EventKind
from osqual.report.time_left import TimeLeft

OUTCOME_STYLES = {"pass": "green", "fail": "red", "error": "red", "skip": "yellow"}
STEP_SIGNS = {"done": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[dim]-[/]"}


class ConsoleRenderer:
    """Subscribe it to a bus and use it as a context manager while events flow.

    `verbose` also prints what scripts and tools print; `quiet` prints warnings and step ends only.
    """

    def __init__(
        self,
        console: Console,
        *,
        verbose: bool = False,
        quiet: bool = False,
        clock: Callable[[], float] = time.time,
        time_left: TimeLeft | None = None,
    ) -> None:
        self._console = console
        self._verbose = verbose
        self._quiet = quiet
        self._clock = clock
        self._time_left = time_left or TimeLeft()
        self._started = clock()
        self._step_started = self._started
        self._status: Status | None = None
        self._handlers: dict[EventKind, Callable[[Event], None]] = {
            EventKind.RUN_STARTED: self._run_started,
            EventKind.RUN_RESUMED: self._run_resumed,
            EventKind.STEP_STARTED: self._step_start,
            EventKind.STEP_ENDED: self._step_end,
            EventKind.PROGRESS: self._progress,
            EventKind.OUTPUT: self._output,
            EventKind.TEST: self._test,
            EventKind.WARNING: self._warning,
            EventKind.RETRY: self._warning,
        }

    def __enter__(self) -> "ConsoleRenderer":
        if self._console.is_terminal and not self._quiet:
            self._status = self._console.status("starting", spinner="dots")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, event: Event) -> None:
        """Show one event; kinds it does not know are not shown."""
        self._time_left.notice(event, self._clock())
        handler = self._handlers.get(event.kind)
        if handler is not None:
            handler(event)

    def at(self, event: Event) -> None:
        """Show an event of the past at its own time."""
        self._clock = lambda: event.time
        self(event)

    def _line(self, text: str) -> None:
        self._console.print(f"[dim]{self._elapsed()}[/] {text}", highlight=False, soft_wrap=True)

    def _update(self, step: str, doing: str = "") -> None:
        """The live status: step, what it is doing, and the time left."""
        if self._status is not None:
            left = self._time_left.words(self._clock())
            rest = f"  [dim]{left}[/]" if left else ""
            self._status.update(f"[bold]{escape(step)}[/]  {doing}{rest}")

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(self._clock() - self._started), 60)
        return f"{minutes:3d}:{seconds:02d}"

    def _run_started(self, event: Event) -> None:
        self._started = event.time
        self._line(f"[bold]{escape(event.message)}[/]  run {escape(event.run_id)}")

    def _run_resumed(self, event: Event) -> None:
        self._started = event.time
        self._line(f"[bold]{escape(event.message)}[/]  run {escape(event.run_id)}, resumed")

    def _step_start(self, event: Event) -> None:
        self._step_started = event.time
        if self._status is not None:
            self._update(event.step)
        elif not self._quiet:
            self._line(f"  {escape(event.step)} …")

    def _step_end(self, event: Event) -> None:
        sign = STEP_SIGNS.get(str(event.data.get("status")), "·")
        took = event.time - self._step_started
        message = f"  {escape(event.message)}" if event.message else ""
        self._line(f"{sign} {escape(event.step):<10}[dim]{took:6.1f} s[/]{message}")

    def _progress(self, event: Event) -> None:
        done, total = event.data.get("done"), event.data.get("total")
        share = f" {100 * done // total} %" if done is not None and total else ""
        node = f"{event.data['node']}: " if event.data.get("node") else ""
        text = escape(f"{node}{event.message}{share}")
        self._update(event.step, text)
        if not self._quiet and (self._status is None or self._verbose) and not share:
            self._line(f"    {text}")

    def _output(self, event: Event) -> None:
        source = str(event.data.get("source", ""))
        if self._verbose:
            self._line(f"    [dim]{escape(source)}│[/] {escape(event.message)}")
        else:
            self._update(event.step, escape(source))

    def _test(self, event: Event) -> None:
        outcome = str(event.data.get("outcome", ""))
        if self._quiet and outcome in ("pass", "skip"):
            return
        style = OUTCOME_STYLES.get(outcome, "default")
        took = float(event.data.get("duration_s", 0.0))
        name = escape(str(event.data.get("test_id", "")))
        self._line(f"    [{style}]{outcome:<5}[/] {name} [dim]{took:.1f} s[/]")

    def _warning(self, event: Event) -> None:
        self._line(f"[yellow]{event.kind.value}:[/] {escape(event.message)}")
