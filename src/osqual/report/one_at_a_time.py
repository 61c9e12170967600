"""Progress of runs that come one after the other: each is shown in full."""

from contextlib import ExitStack

from rich.console import Console

from osqual.events import Subscriber
from osqual.operations.prospects import Prospect
from osqual.operations.side_by_side import Ended
from osqual.report.console import ConsoleRenderer
from osqual.report.time_left import TimeLeft


class OneAtATime:
    """A `side_by_side.Watcher`."""

    def __init__(self, console: Console, *, verbose: bool = False, quiet: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        self._quiet = quiet
        self._shown = ExitStack()

    def begins(self, prospect: Prospect) -> Subscriber:
        """See `side_by_side.Watcher`."""
        renderer = ConsoleRenderer(
            self._console,
            verbose=self._verbose,
            quiet=self._quiet,
            time_left=TimeLeft(steps_s=prospect.steps_s),
        )
        return self._shown.enter_context(renderer)

    def waits(self, prospect: Prospect, why: str) -> None:
        """See `side_by_side.Watcher`."""
        self._shown.close()
        self._console.print(f"{prospect.configuration} waits: {why}", style="dim", soft_wrap=True)

    def ends(self, ended: Ended) -> None:
        """See `side_by_side.Watcher`."""
        self._shown.close()
