"""How long a run will take yet, as far as the runs before it tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from osqual.events import Event, EventKind
from osqual.report.durations import duration


@dataclass(kw_only=True)
class TimeLeft:
    """Follows a run's steps. `steps_s` is how long each took before; empty when nothing tells."""

    steps_s: Mapping[str, float] = field(default_factory=dict)
    step: str = ""
    step_started: float = 0.0
    ended: set[str] = field(default_factory=set)

    def notice(self, event: Event, now: float) -> None:
        """A step began or ended."""
        if event.kind is EventKind.STEP_STARTED:
            self.step, self.step_started = event.step, now
        elif event.kind is EventKind.STEP_ENDED:
            self.ended.add(event.step)

    def left_s(self, now: float) -> float | None:
        """Seconds it will take yet; None when nothing is known."""
        if not self.steps_s:
            return None
        ahead = {name: took for name, took in self.steps_s.items() if name not in self.ended}
        current = ahead.pop(self.step, 0.0) - (now - self.step_started)
        return max(0.0, current) + sum(ahead.values())

    def words(self, now: float) -> str:
        """`about 4 min 05 s left`, or nothing."""
        left = self.left_s(now)
        return "" if left is None else f"about {duration(left)} left"
