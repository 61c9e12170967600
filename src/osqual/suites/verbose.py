"""What `pytest -vv` prints, read for suites that did not live to write a report."""

import re

from osqual.model import Outcome, TestResult

_OUTCOMES = {
    "PASSED": Outcome.PASS,
    "XPASS": Outcome.PASS,
    "FAILED": Outcome.FAIL,
    "ERROR": Outcome.ERROR,
    "SKIPPED": Outcome.SKIP,
    "XFAIL": Outcome.SKIP,
}
_BEGUN = re.compile(r"^([\w./-]+\.py::\S+)")
_WORD = re.compile(rf"(?:^|\s)({'|'.join(_OUTCOMES)})(?:\s+\(.*\))?(?:\s+\[ *\d+%\])?\s*$")


def ids_in(log: str) -> tuple[str, ...]:
    """The ids of the tests that were begun."""
    return tuple(begun[1] for line in log.splitlines() if (begun := _BEGUN.match(line)))


def results_in(log: str, suite: str) -> tuple[TestResult, ...]:
    """A result for each test whose end was printed; with `-s` its own output stands in between."""
    results: dict[str, TestResult] = {}
    current = ""
    for line in log.splitlines():
        if begun := _BEGUN.match(line):
            current = begun[1]
        if (word := _WORD.search(line)) and current:
            results[current] = TestResult(suite=suite, test_id=current, outcome=_OUTCOMES[word[1]])
            current = ""
    return tuple(results.values())
