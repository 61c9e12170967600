"""Runs, crashes, resumes, cancels, reaps and lost machines in any order, as hypothesis likes."""

import shutil
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from osqual.failpoints import number_boundaries
from osqual.store.database import Row
from osqual.teardown import place_of
from tests.durable import DurableWorld, in_child, memory_directory
from tests.integration.faults.test_boundaries import MADE_AGAIN, assert_nothing_left

moments = st.integers(min_value=0, max_value=400)


@cache
def boundaries() -> tuple[str, ...]:
    """Every boundary of an undisturbed run."""
    root = memory_directory()
    try:
        world = DurableWorld.make(root / "world")
        assert in_child(world.run, trace=root / "trace") == 0
        return tuple(number_boundaries((root / "trace").read_text()))
    finally:
        shutil.rmtree(root)


class AnyOrder(RuleBasedStateMachine):
    """One state directory, and what people and accidents do to it."""

    @initialize()
    def begin(self) -> None:
        self.root = memory_directory()
        self.world = DurableWorld.make(self.root / "world")
        self.seen: dict[tuple[str, str], Row] = {}
        self.number = 0

    def killed(self, action: Any, moment: int) -> None:
        """Do it in a process that is killed at a boundary, if it gets so far."""
        self.number += 1
        names = boundaries()
        fault = names[moment % len(names)]
        in_child(action, trace=self.root / f"trace-{self.number}", fault=fault)

    @rule(moment=moments)
    def run_that_is_killed(self, moment: int) -> None:
        self.killed(self.world.run, moment)

    @rule(moment=moments)
    def resume_that_is_killed(self, moment: int) -> None:
        self.killed(self.world.resume, moment)

    @rule(moment=moments)
    def reap_that_is_killed(self, moment: int) -> None:
        self.killed(self.world.reap, moment)

    @rule()
    def resume(self) -> None:
        in_child(self.world.resume)

    @rule()
    def reap(self) -> None:
        assert in_child(self.world.reap) == 0

    @rule()
    def ask_to_cancel(self) -> None:
        store = self.world.store()
        for run in store.runs(unfinished_only=True):
            store.ask_to_cancel(run["id"])
        store.close()

    @rule()
    def lose_the_machines(self) -> None:
        self.world.kill_machines()

    @invariant()
    def every_process_has_an_open_row(self) -> None:
        store = self.world.store()
        rows = store.resources()
        store.close()
        places = [place_of(row) for row in rows if row["kind"] in ("vm", "job")]
        for process in self.world.processes():
            assert any(process.job.is_relative_to(place) for place in places), process

    @invariant()
    def what_has_ended_stays_so_and_does_not_run_again(self) -> None:
        store = self.world.store()
        try:
            for run in store.runs():
                assert run["status"] in ("running", "ended")
                assert (run["verdict"] is not None) == (run["status"] == "ended")
                for step in store.steps(run["id"]):
                    self.check_step(run["id"], step)
        finally:
            store.close()

    def check_step(self, run_id: str, step: Row) -> None:
        key = (run_id, step["name"])
        old = self.seen.get(key)
        if old is not None and old["status"] == "done" and step["name"] not in MADE_AGAIN:
            assert step["begun"] == old["begun"], f"{step['name']} ran again"
        self.seen[key] = step

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            assert in_child(self.world.reap) == 0
            assert_nothing_left(self.world)
        finally:
            self.world.kill_machines()
            shutil.rmtree(self.root)


AnyOrder.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


TestAnyOrder = pytest.mark.timeout(1800)(AnyOrder.TestCase)
