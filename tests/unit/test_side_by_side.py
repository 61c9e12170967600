"""Many runs at once: who waits for whom, and that nobody stops another."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.errors import BuildFailed, ExitCode, Interrupted, LimitReached
from osqual.events import Event, EventKind, Subscriber
from osqual.model import Judgement, Verdict
from osqual.operations.prospects import Needs, Prospect
from osqual.operations.side_by_side import Ended, run_side_by_side
from osqual.pipeline.workflow import Engine, RunResult
from osqual.room import Admission, Room
from osqual.settings import Settings
from osqual.store.database import open_engine
from osqual.store.limits import Claim
from osqual.store.store import Store

WAIT_S = 20.0


@dataclass
class Stage:
    """Runs that do what a test says, and everything that was noticed of them."""

    free: Room = field(default_factory=lambda: Room(memory_mb=1000, cores=4))
    cancellation: Cancellation = field(default_factory=Cancellation)
    happened: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def prospect(
        self,
        name: str,
        *,
        recipe: str = "",
        room: Room | None = None,
        build: Callable[[], None] = lambda: None,
        test: Callable[[], None] = lambda: None,
    ) -> Prospect:
        def start(engine: Engine, claims: Sequence[Claim]) -> RunResult:
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            try:
                self.note(f"build {name}")
                build()
                self.note(f"built {name}")
                for subscriber in engine.subscribers:
                    subscriber(step_ended("build"))
                test()
            finally:
                with self.lock:
                    self.now -= 1
            return qualified(name)

        needs = Needs(room=room or Room())
        return Prospect(configuration=name, start=start, recipe=recipe, work_out=lambda: needs)

    def note(self, what: str) -> None:
        with self.lock:
            self.happened.append(what)

    def run(self, *prospects: Prospect, at_most: int = 8) -> dict[str, Ended]:
        engine = Engine(
            settings=Settings(),
            store=Store(open_engine("sqlite://")),
            cancellation=self.cancellation,
            environ={},
        )
        ended = run_side_by_side(
            prospects,
            engine,
            at_most=at_most,
            admission=Admission(lambda: self.free),
            watcher=self,
        )
        engine.store.close()
        assert [each.configuration for each in ended] == [p.configuration for p in prospects]
        return {each.configuration: each for each in ended}

    # A watcher

    def begins(self, prospect: Prospect) -> Subscriber:
        self.note(f"begins {prospect.configuration}")
        return lambda event: None

    def waits(self, prospect: Prospect, why: str) -> None:
        self.note(f"{prospect.configuration} waits: {why}")

    def ends(self, ended: Ended) -> None:
        self.note(f"ends {ended.configuration}")


def step_ended(step: str) -> Event:
    data = {"status": "done"}
    return Event(kind=EventKind.STEP_ENDED, run_id="r", time=0.0, step=step, data=data)


def qualified(name: str) -> RunResult:
    return RunResult(
        run_id=name,
        configuration=name,
        directory=Path("/"),
        judgement=Judgement(verdict=Verdict.QUALIFIED, reasons=(), totals={}),
        exit_code=ExitCode.OK,
        image_ids={},
        image_file=None,
        image_reused=False,
        published=(),
        kept=False,
        duration_s=0.0,
        step_seconds={},
    )


def fail() -> None:
    raise BuildFailed("It could not be built.")


def test_runs_go_on_side_by_side_up_to_the_number_that_was_asked_for() -> None:
    stage = Stage()
    together = threading.Barrier(3)
    runs = [stage.prospect(f"r{n}", test=lambda: meet(together)) for n in range(6)]
    found = stage.run(*runs, at_most=3)
    assert {each.exit_code for each in found.values()} == {ExitCode.OK}
    assert stage.most == 3


def meet(barrier: threading.Barrier) -> None:
    barrier.wait(WAIT_S)


def test_one_that_fails_stops_no_other_even_when_it_is_a_bug() -> None:
    stage = Stage()

    def bug() -> None:
        raise ZeroDivisionError

    found = stage.run(
        stage.prospect("bad", build=fail),
        stage.prospect("bug", build=bug),
        stage.prospect("good"),
        at_most=1,
    )
    assert found["bad"].exit_code == ExitCode.INCONCLUSIVE
    assert isinstance(found["bug"].error, ZeroDivisionError)
    assert found["good"].result is not None


def test_those_that_share_a_recipe_wait_for_one_build_and_then_go_on_together() -> None:
    stage = Stage()
    together = threading.Barrier(3)
    runs = [stage.prospect(f"r{n}", recipe="a", test=lambda: meet(together)) for n in range(3)]
    stage.run(*runs)
    first = stage.happened.index("built r0")
    assert [what for what in stage.happened[:first] if what.startswith("build ")] == ["build r0"]
    assert "r1 waits: r0 builds the same image" in stage.happened


def test_when_a_build_fails_the_next_that_needs_it_tries() -> None:
    stage = Stage()
    found = stage.run(
        stage.prospect("r0", recipe="a", build=fail),
        stage.prospect("r1", recipe="a"),
        stage.prospect("r2", recipe="a"),
    )
    assert isinstance(found["r0"].error, BuildFailed)
    assert found["r1"].result is not None
    assert found["r2"].result is not None
    order = [what for what in stage.happened if what.startswith(("build ", "built"))]
    assert order[:3] == ["build r0", "build r1", "built r1"]


def test_what_there_is_no_room_for_waits_and_smaller_runs_go_first() -> None:
    stage = Stage(free=Room(memory_mb=1000, cores=2))
    waits = "large waits: there is too little memory free"

    def until_large_waits() -> None:
        give_up = time.monotonic() + WAIT_S
        while waits not in stage.happened:
            assert time.monotonic() < give_up
            time.sleep(0.01)

    stage.run(
        stage.prospect("first", room=Room(memory_mb=600), build=until_large_waits),
        stage.prospect("large", room=Room(memory_mb=600)),
        stage.prospect("small", room=Room(memory_mb=300)),
    )
    assert stage.happened.index("build small") < stage.happened.index("build large")


def test_a_limit_that_is_reached_is_waited_for() -> None:
    stage = Stage()
    tries: list[float] = []

    def full_at_first() -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise LimitReached("The limit clusters is reached: 4 of 4 are in use.")

    found = stage.run(stage.prospect("r0", build=full_at_first))
    assert found["r0"].result is not None
    assert "r0 waits: The limit clusters is reached: 4 of 4 are in use." in stage.happened
    assert tries[1] - tries[0] >= 1.0


def test_a_stop_reaches_all_that_run_and_nothing_more_begins() -> None:
    stage = Stage()
    both_run = threading.Barrier(2, action=stage.cancellation.cancel)

    def wait() -> None:
        meet(both_run)
        try:
            stage.cancellation.sleep(WAIT_S)
        except Interrupted:
            stage.note("stopped")
            raise

    runs = [stage.prospect(f"r{n}", test=wait) for n in range(4)]
    found = stage.run(*runs, at_most=2)
    assert {each.exit_code for each in found.values()} == {ExitCode.INTERRUPTED}
    assert stage.happened.count("stopped") == 2
    assert "begins r2" not in stage.happened
