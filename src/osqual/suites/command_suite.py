"""The suite kind `command`: any program on the controller; its exit status, JUnit or TAP count.

The program is told everything by environment variables, and reaches nodes with plain ssh through
a configuration file that has one host for each node.
"""

import stat
from pathlib import Path

from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import InvalidInput
from osqual.events import EventKind
from osqual.model import Suite, SuiteResult
from osqual.processes.process import write_atomic
from osqual.products.definition import cluster_environment
from osqual.suites import job as suite_job
from osqual.suites.base import SuiteRequest
from osqual.suites.ending import sum_up
from osqual.suites.junit import MAX_BYTES, read_junit
from osqual.suites.program import SHOWN_LINES, ProgramEnd, conclude
from osqual.suites.progress import LineFollower
from osqual.suites.ssh_config import ssh_config

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
            request.name,
            [str(suite.path), *suite.arguments, *request.selection.arguments],
            directory=directory,
            cwd=suite.path.parent,
            env=_environment(request, junit, scope),
            scope=scope,
            on_poll=lambda: _show(follower, suite.name, scope),
        )
        results, problem = conclude(
            ProgramEnd(
                exit_status=end.exit_status,
                death=end.death,
                duration_s=end.duration_s,
                printed=read_output(end.job.stdout),
                last_words=end.job.tail(SHOWN_LINES),
            ),
            read_junit(junit, suite.name) if junit.exists() else None,
            suite.name,
        )
        artefacts = (junit, end.job.stdout, end.job.stderr)
        return sum_up(request, end, results, problem, artefacts, probe=self._probe, scope=scope)


def read_output(path: Path) -> str:
    """What a program printed, as far as anybody may have meant it to be read."""
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES).decode(errors="replace")


def not_runnable(suite: Suite) -> str:
    """Why the file cannot be run as a program; empty when it can."""
    if problem := not_a_file(suite):
        return problem
    if not suite.path.stat().st_mode & stat.S_IXUSR:
        return f"{suite.path} is not executable (chmod +x)"
    return ""


def not_a_file(suite: Suite) -> str:
    """Why there is no file to run; empty when there is one."""
    return "" if suite.path.is_file() else f"{suite.path} is not a file"


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


def _show(follower: LineFollower, suite: str, scope: RunScope) -> None:
    for line in follower.new_lines():
        scope.emit(EventKind.OUTPUT, line, source=suite)


def check_command(suite: Suite) -> None:
    """Refuse, before a machine is started, a file that cannot be run. Raises InvalidInput."""
    here = suite.kind == "command"
    if problem := not_runnable(suite) if here else not_a_file(suite):
        raise InvalidInput(f"The suite {suite.name!r} cannot be run: {problem}.")
