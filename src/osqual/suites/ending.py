"""What the kinds that read their results at the end do there: look at the nodes, tell, sum up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from osqual.effects.scope import RunScope
from osqual.events import EventKind
from osqual.model import SuiteResult, TestResult
from osqual.suites.base import SuiteRequest
from osqual.suites.job import Probe, any_failed


class Ended(Protocol):
    """A suite's process that is over."""

    @property
    def exit_status(self) -> int | None:
        """None when it was lost."""

    @property
    def duration_s(self) -> float:
        """From its start to its end."""


def sum_up(
    request: SuiteRequest,
    end: Ended,
    results: Sequence[TestResult],
    problem: str,
    artefacts: Sequence[Path],
    *,
    left_out: tuple[str, ...] = (),
    probe: Probe,
    scope: RunScope,
) -> SuiteResult:
    """The suite's result, with each test told; `artefacts` that are not there are left out.

    A failed test counts only when the nodes are still there: else the failure is theirs.
    """
    if not problem and any_failed(results):
        problem = probe(request.cluster, scope)
    for result in results:
        tell(result, scope)
    return SuiteResult(
        suite=request.suite.name,
        results=tuple(results),
        exit_status=end.exit_status,
        duration_s=end.duration_s,
        problem=problem,
        left_out=left_out,
        artefacts=tuple(path for path in artefacts if path.exists()),
    )


def tell(result: TestResult, scope: RunScope) -> None:
    """Say how a test ended."""
    scope.emit(
        EventKind.TEST,
        result.message.partition("\n")[0],
        suite=result.suite,
        test_id=result.test_id,
        outcome=result.outcome.value,
        duration_s=result.duration_s,
    )
