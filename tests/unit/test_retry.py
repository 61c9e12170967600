"""What is tried again, how often, after which waits, and who counts it."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.effects.retry import retry, wait_s
from osqual.effects.scope import RunScope
from osqual.errors import (
    BuildFailed,
    InfrastructureError,
    InstallFailed,
    Interrupted,
    InvalidInput,
    OsqualError,
    TransientError,
)
from osqual.events import EventKind
from osqual.settings import Retries, Settings
from osqual.ssh.machine import ConnectionLost
from tests.scopes import Surroundings


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path)


def quick(around: Surroundings) -> RunScope:
    from dataclasses import replace

    settings = Settings(retries=Retries(attempts=3, first_wait_s=0.01))
    return replace(around.scope, settings=settings)


class Flaky:
    def __init__(self, *failures: OsqualError) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def test_what_passes_by_itself_is_tried_again_and_told(around: Surroundings) -> None:
    action, undone = Flaky(TransientError("throttled"), ConnectionLost("reset")), []
    result = retry(action, "provisioning", quick(around), before_again=lambda: undone.append(1))
    assert result == "done"
    assert len(undone) == 2
    told = around.said(EventKind.RETRY)
    assert [event.data["attempt"] for event in told] == [2, 3]
    assert "throttled" in told[0].message


@pytest.mark.parametrize(
    "failure", [BuildFailed, InstallFailed, InvalidInput, InfrastructureError, Interrupted]
)
def test_nothing_else_is_tried_again(around: Surroundings, failure: type[OsqualError]) -> None:
    action = Flaky(failure("no"))
    with pytest.raises(failure):
        retry(action, "it", quick(around))
    assert action.calls == 1
    assert around.said(EventKind.RETRY) == []


def test_attempts_are_bounded_and_the_last_error_is_raised(around: Surroundings) -> None:
    action = Flaky(*(TransientError(f"number {number}") for number in range(9)))
    with pytest.raises(TransientError, match="number 2"):
        retry(action, "it", quick(around))
    assert action.calls == 3


def test_a_cancel_ends_the_wait(around: Surroundings) -> None:
    def fail() -> None:
        around.cancellation.cancel()
        raise TransientError("down")

    began = time.monotonic()
    with pytest.raises(Interrupted):
        retry(fail, "it", around.scope)
    assert time.monotonic() - began < 1


@given(st.integers(1, 20), st.floats(0, 1, exclude_max=True), st.floats(0.1, 60))
def test_waits_grow_and_stay_within_their_bounds(attempt: int, chance: float, first: float) -> None:
    policy = Retries(first_wait_s=first, longest_wait_s=60)
    wait = wait_s(attempt, policy, lambda: chance)
    assert 0 <= wait <= min(60, first * 2 ** (attempt - 1))
