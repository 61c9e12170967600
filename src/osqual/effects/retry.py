"""Trying again what failed for infrastructure: bounded, with growing random waits, and counted.

Only a TransientError is tried again: never a failed test, script or template.
"""

import random
from collections.abc import Callable
from typing import TypeVar

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import TransientError
from osqual.events import EventKind
from osqual.settings import Retries

T = TypeVar("T")


def retry(
    action: Callable[[], T],
    what: str,
    scope: RunScope,
    *,
    before_again: Callable[[], None] = lambda: None,
) -> T:
    """The action's value, after as many attempts as the settings allow.

    `before_again` takes back what a failed attempt left. Each new attempt is an event of the run,
    from which the run counts it.
    """
    policy = scope.settings.retries

    def tell(error: TransientError, attempt: int) -> None:
        scope.emit(
            EventKind.RETRY,
            f"{what} is tried again: {error.brief}",
            attempt=attempt + 1,
            attempts=policy.attempts,
        )
        before_again()

    return persist(action, policy, scope.cancellation, tell)


def persist(
    action: Callable[[], T],
    policy: Retries,
    cancellation: Cancellation,
    tell: Callable[[TransientError, int], None] = lambda error, attempt: None,
) -> T:
    """The same outside of a run; `tell` hears of each failure that is followed by an attempt."""
    for attempt in range(1, policy.attempts):
        try:
            return action()
        except TransientError as error:
            tell(error, attempt)
            cancellation.sleep(max(error.retry_after_s, wait_s(attempt, policy)))
    return action()


def wait_s(attempt: int, policy: Retries, chance: Callable[[], float] = random.random) -> float:
    """How long to wait after the attempt of this number (from 1), in seconds.

    "Full jitter": anywhere up to a bound that doubles, so that many who failed together do not
    come back together.
    """
    bound = min(policy.longest_wait_s, policy.first_wait_s * 2.0 ** (attempt - 1))
    return float(bound * chance())
