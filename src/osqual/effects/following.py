"""Watching a job: its lines as events of the run while it works."""

from osqual.effects.scope import RunScope
from osqual.events import EventKind
from osqual.processes.job import Job, JobState
from osqual.processes.process import POLL_S


def follow_job(job: Job, source: str, scope: RunScope) -> int:
    """Hand over the lines of its standard output until it ends; the exit status, -1 when lost.

    Raises what the scope's token raises, and leaves the job to the caller then.
    """
    rest = b""
    with job.stdout.open("rb") as stream:
        while True:
            ended = job.state() is not JobState.RUNNING
            rest += stream.read()
            *lines, rest = rest.split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                scope.emit(EventKind.OUTPUT, text, source=source)
            if ended:
                status = job.exit_status
                return -1 if status is None else status
            scope.cancellation.sleep(POLL_S * 4)
