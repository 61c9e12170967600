"""Many runs in one process: each begins when there is room for it, and none stops another.

Runs live in threads, which only wait; the main thread decides what begins and hears signals.
docs/adr/0010-many-at-once.md.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Protocol

from osqual.errors import ExitCode, Interrupted, LimitReached, OsqualError
from osqual.events import Event, EventKind, Subscriber
from osqual.operations.prospects import Prospect, check_claims
from osqual.pipeline.workflow import Engine, RunResult
from osqual.room import Admission

LOOK_AGAIN_S = 2.0
"""Memory that others use, and limits that runs elsewhere hold, are looked at so often."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a prospect ended: with a result, or with the error that kept it from having one."""

    configuration: str
    result: RunResult | None = None
    error: Exception | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The run's, or the error's; a bug's is that of an inconclusive run."""
        if self.result is not None:
            return self.result.exit_code
        return (
            self.error.exit_code if isinstance(self.error, OsqualError) else ExitCode.INCONCLUSIVE
        )


class Watcher(Protocol):
    """Who is told what becomes of the prospects; called from several threads."""

    def begins(self, prospect: Prospect) -> Subscriber:
        """The prospect begins; what is returned is told its events."""

    def waits(self, prospect: Prospect, why: str) -> None:
        """The prospect has to wait."""

    def ends(self, ended: Ended) -> None:
        """The prospect is over."""


def run_side_by_side(
    prospects: Sequence[Prospect],
    engine: Engine,
    *,
    at_most: int,
    admission: Admission,
    watcher: Watcher,
) -> list[Ended]:
    """Run all of them, never more than `at_most` at a time, until a stop is asked for.

    Returns how each ended, in the order of the prospects; what never began is interrupted.
    """
    with ThreadPoolExecutor(max_workers=at_most, thread_name_prefix="run") as pool:
        conductor = _Conductor(
            engine=engine,
            admission=admission,
            watcher=watcher,
            submit=pool.submit,
            at_most=at_most,
            waiting=list(prospects),
        )
        try:
            conductor.conduct()
        except BaseException:
            engine.cancellation.cancel()  # the pool waits for what runs
            raise
    return [conductor.ended[id(prospect)] for prospect in prospects]


@dataclass(kw_only=True)
class _Conductor:
    """What runs, what waits and why. Only the main thread changes it; runs send news."""

    engine: Engine
    admission: Admission
    watcher: Watcher
    submit: Callable[..., Future[RunResult]]
    at_most: int
    waiting: list[Prospect]
    running: dict[Future[RunResult], Prospect] = field(default_factory=dict)
    ended: dict[int, Ended] = field(default_factory=dict)
    building: dict[str, Prospect] = field(default_factory=dict)
    """Recipe -> the run that others wait for."""
    built: set[str] = field(default_factory=set)
    not_before: dict[int, float] = field(default_factory=dict)
    """When to try again those that met a limit."""
    news: SimpleQueue[Callable[[], None]] = field(default_factory=SimpleQueue)

    def conduct(self) -> None:
        while self.waiting or self.running:
            if self.engine.cancellation.cancelled:
                self._give_up_waiting()
            for prospect in tuple(self.waiting):
                if len(self.running) < self.at_most:
                    self._consider(prospect)
            self._hear()

    def _hear(self) -> None:
        """Wait for news, and take in all there is."""
        if not self.waiting and not self.running:
            return
        try:
            happened = self.news.get(timeout=LOOK_AGAIN_S)
            while True:
                happened()
                happened = self.news.get_nowait()
        except Empty:
            pass

    def _give_up_waiting(self) -> None:
        for prospect in self.waiting:
            error = Interrupted(f"{prospect.configuration} was not begun.")
            self._end(prospect, Ended(configuration=prospect.configuration, error=error))
        self.waiting.clear()

    def _consider(self, prospect: Prospect) -> None:
        """Begin it, or say why it waits."""
        if time.monotonic() < self.not_before.get(id(prospect), 0.0):
            return
        if prospect.recipe in self.building:
            other = self.building[prospect.recipe].configuration
            self.watcher.waits(prospect, f"{other} builds the same image")
            return
        lacking = self.admission.enter(prospect.needs.room)
        if lacking:
            self.watcher.waits(prospect, f"there is too little {' and '.join(lacking)} free")
            return
        self.waiting.remove(prospect)
        if prospect.recipe and prospect.recipe not in self.built:
            self.building[prospect.recipe] = prospect
        future = self.submit(self._run, prospect)
        self.running[future] = prospect
        future.add_done_callback(lambda done: self.news.put(lambda: self._over(done)))

    def _run(self, prospect: Prospect) -> RunResult:
        """In a thread of its own."""
        check_claims(prospect.needs.claims)
        show = self.watcher.begins(prospect)

        def notice(event: Event) -> None:
            show(event)
            if event.kind is EventKind.STEP_ENDED and event.step == "build":
                good = event.data.get("status") != "failed"
                self.news.put(lambda: self._build_over(prospect, good))

        return prospect.start(replace(self.engine, subscribers=(notice,)), prospect.needs.claims)

    def _build_over(self, prospect: Prospect, good: bool) -> None:
        """Others with the same recipe may begin: all at once, or the next to try."""
        if self.building.get(prospect.recipe) is prospect:
            del self.building[prospect.recipe]
            if good:
                self.built.add(prospect.recipe)

    def _over(self, future: Future[RunResult]) -> None:
        prospect = self.running.pop(future)
        self.admission.leave(prospect.needs.room)
        self._build_over(prospect, good=False)
        error = future.exception()
        if isinstance(error, LimitReached):
            self.waiting.insert(0, prospect)
            self.not_before[id(prospect)] = time.monotonic() + LOOK_AGAIN_S
            self.watcher.waits(prospect, error.brief)
            return
        if error is not None and not isinstance(error, Exception):
            raise error
        result = None if error is not None else future.result()
        self._end(prospect, Ended(configuration=prospect.configuration, result=result, error=error))

    def _end(self, prospect: Prospect, ended: Ended) -> None:
        self.ended[id(prospect)] = ended
        self.watcher.ends(ended)
