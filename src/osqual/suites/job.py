"""Running a suite's process as a journalled job, and telling how it ended. Shared by the kinds."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osqual.cancellation import Cancellation, pauses
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import InfrastructureError, Interrupted, TimeLimitExceeded
from osqual.formats.times import elapsed_s
from osqual.model import Cluster, Outcome, TestResult
from osqual.processes.job import FIRST_POLL_S, Job, JobState
from osqual.ssh.machine import Machine

POLL_S = 0.1
GRACE_S = 60.0
"""How long a suite that was asked to end may take to clean up and to write its report."""
PROBE_TIMEOUT_S = 120.0

# A shell reports a child that a signal ended as 128 + the signal's number.
_SIGNALLED = 128


@dataclass(frozen=True, kw_only=True)
class JobEnd:
    """How a suite's process ended; `exit_status` is None when it was lost with its shim."""

    job: Job
    exit_status: int | None
    duration_s: float
    over_time: bool = False
    interrupted: bool = False

    @property
    def death(self) -> str:
        """Why a process that did not end by itself did not; empty when it did."""
        if self.interrupted:
            return f"it was interrupted after {self.duration_s:.0f} s"
        if self.over_time:
            return f"it was ended after {self.duration_s:.0f} s because its time limit passed"
        if self.exit_status is None:
            return "its process disappeared"
        return signalled(self.exit_status)


def signalled(exit_status: int) -> str:
    """Which signal ended a shell's child; empty when it ended by itself."""
    if exit_status > _SIGNALLED:
        return f"it was ended by signal {exit_status - _SIGNALLED}"
    return ""


def run_job(
    name: str,
    argv: Sequence[str],
    *,
    directory: Path,
    cwd: Path,
    env: Mapping[str, str],
    scope: RunScope,
    on_poll: Callable[[], None],
) -> JobEnd:
    """Run the command as a job of the run until it ends, is interrupted or over its time limit.

    A job that an earlier process of the run started in `directory` is followed instead. `on_poll`
    is called all the while, and once more after the end. Interrupted or over time, the job is
    asked to end and waited for: what it has found by then counts.
    """
    over_time = interrupted = False
    with scope.resource("job", name, directory=str(directory)) as owned:
        job = Job(directory)
        if not job.was_started:
            job = Job.start(directory, argv, cwd=cwd, env=env)
            owned.created(str(job.pid))
        looks = pauses(POLL_S, FIRST_POLL_S)
        try:
            while job.state() is JobState.RUNNING:
                scope.cancellation.sleep(next(looks))
                on_poll()
        except TimeLimitExceeded:
            over_time = True
        except Interrupted:
            interrupted = True
        # Also what the command left running when it ended by itself.
        patience = scope.cancellation.shielded(GRACE_S + 30.0, f"waiting for {name} to clean up")
        job.end(grace_s=GRACE_S, cancellation=patience)
    on_poll()
    return JobEnd(
        job=job,
        exit_status=job.exit_status,
        duration_s=elapsed_s(job.started_at, time.time()),
        over_time=over_time,
        interrupted=interrupted,
    )


def late_start(cancellation: Cancellation) -> str:
    """Why a suite cannot even be started; empty when it can. Raises Interrupted."""
    try:
        cancellation.check()
    except TimeLimitExceeded:
        return "it was not started because the time limit of the step had passed"
    return ""


Probe = Callable[[Cluster, RunScope], str]
"""Says which machines of a cluster no longer answer; empty when all do."""


def silent_nodes(cluster: Cluster, scope: RunScope) -> str:
    """Which machines no longer answer. For after a failure: their loss may be its cause."""
    control_dir = socket_directory(scope)
    token = scope.cancellation.limited(PROBE_TIMEOUT_S, "looking whether the nodes still answer")
    silent = []
    for node in cluster.nodes:
        try:
            Machine(node, cluster.identity, control_dir, token).run(["true"])
        except InfrastructureError as error:
            silent.append(f"{node.name} ({error.brief.rstrip('.')})")
    return f"a machine was lost: {', '.join(silent)}" if silent else ""


def any_failed(results: Iterable[TestResult]) -> bool:
    """Whether a test failed or ended in an error."""
    return any(result.outcome in (Outcome.FAIL, Outcome.ERROR) for result in results)


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Settings of the person's own shell that would steer a suite are emptied; `extra` is added."""
    steering = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONSTARTUP", "PYTHONINSPECT")
    emptied = {name: "" for name in steering if name in os.environ}
    return {**emptied, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **extra}
