"""The verdict: what wins over what, and what a release manager reads."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.model import Outcome, SuiteResult, TestResult, Verdict
from osqual.results.verdict import judge


def suite(
    *outcomes: Outcome, name: str = "integration", problem: str = "", skipped: str = ""
) -> SuiteResult:
    results = tuple(
        TestResult(suite=name, test_id=f"test_{index}", outcome=outcome)
        for index, outcome in enumerate(outcomes)
    )
    return SuiteResult(suite=name, results=results, problem=problem, skipped=skipped)


OFF = suite(name="framework", skipped="run_framework_tests is false")
PASS, FAIL, ERROR, SKIP, FLAKY, MUTED = (
    Outcome.PASS,
    Outcome.FAIL,
    Outcome.ERROR,
    Outcome.SKIP,
    Outcome.FLAKY,
    Outcome.MUTED,
)


@pytest.mark.parametrize(
    ("suites", "verdict"),
    [
        ([suite(PASS, PASS)], Verdict.QUALIFIED),
        ([suite(PASS, SKIP)], Verdict.QUALIFIED),
        ([suite(PASS, MUTED)], Verdict.QUALIFIED),
        ([suite(FLAKY)], Verdict.QUALIFIED),
        ([suite(PASS), OFF], Verdict.QUALIFIED),
        ([suite(PASS, FAIL)], Verdict.REJECTED),
        ([suite(PASS, ERROR)], Verdict.REJECTED),
        ([suite(PASS, FAIL), suite(name="framework", problem="died")], Verdict.REJECTED),
        ([suite(PASS, FAIL), OFF], Verdict.REJECTED),
        ([suite(PASS), suite(name="framework", problem="died")], Verdict.INCONCLUSIVE),
        ([suite(PASS, FAIL, problem="died")], Verdict.INCONCLUSIVE),
        ([suite(SKIP, SKIP)], Verdict.INCONCLUSIVE),
        ([suite(MUTED)], Verdict.INCONCLUSIVE),
        ([suite()], Verdict.INCONCLUSIVE),
        ([suite(PASS), suite(SKIP, name="framework")], Verdict.INCONCLUSIVE),
        ([OFF], Verdict.INCONCLUSIVE),
        ([], Verdict.INCONCLUSIVE),
    ],
)
def test_verdict(suites: Sequence[SuiteResult], verdict: Verdict) -> None:
    assert judge(suites).verdict is verdict


def test_an_unfinished_step_is_never_qualified_and_is_named() -> None:
    judgement = judge([suite(PASS)], unfinished=["The cluster was lost during the tests."])
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reasons[0] == "The cluster was lost during the tests."


def test_a_narrowed_run_is_never_qualified_but_can_be_rejected() -> None:
    assert judge([suite(PASS)], partial=True).verdict is Verdict.INCONCLUSIVE
    assert judge([suite(FAIL)], partial=True).verdict is Verdict.REJECTED


def test_reasons_of_a_qualification() -> None:
    judgement = judge([suite(PASS, FLAKY, SKIP), OFF])
    assert judgement.reasons == (
        "All 2 tests that count passed in the suite 'integration'.",
        "1 test passed only when repeated: integration: test_1.",
        "The suite 'framework' was not run: run_framework_tests is false.",
    )
    assert judgement.totals == {
        "pass": 1,
        "fail": 0,
        "error": 0,
        "skip": 1,
        "flaky": 1,
        "muted": 0,
    }


def test_reasons_of_a_rejection_put_the_failures_first_and_keep_the_list_short() -> None:
    judgement = judge([suite(problem="it died", name="framework"), suite(PASS, *[FAIL] * 7)])
    assert judgement.reasons[0] == (
        "7 of 8 tests failed: integration: test_1, integration: test_2, integration: test_3, "
        "integration: test_4, integration: test_5 and 2 more."
    )
    assert judgement.reasons[1] == (
        "The suite 'framework' did not give a result to rely on: it died."
    )


def test_failures_in_a_suite_that_died_are_named_though_they_do_not_reject() -> None:
    (reason,) = judge([suite(PASS, FAIL, problem="it was killed by signal 9.")]).reasons
    assert reason == (
        "The suite 'integration' did not give a result to rely on: it was killed by signal 9. "
        "Before that, 1 test failed: integration: test_1."
    )


def test_everything_switched_off_says_so() -> None:
    assert judge([OFF]).reasons == (
        "No test suite was run, so nothing shows that this works.",
        "The suite 'framework' was not run: run_framework_tests is false.",
    )


@given(
    st.lists(
        st.builds(
            lambda outcomes, name, problem, skipped: suite(
                *([] if skipped else outcomes), name=name, problem=problem, skipped=skipped
            ),
            st.lists(st.sampled_from(Outcome), max_size=5),
            st.sampled_from("abc"),
            st.sampled_from(["", "", "died"]),
            st.sampled_from(["", "", "off"]),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_never_optimistic(suites: list[SuiteResult], partial: bool) -> None:
    """Qualified implies: something passed, nothing failed, nothing is open, nothing narrowed."""
    judgement = judge(suites, partial=partial)
    assert judgement.reasons
    outcomes = [result.outcome for item in suites for result in item.results]
    if judgement.verdict is Verdict.QUALIFIED:
        assert not partial
        assert not any(item.problem for item in suites)
        assert not {FAIL, ERROR} & set(outcomes)
        assert {PASS, FLAKY} & set(outcomes)
    if judgement.verdict is Verdict.REJECTED:
        assert {FAIL, ERROR} & set(outcomes)
