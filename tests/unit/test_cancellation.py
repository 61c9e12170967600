import time

import pytest

from osqual.cancellation import Cancellation
from osqual.errors import Interrupted, TimeLimitExceeded


def test_a_cancelled_token_stops_every_token_limited_from_it() -> None:
    token = Cancellation()
    limited = token.limited(60, "waiting")
    token.cancel()
    with pytest.raises(Interrupted, match="waiting"):
        limited.sleep(10)


def test_a_passed_deadline_says_what_took_too_long() -> None:
    now = [0.0]
    token = Cancellation(clock=lambda: now[0]).limited(5, "booting")
    token.check()
    now[0] = 5.0
    with pytest.raises(TimeLimitExceeded, match="booting"):
        token.check()


def test_an_earlier_deadline_stays() -> None:
    now = [0.0]
    token = Cancellation(clock=lambda: now[0]).limited(5, "outer").limited(50, "inner")
    now[0] = 6.0
    with pytest.raises(TimeLimitExceeded, match="outer"):
        token.check()


def test_clean_up_goes_on_after_one_cancel_and_stops_after_the_second() -> None:
    token = Cancellation()
    token.cancel()
    shielded = token.shielded(60, "destroying")
    shielded.check()
    token.cancel()
    with pytest.raises(Interrupted):
        shielded.check()


def test_sleep_wakes_at_the_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(TimeLimitExceeded):
        Cancellation().limited(0.05, "napping").sleep(30)
    assert time.monotonic() - started < 20
