"""The suite kind `command_on_node`: any program, run on the first master as the ssh user.

It stands alone there: one file. Its exit status, the JUnit that it leaves, or its TAP count.
"""

from osqual.effects.scope import RunScope
from osqual.errors import CommandFailed, InfrastructureError
from osqual.model import SuiteResult
from osqual.processes.process import tail
from osqual.ssh.machine import Machine
from osqual.suites import job as suite_job
from osqual.suites.base import SuiteRequest
from osqual.suites.command_suite import NO_NAMES
from osqual.suites.ending import sum_up
from osqual.suites.program import SHOWN_LINES, ProgramEnd, conclude
from osqual.suites.remote import OpenMachine, on_first_master


class CommandOnNode:
    """Runs the suite's file on the first master; see `SuiteKind`."""

    def __init__(
        self, open_machine: OpenMachine = Machine, probe: suite_job.Probe = suite_job.silent_nodes
    ) -> None:
        self._open = open_machine
        self._probe = probe

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        """Run the program to its end or its time limit."""
        suite = request.suite
        if request.selection.keywords:
            return SuiteResult(suite=suite.name, skipped=NO_NAMES)
        if problem := suite_job.late_start(scope.cancellation):
            return SuiteResult(suite=suite.name, problem=problem)
        remote = on_first_master(request, scope, self._open)
        if isinstance(remote, str):
            return SuiteResult(suite=suite.name, problem=remote)
        try:
            words = [*remote.prepare(), *suite.arguments, *request.selection.arguments]
        except (CommandFailed, InfrastructureError) as error:
            problem = f"it could not be run: {error.brief} {error.details}".strip()
            return SuiteResult(suite=suite.name, problem=problem)
        end = remote.follow(words)
        log = remote.log_text()
        results, problem = conclude(
            ProgramEnd(
                exit_status=end.exit_status,
                death=end.death,
                duration_s=end.duration_s,
                printed=log,
                last_words=tail(log, SHOWN_LINES),
            ),
            remote.fetch_report(),
            suite.name,
        )
        artefacts = (remote.junit, remote.log)
        return sum_up(request, end, results, problem, artefacts, probe=self._probe, scope=scope)
