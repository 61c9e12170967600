"""The suite kind `pytest_on_node`: a script that ends in pytest, run on the first master.

For products that bring their tests with them. Its JUnit report is fetched however it ended.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from osqual.effects.scope import RunScope
from osqual.errors import CommandFailed, InfrastructureError
from osqual.model import SuiteResult, TestResult
from osqual.mutes.pattern import matches_test
from osqual.ssh.machine import Machine
from osqual.suites import job as suite_job
from osqual.suites.base import Listing, SuiteRequest
from osqual.suites.ending import sum_up
from osqual.suites.junit import JunitReport
from osqual.suites.node_ids import leaving_out, listed_ids, naming, with_node_ids
from osqual.suites.pytest_suite import join_keywords
from osqual.suites.remote import OpenMachine, RemoteEnd, RemoteScript, on_first_master
from osqual.suites.verbose import ids_in, results_in

LIST_S = 600.0
NOTHING_COLLECTED = 5
TESTS_FAILED = 1

# What pytest says of wrong arguments on standard error: maybe on a line that standard output began.
_ERROR = re.compile(r"^(?:.*\berror: |(?:collecting \.\.\. )?ERROR:? +)(\S.*)$", re.MULTILINE)

# Lists the tests that the script would run.
_LIST = """
cd "$1" || exit
shift
set -a; . ./environment; set +a
"$@" 2>&1 < /dev/null
"""


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
        remote = on_first_master(request, scope, self._open)
        if isinstance(remote, str):
            return SuiteResult(suite=name, problem=remote)
        chosen = _Choice(remote=remote)
        try:
            words = chosen.words(remote.prepare())
        except (CommandFailed, InfrastructureError) as error:
            problem = f"it could not be run: {error.brief} {error.details}".strip()
            return SuiteResult(suite=name, problem=problem)
        end = remote.follow(words)
        results, problem = _conclude(end, remote, chosen)
        return sum_up(
            request,
            end,
            results,
            problem,
            (remote.junit, remote.log),
            left_out=chosen.left_out,
            probe=self._probe,
            scope=scope,
        )

    def list_tests(self, request: SuiteRequest, scope: RunScope) -> Listing:
        """Have pytest on the node collect them; see `ListingKind`."""
        remote = on_first_master(request, scope, self._open)
        if isinstance(remote, str):
            return Listing(problem=remote)
        chosen = _Choice(remote=remote)
        try:
            chosen.list_all(remote.prepare())
        except (CommandFailed, InfrastructureError) as error:
            return Listing(problem=f"it could not be listed: {error.brief} {error.details}")
        rest = tuple(test for test in chosen.listed if test not in chosen.left_out)
        problem = "" if chosen.listed else "its tests could not be listed"
        return Listing(tests=rest, left_out=chosen.left_out, problem=problem)


@dataclass(kw_only=True)
class _Choice:
    """Which of the script's tests are run, as the words of its command line."""

    remote: RemoteScript
    listed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def words(self, script: list[str]) -> list[str]:
        """The whole command, with the report that it is to leave."""
        home = ["sh", "-c", 'printf %s "$PWD"']
        place = f"{self.remote.machine.run(home).stdout}/{self.remote.directory}"
        return [*script, *self._chosen(script), f"--junitxml={place}/junit.xml"]

    def _chosen(self, script: list[str]) -> list[str]:
        """What the script is told of the tests to run."""
        suite, selection = self.remote.request.suite, self.remote.request.selection
        words, rest = join_keywords((*suite.arguments, *selection.arguments))
        if selection.only:
            return naming(selection.only, rest)
        shard = self.remote.request.shard
        if not selection.leave_out and shard is None:
            return self._narrowed(words, rest)
        chosen = self.list_all(script)
        if shard is not None:
            rest = [test for test in self.listed if test not in self.left_out]
            return naming(shard.take(rest), chosen)
        return leaving_out(self.left_out, self.listed, chosen) if self.left_out else chosen

    def list_all(self, script: list[str]) -> list[str]:
        """Know all tests that would be run, and which of them are muted; the words for them."""
        suite, selection = self.remote.request.suite, self.remote.request.selection
        chosen = self._narrowed(*join_keywords((*suite.arguments, *selection.arguments)))
        self.listed = self._list([*script, *chosen])
        self.left_out = tuple(
            test
            for test in self.listed
            if any(matches_test(pattern, test) for pattern in selection.leave_out)
        )
        return chosen

    def _narrowed(self, expression: str, rest: list[str]) -> list[str]:
        keywords = self._keywords(expression)
        return [*(["-k", keywords] if keywords else []), *rest]

    def _list(self, command: list[str]) -> tuple[str, ...]:
        """The ids of the tests that would be run; a muted one can only be left out by its id."""
        asked = [*command, "--collect-only", "--verbosity=-1"]
        argv = ["bash", "-c", _LIST, "osqual", self.remote.directory, *asked]
        done = self.remote.machine.run(argv, check=False, timeout_s=LIST_S)
        found = listed_ids(done.stdout)
        if not found:
            self.remote.scope.warn(
                f"the tests of {self.remote.request.suite.name} could not be listed (exit status "
                f"{done.exit_status}), so those that are muted run among the others"
            )
        return found

    def _keywords(self, expression: str) -> str:
        """The configuration's -k together with the command line's, of which one is enough."""
        narrowed = " or ".join(self.remote.request.selection.keywords)
        parts = [part for part in (expression, narrowed) if part]
        return parts[0] if len(parts) == 1 else " and ".join(f"({part})" for part in parts)


def _conclude(
    end: RemoteEnd, remote: RemoteScript, choice: _Choice
) -> tuple[tuple[TestResult, ...], str]:
    """Results and problem. Without a report, what the log tells of single tests is kept."""
    name, log = remote.request.suite.name, remote.log_text()
    report = remote.fetch_report() or JunitReport(problem="it left no report")
    results = report.results or results_in(log, name)
    results = with_node_ids(results, (*ids_in(log), *choice.listed))
    if only := remote.request.selection.only:
        results = tuple(result for result in results if result.test_id in only)
    return results, _problem(end, report, results, log, choice)


def _problem(
    end: RemoteEnd,
    report: JunitReport,
    results: Sequence[TestResult],
    log: str,
    choice: _Choice,
) -> str:
    status = end.exit_status
    if end.death:
        return end.death
    if status == NOTHING_COLLECTED:
        return "" if choice.left_out else "it has no tests to run"
    if status not in (0, TESTS_FAILED):
        said = _ERROR.findall(log)
        return f"pytest ended with exit status {status}" + (f": {said[-1]}" if said else "")
    if report.problem:
        return report.problem
    if status == TESTS_FAILED and not suite_job.any_failed(results):
        return "its exit status says that a test failed, and its report has no such test"
    return ""
