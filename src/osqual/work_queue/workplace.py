"""What a worker does with one job: begin a run, go on with a dead one, or give the job back.

docs/adr/0012-workers.md says who may take over whose run.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import CleanupIncomplete, ExitCode, LimitReached, OsqualError
from osqual.evidence import keep_evidence
from osqual.model import Judgement, Verdict
from osqual.operations.prospects import Prospect, check_claims, needs_of, usual
from osqual.operations.side_by_side import Ended, Watcher
from osqual.pipeline.resume import close_run, resume
from osqual.pipeline.workflow import Engine, RunResult, qualify, scope_for
from osqual.processes.running import owner_alive, owner_token
from osqual.room import Admission
from osqual.run.context import RunOptions
from osqual.store.cancel_requests import heed
from osqual.store.database import Row
from osqual.store.fleet import Fleet
from osqual.teardown import end_resources

FULL_S = 20.0
"""So long a job for which there is no room here, or no room in a limit, is left to others."""
STOPPING_S = 1.0
"""So long a job that a stopping worker gives back is not for that worker to take again."""


class NotNow(OsqualError):
    """The job cannot be done now: it goes back into the queue for `wait_s`."""

    def __init__(self, brief: str, wait_s: float) -> None:
        super().__init__(brief)
        self.wait_s = wait_s


class Stopped(OsqualError):
    """Somebody cancelled the job."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What all jobs of one worker share."""

    engine: Engine
    fleet: Fleet
    admission: Admission
    catalogue: Path
    watcher: Watcher
    say: Callable[[str], None]

    def perform(
        self, job: int, configuration: str, options: RunOptions, cancelled: Callable[[], bool]
    ) -> str:
        """Do a job to its end; the verdict. Raises NotNow, Stopped, or what kept it from that."""
        if cancelled():
            raise Stopped("The job was cancelled before it began.")
        if self.engine.cancellation.cancelled:
            raise NotNow("The worker is being stopped.", STOPPING_S)
        token = self.engine.cancellation.child()
        here = replace(self, engine=replace(self.engine, cancellation=token))
        with heed(lambda: int(cancelled()), token):
            result = here._result(job, configuration, options)
        self._keep_evidence(result)
        if result.exit_code is ExitCode.INTERRUPTED:
            if cancelled():
                raise Stopped(f"The run {result.run_id} was cancelled.")
            if self.engine.cancellation.cancelled:
                raise NotNow("The worker was stopped.", STOPPING_S)
        return result.judgement.verdict.value

    def _result(self, job: int, configuration: str, options: RunOptions) -> RunResult:
        for run in self.fleet.unfinished(configuration):
            resumed = self._take_over(run)
            if resumed is not None:
                return resumed
        self._bound(self.fleet.runs_of(job))
        return self._begin(job, configuration, options)

    def _keep_evidence(self, result: RunResult) -> None:
        """What cannot be copied does not change the verdict."""
        try:
            keep_evidence(result.directory, result.run_id, self.engine.settings)
        except OsqualError as error:
            self.say(str(error))

    def _begin(self, job: int, configuration: str, options: RunOptions) -> RunResult:
        catalogue = open_catalogue(self.catalogue)
        chosen = catalogue.configuration(catalogue.root / configuration)
        history = {
            **self.engine.store.history.step_seconds(),
            **self.engine.store.history.step_seconds(chosen.path),
        }
        prospect = Prospect(
            configuration=chosen.path,
            start=partial(qualify, catalogue, chosen, options, job=job),
            work_out=partial(needs_of, catalogue, chosen, options, self.engine),
            steps_s=usual(history),
        )
        check_claims(prospect.needs.claims)
        return self._watched(prospect)

    def _watched(self, prospect: Prospect) -> RunResult:
        """Run it when there is room, and have it shown."""
        lacking = self.admission.enter(prospect.needs.room)
        if lacking:
            raise NotNow(f"There is too little {' and '.join(lacking)} free here.", FULL_S)
        try:
            show = self.watcher.begins(prospect)
            engine = replace(self.engine, subscribers=(show,))
            result = prospect.start(engine, prospect.needs.claims)
        except LimitReached as error:
            self.watcher.waits(prospect, error.brief)
            raise NotNow(error.brief, FULL_S) from error
        except Exception as error:
            self.watcher.ends(Ended(configuration=prospect.configuration, error=error))
            raise
        finally:
            self.admission.leave(prospect.needs.room)
        self.watcher.ends(Ended(configuration=prospect.configuration, result=result))
        return result

    # Runs whose worker has died

    def _take_over(self, run: Row) -> RunResult | None:
        """Go on with a run of another worker, or end it; None when it was ended."""
        alive = owner_alive(run["owner"])
        if alive:
            raise NotNow(f"The process of the run {run['id']} lives.", FULL_S)
        if alive is None:
            self._end_from_afar(run)
            return None
        attempts = self.engine.settings.retries.attempts
        begun = max((step["begun"] for step in self.engine.store.steps(run["id"])), default=0)
        if begun > attempts:
            close_run(run, f"Its process died {begun} times in the same step.", self.engine)
            return None
        prospect = Prospect(
            configuration=run["configuration"], start=lambda engine, _claims: resume(run, engine)
        )
        return self._watched(prospect)

    def end_orphan(self, run: Row) -> None:
        """End a run whose job is over (it was cancelled, say) and whose worker has died."""
        alive = owner_alive(run["owner"])
        if alive is None:
            self._end_from_afar(run)
        elif not alive:
            close_run(run, "Its worker died, and its job is over.", self.engine)

    def _end_from_afar(self, run: Row) -> None:
        """End what another machine's run has in the cloud; what is on that machine stays.

        It is ended there, when a worker starts on it again.
        """
        silent_s = self.fleet.silent_s(run["id"])
        stalled_s = self.engine.settings.workers.stalled_after_s
        if silent_s < stalled_s:
            raise NotNow(f"The process of the run {run['id']} lives.", stalled_s)
        store = self.engine.store
        if not store.claim_run(run["id"], before=run["owner"], owner=owner_token()):
            raise NotNow(f"Another worker has the run {run['id']}.", stalled_s)
        host = run["owner"].partition("@")[2]
        reason = f"Its worker on {host} was not heard of for {silent_s:.0f} s."
        judgement = Judgement(verdict=Verdict.INCONCLUSIVE, reasons=(reason,), totals={})
        scope = scope_for(run["id"], Path(run["directory"]), self.engine)
        scope = scope.in_step("destroy").limited(
            self.engine.settings.time_limits.destroy, "ending the resources"
        )
        anywhere = {name: kind for name, kind in self.engine.parts.kinds.items() if kind.anywhere}
        code = ExitCode.INCONCLUSIVE
        try:
            end_resources(scope, anywhere)
        except CleanupIncomplete:
            code = ExitCode.CLEANUP_INCOMPLETE
            raise
        finally:
            store.end_run(run["id"], judgement, int(code))

    def _bound(self, before: list[Row]) -> None:
        """A job that ends its workers is not tried for ever."""
        before = [run for run in before if run["exit_code"] != ExitCode.INTERRUPTED]
        if len(before) >= self.engine.settings.retries.attempts:
            raise OsqualError(
                f"{len(before)} runs of the job were cut off; it is not tried again.",
                details="\n".join(f"{run['id']}: {', '.join(run['reasons'])}" for run in before),
                resolution="look at their logs, then submit the configuration again",
            )
