"""Running failed tests again, and how often a test needs that."""

from collections.abc import Mapping
from dataclasses import replace

from osqual.model import Outcome, Selection, Suite, SuiteResult, TestResult
from osqual.results.flakiness import HISTORY, Flakiness
from osqual.run.context import RunContext
from osqual.testing.apart import run_part
from osqual.testing.parts import FAILURES


def repeat_failures(
    suite: Suite, selection: Selection, result: SuiteResult, context: RunContext
) -> SuiteResult:
    """Run what failed again, on its own, as often as the suite allows: a pass makes it flaky."""
    for number in range(1, suite.reruns + 1):
        failing = tuple(test.test_id for test in result.results if test.outcome in FAILURES)
        if not failing or result.problem:
            break
        context.scope.progress(
            f"{len(failing)} failed tests of the suite {suite.name} run again "
            f"({number} of {suite.reruns})"
        )
        alone = replace(selection, only=failing, leave_out=())
        again = run_part(suite, alone, f"rerun-{number}", context)
        if again.problem:
            remark = f"Failed tests of the suite '{suite.name}' were run again, and that gave no "
            remarks = (*result.remarks, f"{remark}result to rely on: {again.problem}")
            return replace(result, remarks=remarks)
        result = combined(result, again)
    return result


def combined(first: SuiteResult, again: SuiteResult) -> SuiteResult:
    """The suite with what its failed tests gave the next time."""
    found = {test.test_id: test for test in again.results}
    results = tuple(
        _once_more(test, found[test.test_id])
        if test.outcome in FAILURES and test.test_id in found
        else test
        for test in first.results
    )
    return replace(first, results=results)


def _once_more(failed: TestResult, again: TestResult) -> TestResult:
    """What the first failure said is kept: it is what a reader needs."""
    attempts = failed.attempts + 1
    if again.outcome is Outcome.PASS:
        return replace(failed, outcome=Outcome.FLAKY, attempts=attempts)
    return replace(failed, attempts=attempts, failures=failed.failures + 1)


def flakiness_of(context: RunContext) -> Mapping[tuple[str, str], Flakiness]:
    """How often each flaky test of the run failed at its first attempt, in this configuration."""
    return {
        (test.suite, test.test_id): history_of(test, context)
        for suite in context.suites
        for test in suite.results
        if test.outcome is Outcome.FLAKY
    }


def history_of(test: TestResult, context: RunContext) -> Flakiness:
    """By the last runs in the store, and this one."""
    outcomes = context.store.history.first_attempts(
        context.configuration.path,
        test.suite,
        test.test_id,
        before=context.scope.run_id,
        limit=HISTORY - 1,
    )
    return Flakiness(failed=1 + sum(outcomes), runs=1 + len(outcomes))
