"""The suites of a run that have ended, as the store has them."""

from osqual.inventory.checks import SUITE as HYGIENE
from osqual.model import Outcome, SuiteResult, TestResult
from osqual.results.node_checks import SUITE as CHECKS
from osqual.store.store import Store


def stored_suites(run_id: str, store: Store) -> list[SuiteResult]:
    """The suites that have ended, in the order in which they were recorded."""
    results: dict[str, list[TestResult]] = {}
    for row in store.results(run_id):
        result = TestResult(
            suite=row["suite"],
            test_id=row["test_id"],
            outcome=Outcome(row["outcome"]),
            duration_s=row["duration_s"],
            message=row["message"],
            details=row["details"],
            signature=row["signature"],
            attempts=row["attempts"],
            failures=row["failures"],
            mute=row["mute"],
            shadow=None if row["shadow"] is None else Outcome(row["shadow"]),
        )
        results.setdefault(row["suite"], []).append(result)
    return [
        SuiteResult(
            suite=row["name"],
            results=tuple(results.get(row["name"], ())),
            exit_status=row["exit_status"],
            duration_s=row["duration_s"],
            problem=row["problem"],
            skipped=row["skipped"],
            only_against=row["name"] in (CHECKS, HYGIENE),
        )
        for row in store.suites(run_id)
    ]
