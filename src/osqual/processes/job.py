"""Long children that outlive their parent: in a session of their own, known by their directory.

The directory holds output, pid, start time and exit code, so that a later process can attach.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from osqual.cancellation import Cancellation, pauses
from osqual.errors import InfrastructureError, OsqualError
from osqual.failpoints import failpoint
from osqual.processes.process import (
    POLL_S,
    TAIL_LINES,
    child_environment,
    find_program,
    signal_group,
    tail,
    write_atomic,
)
from osqual.processes.running import (
    JOB,
    OWNER,
    Marked,
    marked_processes,
    owner_token,
    process_start,
)

RECORD = "job.json"
FIRST_POLL_S = 0.01
"""After this the first look; what lasts is looked at every `POLL_S`."""

# The shim is constant and the command reaches it as arguments, so nothing is ever parsed by it.
# It outlives signals to the group, because it has to record the exit code. The command runs in
# its foreground: a shell makes background commands ignore SIGINT.
_SHIM = """
directory=$1; shift
trap : INT TERM HUP
"$@"
status=$?
printf '%s\\n' "$status" > "$directory/exit.tmp" && mv "$directory/exit.tmp" "$directory/exit"
"""


def _leads_session(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


class JobState(StrEnum):
    """Where a job is: `lost` means gone without an exit code (killed together with its shim)."""

    RUNNING = "running"
    EXITED = "exited"
    LOST = "lost"


class _Detached(subprocess.Popen[bytes]):
    """A child that may outlive this object, which is then no leak to warn about."""

    def __del__(self) -> None:
        """Leave it alone."""


class Job:
    """A long child that outlives its parent, known by its directory alone.

    Files: `job.json` (argv, pid, start), `stdout`, `stderr`, `exit`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._child: _Detached | None = None

    @classmethod
    def start(
        cls,
        directory: Path,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> "Job":
        """Start the command detached; `directory` is made and must not hold a job yet."""
        program = find_program(argv[0])
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / RECORD).exists():
            raise InfrastructureError(f"A job was already started in {directory}.")
        job = cls(directory)
        marks = {JOB: str(directory.absolute()), OWNER: owner_token()}
        name = Path(program).name
        failpoint(f"before start {name}")
        with (directory / "stdout").open("wb") as out, (directory / "stderr").open("wb") as err:
            job._child = _Detached(
                ["/bin/sh", "-c", _SHIM, "osqual-job", str(directory), program, *argv[1:]],
                cwd=cwd,
                env={**child_environment(env), **marks},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        failpoint(f"amid start {name}")
        pid = job._child.pid
        record = {
            "argv": list(argv),
            "pid": pid,
            "start": process_start(pid),
            "started_at": time.time(),
        }
        write_atomic(directory / RECORD, json.dumps(record, indent=2) + "\n")
        failpoint(f"after start {name}")
        return job

    @property
    def pid(self) -> int:
        """The pid of the job's session leader, which is also its process group.

        Raises InfrastructureError when there is none.
        """
        leader = self._leader()
        if leader is None:
            raise InfrastructureError(f"There is no job in {self.directory}.")
        return leader[0]

    @property
    def started_at(self) -> float:
        """When it was started, in seconds since the epoch; now when that is not known any more."""
        try:
            return float(json.loads((self.directory / RECORD).read_text())["started_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return time.time()

    @property
    def was_started(self) -> bool:
        """Whether there is, or was, a job in the directory."""
        return self._leader() is not None or self.exit_status is not None

    def _leader(self) -> tuple[int, str | None] | None:
        """Pid and start of the session's leader, None when nothing is known of it.

        The record is missing when the starter was killed before it could write it, and may be cut
        off by a loss of power; then the process itself is looked for.
        """
        try:
            record = json.loads((self.directory / RECORD).read_text())
            return int(record["pid"]), record["start"]
        except (OSError, ValueError, KeyError, TypeError):
            pids = (process.pid for process in self._members())
            found = next((pid for pid in pids if _leads_session(pid)), None)
            return None if found is None else (found, process_start(found))

    def _members(self) -> list[Marked]:
        """Processes that belong to the job, also those that have left its group."""
        return list(marked_processes(self.directory.absolute()))

    @property
    def stdout(self) -> Path:
        """The file that receives standard output."""
        return self.directory / "stdout"

    @property
    def stderr(self) -> Path:
        """The file that receives standard error."""
        return self.directory / "stderr"

    @property
    def exit_status(self) -> int | None:
        """The exit status on disk, None while there is none."""
        try:
            return int((self.directory / "exit").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def state(self) -> JobState:
        """Look at the process and at the directory; pids that were used again are not mistaken."""
        if self._child is not None:
            self._child.poll()  # reap our own child, or it stays a zombie that looks alive
        # What is to be believed lost for good must not be seen twice: one look may fall between
        # the end of the command and its record, or fail for a lack of memory.
        for looks_left in (1, 0):
            if self.exit_status is not None:
                return JobState.EXITED
            # The shim may have been killed alone: what it ran goes on without it.
            if self._leader_lives() or self._members():
                return JobState.RUNNING
            time.sleep(POLL_S * looks_left)
        return JobState.LOST

    def _leader_lives(self) -> bool:
        leader = self._leader()
        return leader is not None and process_start(leader[0]) == leader[1] is not None

    def wait(self, cancellation: Cancellation, *, grace_s: float = 30.0) -> int:
        """Wait for the end and return the exit status (-1 when it was lost).

        When the token fires, the job is ended politely within `grace_s` first and then the
        token's error is raised.
        """
        looks = pauses(POLL_S, FIRST_POLL_S)
        while self.state() is JobState.RUNNING:
            try:
                cancellation.sleep(next(looks))
            except OsqualError:
                self.end(grace_s=grace_s)
                raise
        status = self.exit_status
        return -1 if status is None else status

    def end(self, *, grace_s: float = 30.0, cancellation: Cancellation | None = None) -> None:
        """SIGINT and wait, SIGTERM and wait, SIGKILL last; returns when nothing of it is left.

        A token that fires (give one that is shielded) stops the waiting and leaves the job.
        """
        token = cancellation or Cancellation()
        for signum, patience_s in (
            (signal.SIGINT, grace_s),
            (signal.SIGTERM, min(grace_s, 5.0)),
            (signal.SIGKILL, 5.0),
        ):
            if self.state() is not JobState.RUNNING:
                break
            self._signal(signum)
            give_up = time.monotonic() + patience_s
            looks = pauses(POLL_S, FIRST_POLL_S)
            while self.state() is JobState.RUNNING and time.monotonic() < give_up:
                token.sleep(next(looks))
        self._kill_rest(token)

    def _signal(self, signum: int) -> None:
        """To the whole group while its leader lives; to each member when only they do."""
        if self._leader_lives():
            signal_group(self.pid, signum)
            return
        for process in self._members():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signum)

    def _kill_rest(self, token: Cancellation) -> None:
        """Kill what the command left running behind it. A pid of old may be a stranger's now."""
        give_up = time.monotonic() + 5.0
        looks = pauses(POLL_S, FIRST_POLL_S)
        while (rest := self._members()) and time.monotonic() < give_up:
            for process in rest:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            token.sleep(next(looks))

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of standard error, or of standard output when that is empty."""
        for stream in (self.stderr, self.stdout):
            if stream.exists() and (text := stream.read_text(errors="replace").strip()):
                return tail(text, lines)
        return ""
