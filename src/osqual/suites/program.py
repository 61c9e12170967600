"""What a program that is a suite says by how it ended: its report, its TAP or its exit status."""

from collections.abc import Sequence
from dataclasses import dataclass

from osqual.model import Outcome, TestResult
from osqual.processes.process import tail
from osqual.suites.job import any_failed
from osqual.suites.junit import MAX_DETAILS_CHARS, JunitReport, clean_text
from osqual.suites.tap import is_tap, parse_tap

SHOWN_LINES = 15


@dataclass(frozen=True, kw_only=True)
class ProgramEnd:
    """How a program ended. `death` says why it did not end by itself; empty when it did."""

    exit_status: int | None
    death: str
    duration_s: float
    printed: str
    """Its standard output."""
    last_words: str
    """The end of all that it printed."""


def conclude(
    end: ProgramEnd, report: JunitReport | None, suite: str
) -> tuple[Sequence[TestResult], str]:
    """Results and problem. `report` is the JUnit that it left, None when it left none.

    A program that leaves no report and prints no TAP is one test: its exit status is the outcome.
    One that has a report has to agree with it.
    """
    if report is None and is_tap(end.printed):
        report = parse_tap(end.printed, suite)
    if report is None:
        return ((), end.death) if end.death else ((_one_test(end, suite),), "")
    if end.death or report.problem:
        return report.results, end.death or report.problem
    if end.exit_status and not any_failed(report.results):
        return report.results, (
            f"it ended with exit status {end.exit_status}, and its report has no failed test: "
            + (tail(end.last_words, 1) or "it printed nothing")
        )
    return report.results, ""


def _one_test(end: ProgramEnd, suite: str) -> TestResult:
    shown = clean_text(tail(end.last_words, SHOWN_LINES), MAX_DETAILS_CHARS)
    failed = end.exit_status != 0
    return TestResult(
        suite=suite,
        test_id=suite,
        outcome=Outcome.FAIL if failed else Outcome.PASS,
        duration_s=end.duration_s,
        message=f"exit status {end.exit_status}: {tail(shown, 1)}" if failed else "",
        details=shown if failed else "",
    )
