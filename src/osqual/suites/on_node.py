"""The suite kind `pytest_on_node`: a script that ends in pytest, run on the first master.

For products that bring their tests with them. The script is started apart from the connection, so
that a lost one ends nothing, and its JUnit report is fetched however it ended.
"""

import shlex
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from osqual.cancellation import Cancellation, pauses
from osqual.errors import CommandFailed, InfrastructureError, OsqualError, TimeLimitExceeded
from osqual.events import EventKind
from osqual.install import interpreter
from osqual.machine import ConnectionLost, Machine
from osqual.model import Node, Outcome, Role, SshIdentity, SuiteResult, TestResult
from osqual.process import write_atomic
from osqual.products import cluster_environment
from osqual.scope import RunScope
from osqual.sockets import socket_directory
from osqual.suites import job as suite_job
from osqual.suites.base import SuiteRequest
from osqual.suites.junit import JunitReport, read_junit
from osqual.suites.pytest_suite import join_keywords
from osqual.suites.verbose import results_in

POLL_S = 2.0
LOST_S = 300.0
"""How long a node may be out of reach before the suite counts as lost."""
GRACE_S = 60.0
NOTHING_COLLECTED = 5
TESTS_FAILED = 1

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
_LOOK = """
cd "$1"
tail -c +"$2" log 2> /dev/null | head -c 200000
printf '\\n%s' "osqual-exit:"
cat exit 2> /dev/null || { kill -0 -"$(cat group)" 2> /dev/null && echo running || echo gone; }
"""
_END = """
cd "$1"
kill -"$2" -"$(cat group)"
"""

OpenMachine = Callable[[Node, SshIdentity, Path, Cancellation], Machine]


class PytestOnNode:
    """Runs the suite's script on the first master; see `SuiteKind`."""

    def __init__(
        self, open_machine: OpenMachine = Machine, probe: suite_job.Probe = suite_job.silent_nodes
    ) -> None:
        self._open = open_machine
        self._probe = probe

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        """Run the script to its end or its time limit."""
        name = request.suite.name
        if problem := suite_job.late_start(scope.cancellation):
            return SuiteResult(suite=name, problem=problem)
        masters = request.cluster.by_role(Role.MASTER)
        if not masters:
            return SuiteResult(suite=name, problem="the cluster has no master to run it on")
        machine = self._open(
            masters[0], request.cluster.identity, socket_directory(scope), Cancellation()
        )
        started = time.monotonic()
        remote = _Remote(machine=machine, request=request, scope=scope)
        try:
            status, death = remote.run()
        except (CommandFailed, InfrastructureError) as error:
            status, death = None, f"it could not be run: {error.brief} {error.details}".strip()
        report = remote.fetch()
        results, problem = _conclude(status, death, report, remote.log_text(), name)
        if not problem and suite_job.any_failed(results):
            problem = self._probe(request.cluster, scope)
        for result in results:
            scope.emit(
                EventKind.TEST,
                result.message.partition("\n")[0],
                suite=name,
                test_id=result.test_id,
                outcome=result.outcome.value,
                duration_s=result.duration_s,
            )
        return SuiteResult(
            suite=name,
            results=results,
            exit_status=status,
            duration_s=time.monotonic() - started,
            problem=problem,
            artefacts=tuple(path for path in (remote.junit, remote.log) if path.exists()),
        )


@dataclass(kw_only=True)
class _Remote:
    """The script on its node, and what comes back from it."""

    machine: Machine
    request: SuiteRequest
    scope: RunScope
    read: int = 0

    @property
    def directory(self) -> str:
        """On the node, below the home of the ssh user."""
        return f".osqual-suite-{self.request.suite.name}"

    @property
    def junit(self) -> Path:
        return self.request.directory / "junit.xml"

    @property
    def log(self) -> Path:
        return self.request.directory / "log.txt"

    def run(self) -> tuple[int | None, str]:
        """The exit status, and why it did not end by itself (empty when it did)."""
        self.request.directory.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self._upload()
        suite = self.request.suite
        words, rest = join_keywords((*suite.arguments, *self.request.selection.arguments))
        chosen = [*(["-k", self._keywords(words)] if self._keywords(words) else []), *rest]
        argv = [*interpreter(suite.path), "./script", *chosen]
        home = ["sh", "-c", 'printf %s "$PWD"']
        place = f"{self.machine.run(home).stdout}/{self.directory}"
        argv.append(f"--junitxml={place}/junit.xml")
        self.machine.run(["bash", "-c", _START, "osqual", self.directory, *argv])
        try:
            return self._follow()
        except TimeLimitExceeded:
            self._end()
            return None, "it was ended because its time limit passed"
        except BaseException:
            self._end()
            raise

    def _keywords(self, expression: str) -> str:
        """The configuration's -k together with the command line's, of which one is enough."""
        narrowed = " or ".join(self.request.selection.keywords)
        parts = [part for part in (expression, narrowed) if part]
        return parts[0] if len(parts) == 1 else " and ".join(f"({part})" for part in parts)

    def _upload(self) -> None:
        environment = {
            **cluster_environment(self.request.configuration, self.request.cluster),
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

    def fetch(self) -> JunitReport:
        """The report, fetched however the suite ended."""
        try:
            self.machine.get(f"{self.directory}/junit.xml", self.junit)
        except OsqualError:
            return JunitReport(problem="it left no report")
        return read_junit(self.junit, self.request.suite.name)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _conclude(
    status: int | None, death: str, report: JunitReport, log: str, suite: str
) -> tuple[tuple[TestResult, ...], str]:
    """Results and problem. Without a report, what the log tells of single tests is kept."""
    results = report.results or results_in(log, suite)
    if death:
        return results, death
    if report.problem:
        return results, report.problem
    if status == NOTHING_COLLECTED:
        return results, "it has no tests to run"
    if status not in (0, TESTS_FAILED):
        return results, f"pytest ended with exit status {status}"
    failed = any(result.outcome in (Outcome.FAIL, Outcome.ERROR) for result in results)
    if status == TESTS_FAILED and not failed:
        return results, "its exit status says that a test failed, and its report has no such test"
    return results, ""
