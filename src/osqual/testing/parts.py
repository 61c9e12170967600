"""Running a suite, or a part of it, once by its kind, on the cluster that a context has."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from osqual.evidence import evidence_files
from osqual.model import Outcome, Selection, Shard, Suite, SuiteResult, TestResult
from osqual.results.signature import signature_of
from osqual.run.context import RunContext, need
from osqual.secrecy import Secrecy
from osqual.suites.base import SuiteRequest

FAILURES = (Outcome.FAIL, Outcome.ERROR)


def run_once(
    suite: Suite, selection: Selection, part: str, context: RunContext, shard: Shard | None = None
) -> SuiteResult:
    """A suite, a shard of it, or some tests on their own, each under its own name."""
    request = request_for(suite, selection, part, context, shard)
    request.directory.mkdir(parents=True, exist_ok=True)
    limited = context.scope.limited(suite.timeout_s, f"the suite {suite.name}")
    result = context.parts.suite_kinds[suite.kind].run(request, limited)
    # Before anything is read again, signed or recorded by its digest.
    context.scope.secrecy.clean_files(evidence_files(request.directory))
    return with_signatures(clean(result, context.scope.secrecy))


def request_for(
    suite: Suite, selection: Selection, part: str, context: RunContext, shard: Shard | None = None
) -> SuiteRequest:
    """What the suite's kind is told, of the context's cluster."""
    name = f"shard-{shard.number}" if shard else part
    return SuiteRequest(
        suite=replace(suite, environment={**suite.environment, **told(suite, shard)}),
        configuration=context.configuration,
        cluster=need(context.cluster),
        selection=selection,
        directory=suite_directory(suite, name, context),
        part=name,
        shard=shard,
        on_failure=context.on_failure,
    )


def clean(suite: SuiteResult, hide: Secrecy) -> SuiteResult:
    """The suite without secrets in what its tests said."""
    return replace(
        suite,
        results=tuple(
            replace(
                result,
                test_id=hide(result.test_id),
                message=hide(result.message),
                details=hide(result.details),
            )
            for result in suite.results
        ),
        problem=hide(suite.problem),
        remarks=tuple(map(hide, suite.remarks)),
    )


def suite_directory(suite: Suite, part: str, context: RunContext) -> Path:
    """Where a suite, or a part of it, leaves what it has to show: in the run's own directory."""
    return context.run_directory / "suites" / suite.name / part


def told(suite: Suite, shard: Shard | None) -> dict[str, str]:
    """Parameters and shard, as environment variables."""
    values = {
        f"OSQUAL_PARAMETER_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in suite.parameters.items()
    }
    if shard is not None:
        values |= {"OSQUAL_SHARD": str(shard.number), "OSQUAL_SHARDS": str(shard.of)}
    return values


def merged(name: str, parts: Sequence[SuiteResult]) -> SuiteResult:
    """The shards of a suite as one result; a problem of one is a problem of all."""
    problems = [f"part {n}: {part.problem}" for n, part in enumerate(parts, 1) if part.problem]
    ran = [part for part in parts if not part.skipped]
    statuses = [part.exit_status for part in ran]
    return SuiteResult(
        suite=name,
        results=tuple(result for part in parts for result in part.results),
        exit_status=None if None in statuses else max((s for s in statuses if s), default=0),
        duration_s=max((part.duration_s for part in parts), default=0.0),
        problem="; ".join(problems),
        skipped="" if ran or not parts else parts[0].skipped,
        artefacts=tuple(path for part in parts for path in part.artefacts),
        left_out=tuple(dict.fromkeys(test for part in parts for test in part.left_out)),
        remarks=tuple(dict.fromkeys(remark for part in parts for remark in part.remarks)),
    )


def with_signatures(suite: SuiteResult) -> SuiteResult:
    """The suite with a signature for every failure."""
    return replace(suite, results=tuple(with_signature(result) for result in suite.results))


def with_signature(result: TestResult) -> TestResult:
    """The result with its signature, when it failed at least once."""
    if result.outcome not in (*FAILURES, Outcome.FLAKY):
        return result
    return replace(
        result,
        signature=signature_of(result.message, result.details),
        failures=max(1, result.failures),
    )
