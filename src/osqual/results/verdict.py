"""From what the suites gave to a verdict with its reasons. Pure: no I/O, no clock.

The rules, and why each is as it is, stand in `judge`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from osqual.model import Judgement, Outcome, SuiteResult, TestResult, Verdict
from osqual.results.flakiness import Flakiness

NAMES_SHOWN = 5
_COUNTS_AGAINST = (Outcome.FAIL, Outcome.ERROR)
_COUNTS_FOR = (Outcome.PASS, Outcome.FLAKY)


def judge(
    suites: Sequence[SuiteResult],
    *,
    unfinished: Sequence[str] = (),
    partial: bool = False,
    mutes: Sequence[str] = (),
    flakiness: Mapping[tuple[str, str], Flakiness] = MappingProxyType({}),
    flake_limit: float = 1.0,
) -> Judgement:
    """The verdict over every suite of the product, the ones that were switched off included.

    `unfinished` are sentences about steps that did not end (a build that failed, a cluster that
    was lost); `partial` says that a person narrowed the run (`-k`); `mutes` are those in force, in
    words; `flakiness` says of flaky tests, by suite and id, how often they fail, and `flake_limit`
    up to which rate that is accepted.

    1. rejected: a test failed, or ended in an error, in a suite that can be believed. It wins over
       everything unfinished elsewhere: that other suite could not make the failure go away.
    2. inconclusive: anything unfinished, or a suite with a problem. A failure *inside* such a
       suite does not reject: what ended the suite may have caused it, and a wrong "rejected"
       blames the operating system while a wrong "inconclusive" costs one more run. The failures
       are named all the same.
    3. inconclusive: no suite ran, a suite ran in which nothing passed, or the run was narrowed.
       What did not run did not pass, also when the configuration switched it off.
    4. qualified: every suite that should run did, each with at least one test that passed. A test
       that passed only when repeated (flaky) passed and is named, unless it may fail more often
       than the limit: then it counts as failed. A muted one counts for nothing.
    """
    totals = Counter(result.outcome for suite in suites for result in suite.results)
    against = [
        result for suite in suites if not suite.problem for result in _with(suite, _COUNTS_AGAINST)
    ]
    flakes = [
        result
        for suite in suites
        if not suite.problem
        for result in _with(suite, (Outcome.FLAKY,))
        if _may_fail_more_than(flake_limit, flakiness.get((result.suite, result.test_id)))
    ]
    open_points = [*unfinished, *(_problem(suite) for suite in suites if suite.problem)]
    missing = _missing(suites, partial)
    if against or flakes:
        verdict, decisive = Verdict.REJECTED, []
        decisive += [_failed(against, _ran(suites))] if against else []
        decisive += [_flaky(flakes, flake_limit)] if flakes else []
    else:
        verdict, decisive = Verdict.INCONCLUSIVE, []
        if not open_points and not missing:
            verdict, decisive = Verdict.QUALIFIED, [_passed(suites)]
    reasons = [*decisive, *open_points, *missing, *_remarks(suites, mutes, flakiness)]
    return Judgement(verdict=verdict, reasons=tuple(reasons), totals=_plain(totals))


def _plain(totals: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.value: totals[outcome] for outcome in Outcome}


def _with(suite: SuiteResult, outcomes: Sequence[Outcome]) -> list[TestResult]:
    return [result for result in suite.results if result.outcome in outcomes]


def _ran(suites: Sequence[SuiteResult]) -> int:
    """How many tests of believable suites counted, one way or the other."""
    counted = (*_COUNTS_FOR, *_COUNTS_AGAINST)
    return sum(len(_with(suite, counted)) for suite in suites if not suite.problem)


def _missing(suites: Sequence[SuiteResult], partial: bool) -> list[str]:
    """Why what ran is too little to qualify, though nothing of it failed."""
    tested = [suite for suite in suites if not suite.only_against]
    ran = [suite for suite in tested if not suite.skipped and not suite.problem]
    reasons = []
    if not any(not suite.skipped for suite in tested):
        reasons.append("No test suite was run, so nothing shows that this works.")
    reasons += [
        f"In the suite '{suite.suite}' no test passed: "
        + (
            f"all {len(suite.results)} were skipped or muted."
            if suite.results
            else "it gave no result."
        )
        for suite in ran
        if not _with(suite, _COUNTS_FOR) and not _with(suite, _COUNTS_AGAINST)
    ]
    if partial:
        reasons.append(
            "Only tests that somebody chose were run; a qualification needs all of them."
        )
    return reasons


def _problem(suite: SuiteResult) -> str:
    text = f"The suite '{suite.suite}' did not give a result to rely on: {_sentence(suite.problem)}"
    failed = _with(suite, _COUNTS_AGAINST)
    if failed:
        text += f" Before that, {_count(len(failed), 'test')} failed: {_names(failed)}."
    return text


def _failed(failed: Sequence[TestResult], total: int) -> str:
    return f"{len(failed)} of {_count(total, 'test')} failed: {_names(failed)}."


def _passed(suites: Sequence[SuiteResult]) -> str:
    ran = [suite for suite in suites if not suite.skipped and not suite.only_against]
    passed = sum(len(_with(suite, _COUNTS_FOR)) for suite in ran)
    names = ", ".join(f"'{suite.suite}'" for suite in ran)
    tests = "1 test that counts" if passed == 1 else f"All {passed} tests that count"
    return f"{tests} passed in {'the suite' if len(ran) == 1 else 'the suites'} {names}."


def _may_fail_more_than(limit: float, known: Flakiness | None) -> bool:
    """Never optimistic: a rate that is not yet known well enough is taken for too high."""
    return limit < 1 and (known is None or known.interval[1] > limit)


def _flaky(flakes: Sequence[TestResult], limit: float) -> str:
    why = f"may fail more often than {limit:.1%}" if limit else "are not accepted"
    return (
        f"{_count(len(flakes), 'test')} passed only when repeated, which {why}: {_names(flakes)}."
    )


def _remarks(
    suites: Sequence[SuiteResult],
    mutes: Sequence[str],
    flakiness: Mapping[tuple[str, str], Flakiness],
) -> list[str]:
    """What does not decide, and what a reader of the verdict has to know all the same."""
    reasons = []
    flaky = [result for suite in suites for result in _with(suite, (Outcome.FLAKY,))]
    if flaky:
        told = (f"{_names([r])}{_rate(flakiness.get((r.suite, r.test_id)))}" for r in flaky)
        reasons.append(
            f"{_count(len(flaky), 'test')} passed only when repeated: {'; '.join(told)}."
        )
    reasons += [remark for suite in suites for remark in suite.remarks]
    reasons += _muted([result for suite in suites for result in _with(suite, (Outcome.MUTED,))])
    if mutes:
        reasons.append(
            f"{_count(len(mutes), 'mute is', 'mutes are')} in force: {'; '.join(mutes)}."
        )
    reasons += [
        f"The suite '{suite.suite}' was not run: {_sentence(suite.skipped)}"
        for suite in suites
        if suite.skipped
    ]
    return reasons


def _rate(known: Flakiness | None) -> str:
    return f" ({known})" if known else ""


def _muted(muted: Sequence[TestResult]) -> list[str]:
    """What the tests gave that did not count."""
    groups: Mapping[str, list[TestResult]] = {
        "failed but did not count": [r for r in muted if r.shadow in _COUNTS_AGAINST],
        "passed but did not count": [r for r in muted if r.shadow in _COUNTS_FOR],
        "muted and gave no result": [r for r in muted if r.shadow in (None, Outcome.SKIP)],
    }
    return [
        f"{_count(len(tests), 'test')} {what}: {_names(tests)}."
        for what, tests in groups.items()
        if tests
    ]


def _names(results: Sequence[TestResult]) -> str:
    shown = ", ".join(f"{result.suite}: {result.test_id}" for result in results[:NAMES_SHOWN])
    more = len(results) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _count(number: int, noun: str, nouns: str = "") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {nouns or f'{noun}s'}"


def _sentence(text: str) -> str:
    """The text with a full stop, unless it brought its own end."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
