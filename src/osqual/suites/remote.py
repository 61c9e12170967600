"""A suite's script on a node: started apart from the connection, followed, ended, and read.

A lost connection ends nothing; what the script printed comes back as it is printed.
"""

import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from osqual.cancellation import Cancellation, pauses
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import CommandFailed, InfrastructureError, OsqualError, TimeLimitExceeded
from osqual.events import EventKind
from osqual.model import Node, Role, SshIdentity
from osqual.processes.process import write_atomic
from osqual.products.definition import cluster_environment
from osqual.products.install import interpreter
from osqual.ssh.machine import ConnectionLost, Machine
from osqual.suites import job as suite_job
from osqual.suites.base import SuiteRequest
from osqual.suites.junit import JunitReport, read_junit

POLL_S = 2.0
LOST_S = 300.0
"""How long a node may be out of reach before the suite counts as lost."""
GRACE_S = 60.0
_ELF = b"\x7fELF"

# Constant; what varies reaches it as arguments. It leaves the number of the script's process group,
# and its exit status when it has ended, each whole or not at all. Job control gives the script a
# group of its own and lets it hear SIGINT, which a shell's background commands else do not.
_START = """
set -m
cd "$1" || exit
shift
[ ! -e group ] || exit 0
(
  trap : INT TERM
  set -a; . ./environment; set +a
  "$@" > log 2>&1
  echo $? > exit.part; mv exit.part exit
) > /dev/null 2>&1 < /dev/null &
echo $! > group.part; mv group.part group
"""
# How it stands is asked first: what a script prints just before it ends is then still read.
_LOOK = """
cd "$1"
alive=$(kill -0 -"$(cat group)" 2> /dev/null && echo running || echo gone)
said=$(cat exit 2> /dev/null || echo "$alive")
tail -c +"$2" log 2> /dev/null | head -c 200000
printf '\\n%s' "osqual-exit:$said"
"""
_END = """
cd "$1"
kill -"$2" -"$(cat group)"
"""

OpenMachine = Callable[[Node, SshIdentity, Path, Cancellation], Machine]


@dataclass(frozen=True, kw_only=True)
class RemoteEnd:
    """How a script ended; `death` says why it did not end by itself, and is empty when it did."""

    exit_status: int | None
    death: str
    duration_s: float


def on_first_master(
    request: SuiteRequest, scope: RunScope, open_machine: OpenMachine
) -> "RemoteScript | str":
    """The script on the node that suites run on, or why there is no such node."""
    masters = request.cluster.by_role(Role.MASTER)
    if not masters:
        return "the cluster has no master to run it on"
    control_dir = socket_directory(scope)
    machine = open_machine(masters[0], request.cluster.identity, control_dir, Cancellation())
    return RemoteScript(machine=machine, request=request, scope=scope)


@dataclass(kw_only=True)
class RemoteScript:
    """The script of a suite on its node, and what comes back from it."""

    machine: Machine
    request: SuiteRequest
    scope: RunScope
    read: int = 0

    @property
    def directory(self) -> str:
        """On the node, below the home of the ssh user."""
        return f".osqual-{self.request.name}"

    @property
    def junit(self) -> Path:
        """The report, once it is fetched."""
        return self.request.directory / "junit.xml"

    @property
    def log(self) -> Path:
        """What it printed so far."""
        return self.request.directory / "log.txt"

    def prepare(self) -> list[str]:
        """Have the script there; the words that run it in its directory."""
        self.request.directory.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self._upload()
        file = self.request.suite.path
        with file.open("rb") as stream:
            binary = stream.read(len(_ELF)) == _ELF
        return ["./script"] if binary else [*interpreter(file), "./script"]

    def follow(self, argv: Sequence[str]) -> RemoteEnd:
        """Start it, unless it was started before, and wait for its end or its time limit."""
        started = time.monotonic()
        try:
            self.machine.run(["bash", "-c", _START, "osqual", self.directory, *argv])
            status, death = self._follow()
        except TimeLimitExceeded:
            self._end()
            status, death = None, "it was ended because its time limit passed"
        except (CommandFailed, InfrastructureError) as error:
            status, death = None, f"it could not be run: {error.brief} {error.details}".strip()
        except BaseException:
            self._end()
            raise
        duration_s = time.monotonic() - started
        return RemoteEnd(exit_status=status, death=death, duration_s=duration_s)

    def fetch_report(self) -> JunitReport | None:
        """The report, fetched however the script ended; None when there is none."""
        try:
            self.machine.get(f"{self.directory}/junit.xml", self.junit)
        except OsqualError:
            return None
        return read_junit(self.junit, self.request.suite.name)

    def log_text(self) -> str:
        """All that it printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _upload(self) -> None:
        environment = {
            **cluster_environment(self.request.configuration, self.request.cluster),
            "OSQUAL_JUNIT": "junit.xml",
            **self.request.suite.environment,
        }
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
        with tempfile.TemporaryDirectory(prefix="osqual-") as directory:
            local = Path(directory)
            write_atomic(local / "environment", text, mode=0o600)
            write_atomic(local / "script", self.request.suite.path.read_bytes(), mode=0o700)
            self.machine.put_tree(local, self.directory)

    def _follow(self) -> tuple[int | None, str]:
        lost_since: float | None = None
        for pause in pauses(POLL_S):
            self.scope.cancellation.sleep(pause)
            try:
                said = self._look()
                lost_since = None
            except ConnectionLost as error:
                lost_since = lost_since or time.monotonic()
                if time.monotonic() - lost_since > LOST_S:
                    return None, f"its node could not be reached any more: {error.details}"
                self.machine.close()
                continue
            if said == "gone":
                return None, "its process disappeared"
            if said.isdigit():
                return int(said), suite_job.signalled(int(said))
        raise AssertionError("pauses have no end")

    def _look(self) -> str:
        """Fetch what it printed since; whether it runs, is gone, or its exit status."""
        argv = ["sh", "-c", _LOOK, "osqual", self.directory, str(self.read + 1)]
        text, _, said = self.machine.run(argv).stdout.rpartition("\nosqual-exit:")
        self.read += len(text.encode())
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write(text)
        for line in text.splitlines():
            self.scope.emit(EventKind.OUTPUT, line, source=self.request.suite.name)
        return "running" if text and said.strip().isdigit() else said.strip()

    def _end(self) -> None:
        """Interrupt it, so that pytest writes its report, and wait for that a while."""
        give_up = time.monotonic() + GRACE_S
        try:
            self.machine.run(["sh", "-c", _END, "osqual", self.directory, "INT"], check=False)
            for pause in pauses(POLL_S):
                if time.monotonic() > give_up or self._look() != "running":
                    break
                time.sleep(pause)
            self.machine.run(["sh", "-c", _END, "osqual", self.directory, "KILL"], check=False)
        except OsqualError as error:
            self.scope.warn(f"the suite on the node could not be ended: {error.brief}")
