"""Stopping politely: one token per run, carried to everything that waits.

A signal handler only sets the token's event; each wait notices it. That keeps cleanup code from
being torn apart in the middle, and lets many runs share a process.
"""

import threading
import time
from collections.abc import Callable, Iterator

from osqual.errors import Interrupted, TimeLimitExceeded


def pauses(longest_s: float, first_s: float = 0.1) -> Iterator[float]:
    """How long to wait before each look: what is soon over is soon seen, and few looks are taken
    at what lasts."""
    while True:
        yield min(first_s, longest_s)
        first_s *= 1.5


class Cancellation:
    """A cancel event and an optional deadline (monotonic seconds).

    `abandon` is the second, stronger wish: stop even the clean-up. Tokens for clean-up listen to
    that one only.
    """

    def __init__(
        self,
        *,
        event: threading.Event | None = None,
        abandon: threading.Event | None = None,
        deadline: float | None = None,
        what: str = "the run",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._event = event or threading.Event()
        self._abandon = abandon or threading.Event()
        self._deadline = deadline
        self._what = what
        self._clock = clock
        self._children: list[Cancellation] = []

    def cancel(self) -> None:
        """Ask everything that waits on this token, or on one made from it, to stop.

        Asked a second time, clean-up stops waiting too.
        """
        if self._event.is_set():
            self._abandon.set()
        self._event.set()
        for child in self._children:
            child.cancel()

    def child(self) -> "Cancellation":
        """A token that can be cancelled alone, and is whenever this one is."""
        child = Cancellation(clock=self._clock, what=self._what)
        self._children.append(child)
        for event in (self._event, self._abandon):
            if event.is_set():
                child.cancel()
        return child

    @property
    def cancelled(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def limited(self, limit_s: float, what: str) -> "Cancellation":
        """The same token with a deadline `limit_s` from now; an earlier deadline stays."""
        deadline = self._clock() + limit_s
        if self._deadline is not None and self._deadline <= deadline:
            return self
        return self._with(event=self._event, deadline=deadline, what=what)

    def shielded(self, limit_s: float, what: str) -> "Cancellation":
        """A token for clean-up: it stops at its own deadline or when even that is abandoned."""
        return self._with(event=self._abandon, deadline=self._clock() + limit_s, what=what)

    def _with(self, *, event: threading.Event, deadline: float, what: str) -> "Cancellation":
        return Cancellation(
            event=event, abandon=self._abandon, deadline=deadline, what=what, clock=self._clock
        )

    def remaining_s(self) -> float | None:
        """Seconds to the deadline, never negative; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def check(self) -> None:
        """Raise Interrupted or TimeLimitExceeded when it is time to stop."""
        if self._event.is_set():
            raise Interrupted("Interrupted.", details=f"While: {self._what}.")
        if self.remaining_s() == 0.0:
            raise TimeLimitExceeded(
                f"Time limit exceeded: {self._what}.",
                resolution="look at the log and the console of the run; raise the limit in "
                "osqual.yaml if the work was still going on",
            )

    def sleep(self, seconds: float) -> None:
        """Sleep, but wake at once and raise when cancelled; never past the deadline."""
        self.check()
        remaining = self.remaining_s()
        self._event.wait(seconds if remaining is None else min(seconds, remaining))
        self.check()
