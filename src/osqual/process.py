"""The only door to subprocess: `run` for short commands, `Job` for long children.

A job has its own session and a directory that holds its output, pid, start time and exit code, so
that a later process can attach to it. Arguments are always lists; there is no shell string.
"""

import glob
import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from osqual.cancellation import Cancellation
from osqual.errors import CommandFailed, InfrastructureError, MissingProgram, OsqualError
from osqual.failpoints import boundary, failpoint, without_faults
from osqual.running import (
    JOB,
    OWNER,
    Marked,
    marked_processes,
    owner_token,
    process_start,
)

POLL_S = 0.05
TAIL_LINES = 20
RECORD = "job.json"
TEMPORARY = ".tmp"

INSTALL_COMMANDS: Mapping[str, str] = {
    "qemu-system-x86_64": "apt-get install qemu-system-x86",
    "qemu-img": "apt-get install qemu-utils",
    "mmdebstrap": "apt-get install mmdebstrap",
    "ssh": "apt-get install openssh-client",
    "ssh-keygen": "apt-get install openssh-client",
    "unshare": "apt-get install util-linux",
    "newuidmap": "apt-get install uidmap",
    "git": "apt-get install git",
    "packer": "apt-get install packer",
    "terraform": "see https://developer.hashicorp.com/terraform/install",
    "tofu": "see https://opentofu.org/docs/intro/install",
    "ssh-keyscan": "apt-get install openssh-client",
}

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


def find_program(name: str) -> str:
    """Absolute path of an external program, or MissingProgram with the command that installs it."""
    found = shutil.which(name)
    if found is None:
        install = INSTALL_COMMANDS.get(name)
        raise MissingProgram(
            f"The program {name!r} is not installed or not on PATH.",
            resolution=f"install it: {install}" if install else f"install {name}",
        )
    return found


def format_command(argv: Sequence[str]) -> str:
    """The command as a person would paste it into a shell."""
    return shlex.join(argv)


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a text."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How a command ended."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | Path | None = None,
    stdout: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    timeout_s: float = 60.0,
    cancellation: Cancellation | None = None,
    check: bool = True,
) -> Completed:
    """Run a short command to its end and return its output as text.

    `env` is added to the environment. `stdin` is text, or a file to read from; `stdout` a file
    that receives standard output instead. With `on_line`, standard error joins standard output
    and each line is handed over, without its end, as soon as it is there. Raises MissingProgram,
    CommandFailed (when `check`), TimeLimitExceeded or Interrupted; the command is gone when any of
    them is raised.
    """
    program = find_program(argv[0])
    what = f"running {format_command(argv)}"
    token = (cancellation or Cancellation()).limited(timeout_s, what)
    with ExitStack() as files:
        given = _open_stdin(stdin, files)
        sink = subprocess.PIPE if stdout is None else files.enter_context(stdout.open("wb"))
        try:
            child = subprocess.Popen(
                [*_dying_with_us(), program, *argv[1:]],
                cwd=cwd,
                env=_environment(env),
                stdin=given,
                stdout=sink,
                stderr=subprocess.PIPE if on_line is None else subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise InfrastructureError(f"Cannot start {argv[0]}: {error}") from error
    with boundary(f"run {Path(program).name}"), child:
        output, errors = _finish(child, on_line, token)
    completed = Completed(
        argv=tuple(argv), exit_status=child.returncode, stdout=output, stderr=errors
    )
    if check and completed.exit_status != 0:
        raise CommandFailed(
            f"{argv[0]} failed with exit status {completed.exit_status}.",
            exit_status=completed.exit_status,
            details=f"{format_command(argv)}\n{tail(errors or output)}",
        )
    return completed


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return without_faults({**os.environ, **(extra or {})})


def _dying_with_us() -> list[str]:
    """A short command must not go on when its caller is killed: nobody would know of it.

    setpriv(1) is part of util-linux; the kernel's own call would need code between fork and exec.
    """
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "TERM", "--"]


def _open_stdin(stdin: str | Path | None, files: ExitStack) -> int | IO[bytes]:
    """What the child reads: a file even for text, so that nobody has to feed a pipe."""
    if stdin is None:
        return subprocess.DEVNULL
    if isinstance(stdin, Path):
        return files.enter_context(stdin.open("rb"))
    stream: IO[bytes] = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    stream.write(stdin.encode())
    stream.seek(0)
    return stream


def _finish(
    child: subprocess.Popen[bytes], on_line: Callable[[str], None] | None, token: Cancellation
) -> tuple[str, str]:
    """Drain the child to its end; whatever is raised meanwhile ends its session first."""
    try:
        if on_line is not None and child.stdout is not None:
            return _stream_lines(child, child.stdout, on_line, token), ""
        return _communicate(child, token)
    except BaseException:
        # Waiting for the end of its output could take for ever: whoever inherited the pipe (the
        # master of a shared ssh connection does) may keep it open.
        _end_group(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            _end_group(child.pid, signal.SIGKILL)
            child.wait()
        raise


def _communicate(child: subprocess.Popen[bytes], token: Cancellation) -> tuple[str, str]:
    while True:
        try:
            output, errors = child.communicate(timeout=POLL_S * 4)
        except subprocess.TimeoutExpired:
            token.check()
        else:
            return _text(output), _text(errors)


def _stream_lines(
    child: subprocess.Popen[bytes],
    stream: IO[bytes],
    on_line: Callable[[str], None],
    token: Cancellation,
) -> str:
    """Hand over each line as it comes and return them all."""
    whole = bytearray()
    handed = 0
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            token.check()
            if not selector.select(POLL_S * 4):
                continue
            chunk = os.read(stream.fileno(), 1 << 16)
            whole += chunk
            end = whole.rfind(b"\n") + 1 if chunk else len(whole)
            for line in _text(whole[handed:end]).splitlines():
                on_line(line)
            handed = max(handed, end)
            if not chunk:
                break
    while child.poll() is None:
        token.sleep(POLL_S / 5)
    return _text(whole)


def _text(data: bytes | bytearray | None) -> str:
    return (data or b"").decode(errors="replace").replace("\r\n", "\n")


def _leads_session(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


def _end_group(pid: int, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signum)


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
                env={**_environment(env), **marks},
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
        while self.state() is JobState.RUNNING:
            try:
                cancellation.sleep(POLL_S)
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
            while self.state() is JobState.RUNNING and time.monotonic() < give_up:
                token.sleep(POLL_S)
        self._kill_rest(token)

    def _signal(self, signum: int) -> None:
        """To the whole group while its leader lives; to each member when only they do."""
        if self._leader_lives():
            _end_group(self.pid, signum)
            return
        for process in self._members():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signum)

    def _kill_rest(self, token: Cancellation) -> None:
        """Kill what the command left running behind it. A pid of old may be a stranger's now."""
        give_up = time.monotonic() + 5.0
        while (rest := self._members()) and time.monotonic() < give_up:
            for process in rest:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            token.sleep(POLL_S)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of standard error, or of standard output when that is empty."""
        for stream in (self.stderr, self.stdout):
            if stream.exists() and (text := stream.read_text(errors="replace").strip()):
                return tail(text, lines)
        return ""


def write_atomic(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write a whole file or nothing: temporary file beside it, flushed, then renamed over it."""
    writer = f"{os.getpid()}-{threading.get_ident()}"  # runs of one process are threads
    temporary = path.with_name(f".{path.name}.{writer}{TEMPORARY}")
    data = content.encode() if isinstance(content, str) else content
    failpoint(f"before write {path.name}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        failpoint(f"amid write {path.name}")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    failpoint(f"after write {path.name}")


def remove_temporaries(path: Path) -> None:
    """Remove what `write_atomic` left beside a file when it was killed in the middle."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY}"):
        left.unlink(missing_ok=True)
