"""The suite kind `command`: any program on the controller; its exit status and JUnit count.

The program is told everything by environment variables, and reaches nodes with plain ssh through
a configuration file that has one host for each node.
"""

import stat
from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.errors import InvalidInput
from osqual.events import EventKind
from osqual.machine import Machine
from osqual.model import Cluster, Outcome, Suite, SuiteResult, TestResult
from osqual.process import tail, write_atomic
from osqual.products import cluster_environment
from osqual.scope import RunScope
from osqual.sockets import socket_directory
from osqual.suites import job as suite_job
from osqual.suites.base import SuiteRequest
from osqual.suites.junit import MAX_DETAILS_CHARS, clean_text, read_junit
from osqual.suites.progress import LineFollower

SHOWN_LINES = 15
NO_NAMES = "-k chooses tests by name, and a command has no names"


class CommandSuite:
    """Runs the suite's file as a program."""

    def __init__(self, probe: suite_job.Probe = suite_job.silent_nodes) -> None:
        self._probe = probe

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        """Run the program to its end or its time limit; see `SuiteKind`."""
        suite = request.suite
        if request.selection.keywords:
            return SuiteResult(suite=suite.name, skipped=NO_NAMES)
        if problem := suite_job.late_start(scope.cancellation) or not_runnable(suite):
            return SuiteResult(suite=suite.name, problem=problem)
        junit = request.directory / "junit.xml"
        directory = request.directory / "job"
        follower = LineFollower(directory / "stdout")
        end = suite_job.run_job(
            f"suite-{suite.name}",
            [str(suite.path), *suite.arguments, *request.selection.arguments],
            directory=directory,
            cwd=suite.path.parent,
            env=_environment(request, junit, scope),
            scope=scope,
            on_poll=lambda: _show(follower, suite.name, scope),
        )
        results, problem = _conclude(end, junit, suite.name)
        if not problem and suite_job.any_failed(results):
            problem = self._probe(request.cluster, scope)
        for result in results:
            _tell(result, scope)
        return SuiteResult(
            suite=suite.name,
            results=results,
            exit_status=end.exit_status,
            duration_s=end.duration_s,
            problem=problem,
            artefacts=tuple(
                path for path in (junit, end.job.stdout, end.job.stderr) if path.exists()
            ),
        )


def not_runnable(suite: Suite) -> str:
    """Why the file cannot be run as a program; empty when it can."""
    if not suite.path.is_file():
        return f"{suite.path} is not a file"
    if not suite.path.stat().st_mode & stat.S_IXUSR:
        return f"{suite.path} is not executable (chmod +x)"
    return ""


def _environment(request: SuiteRequest, junit: Path, scope: RunScope) -> dict[str, str]:
    request.directory.mkdir(parents=True, exist_ok=True)
    config = request.directory / "ssh_config"
    write_atomic(config, ssh_config(request.cluster, socket_directory(scope)))
    return suite_job.clean_environment(
        {
            **cluster_environment(request.configuration, request.cluster),
            "OSQUAL_SSH_CONFIG": str(config),
            "OSQUAL_JUNIT": str(junit),
            "OSQUAL_SUITE_DIR": str(request.directory),
            **request.suite.environment,
        }
    )


def ssh_config(cluster: Cluster, control_dir: Path) -> str:
    """An OpenSSH client configuration with one host for each node, by its name.

    It shares the run's open connections, and host keys are checked as everywhere.
    """
    blocks = []
    for node in cluster.nodes:
        options = Machine(node, cluster.identity, control_dir, Cancellation()).options()
        settings = [
            word.replace("=", " ", 1)
            for word in options
            if "=" in word and not word.startswith("-")
        ]
        lines = [
            f"HostName {node.ssh_host}",
            f"Port {node.ssh_port}",
            f"User {node.ssh_user}",
            f'ControlPath "{control_dir / node.name}.ssh"',
            "ControlMaster no",
            *settings,
        ]
        blocks.append(f"Host {node.name}\n" + "".join(f"    {line}\n" for line in lines))
    return "\n".join(blocks)


def _show(follower: LineFollower, suite: str, scope: RunScope) -> None:
    for line in follower.new_lines():
        scope.emit(EventKind.OUTPUT, line, source=suite)


def _tell(result: TestResult, scope: RunScope) -> None:
    scope.emit(
        EventKind.TEST,
        result.message.partition("\n")[0],
        suite=result.suite,
        test_id=result.test_id,
        outcome=result.outcome.value,
        duration_s=result.duration_s,
    )


def _conclude(end: suite_job.JobEnd, junit: Path, suite: str) -> tuple[tuple[TestResult, ...], str]:
    """Results and problem from how the program ended and what it left.

    A program that leaves no JUnit is one test: its exit status is the outcome. One that leaves a
    report has to agree with it.
    """
    if not junit.exists():
        if end.death:
            return (), end.death
        return (_one_test(end, suite),), ""
    report = read_junit(junit, suite)
    if end.death or report.problem:
        return report.results, end.death or report.problem
    if end.exit_status and not suite_job.any_failed(report.results):
        return report.results, (
            f"it ended with exit status {end.exit_status}, and its report has no failed test: "
            + (tail(end.job.tail(), 1) or "it printed nothing")
        )
    return report.results, ""


def _one_test(end: suite_job.JobEnd, suite: str) -> TestResult:
    shown = clean_text(end.job.tail(SHOWN_LINES), MAX_DETAILS_CHARS)
    failed = end.exit_status != 0
    return TestResult(
        suite=suite,
        test_id=suite,
        outcome=Outcome.FAIL if failed else Outcome.PASS,
        duration_s=end.duration_s,
        message=f"exit status {end.exit_status}: {tail(shown, 1)}" if failed else "",
        details=shown if failed else "",
    )


def check_command(suite: Suite) -> None:
    """Refuse, before a machine is started, a file that cannot be run. Raises InvalidInput."""
    if problem := not_runnable(suite):
        raise InvalidInput(f"The suite {suite.name!r} cannot be run: {problem}.")
