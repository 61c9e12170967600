"""The door to subprocess: `run` for short commands; `job` stands on it for long children.

Arguments are always lists; there is no shell string.
"""

import glob
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from osqual.cancellation import Cancellation
from osqual.errors import CommandFailed, InfrastructureError, MissingProgram
from osqual.failpoints import boundary, failpoint, without_faults

POLL_S = 0.05
TAIL_LINES = 20
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
}


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
                env=child_environment(env),
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


@dataclass(frozen=True, kw_only=True)
class Detached:
    """A command that goes on by itself."""

    child: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid

    def ended(self) -> int | None:
        """Its exit status; None while it runs. Whoever started it asks now and then."""
        return self.child.poll()


def start_detached(
    argv: Sequence[str], *, cwd: Path, output: Path, without: Sequence[str] = ()
) -> Detached:
    """Start a command that goes on when this process ends; what it prints goes to a file.

    `without` names variables that it does not get. Raises InfrastructureError.
    """
    env = {name: value for name, value in child_environment(None).items() if name not in without}
    try:
        with output.open("ab") as sink:
            child = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise InfrastructureError(f"Cannot start {argv[0]}: {error}") from error
    return Detached(child=child)


def child_environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment with more added, and without what tests do to this process."""
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
        signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            signal_group(child.pid, signal.SIGKILL)
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


def signal_group(pid: int, signum: int) -> None:
    """Send a signal to a process group, if there still is one."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signum)


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
