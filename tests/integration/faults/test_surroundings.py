"""What happens around a run: the clock is moved, and two are started at once."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.errors import ExitCode
from osqual.store.database import open_engine, sqlite_url
from osqual.store.store import Store
from tests.durable import DurableWorld, in_child
from tests.integration.faults.test_boundaries import assert_nothing_left, the_run

DAY_S = 86_400.0
AMID_FIRST_SUITE = "after start suite.sh#1"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DurableWorld]:
    found = DurableWorld.make(tmp_path / "world")
    yield found
    found.kill_machines()


class MovedWorld(DurableWorld):
    """Its processes live at another time than those before them."""

    ahead_s: float = 0.0

    def clock(self) -> float:
        return time.monotonic() + self.ahead_s

    def store(self) -> Store:
        return Store(open_engine(sqlite_url(self.state / "store.db")), clock=self.clock)


@pytest.mark.parametrize("moved_s", [-DAY_S, 400 * DAY_S], ids=["back", "ahead"])
@pytest.mark.parametrize("what", ["resume", "reap"])
def test_a_clock_that_was_moved_while_osqual_was_away(
    world: DurableWorld, what: str, moved_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_child(world.run, trace=world.root / "trace", fault=AMID_FIRST_SUITE) == -9
    moved = MovedWorld(world.root)
    monkeypatch.setattr(MovedWorld, "ahead_s", time.time() - time.monotonic() + moved_s)
    monkeypatch.setattr(time, "time", moved.clock)
    assert in_child(getattr(moved, what)) == 0
    run, _ = the_run(world)
    assert run is not None
    assert run["verdict"] == ("qualified" if what == "resume" else "inconclusive")
    assert in_child(moved.reap) == 0
    assert_nothing_left(world)
    executions = world.executions()
    assert len(executions) == len(set(executions))


def test_of_two_that_are_started_at_once_one_does_it_all(world: DurableWorld) -> None:
    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            code = in_child(world.run)
            os._exit(code)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert sorted(codes) == [0, ExitCode.LOCKED]
    store = world.store()
    (run,) = store.runs()
    store.close()
    assert run["verdict"] == "qualified"
    assert sorted(world.executions()) == ["framework", "integration"]
    assert_nothing_left(world)
