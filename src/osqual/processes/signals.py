"""Signals as cancellation: Ctrl-C, SIGTERM and a closed terminal stop a run politely."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from osqual.cancellation import Cancellation

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def cancel_on_signals(
    cancellation: Cancellation, announce: Callable[[str], None]
) -> Iterator[None]:
    """While inside, a stopping signal cancels; a second one abandons the clean-up.

    Handlers only set flags: whoever waits notices. Use on the main thread. SIGHUP stays ignored
    where it is (nohup); SIGINT does not: a shell script has its background commands ignore it, and
    so would every job, which could then not be asked to end.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        again = cancellation.cancelled
        cancellation.cancel()
        with suppress(OSError):  # the terminal may be what went away
            announce(
                "Stopping without waiting for the clean-up; what is left is recorded."
                if again
                else f"{signal.Signals(number).name}: ending everything that was started. "
                "Press Ctrl-C again to stop without waiting."
            )

    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in STOPPING if not (ignored and number is signal.SIGHUP)]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
