"""What the page of one run shows: from the store where it has the run, else from its record."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from osqual.publish.record import NodeEntry, QualificationRecord
from osqual.report.plain import plain_line, plain_text
from osqual.report.run_report import RunReport, read_report
from osqual.site.past_runs import PastRun
from osqual.site.writer import without_nothing
from osqual.store.database import Row

_QUIET = frozenset({"pass", "skip"})


def complete(run: PastRun, rows: Mapping[str, Mapping[str, list[Row]]]) -> RunReport:
    """The report of a stored run; what it tells beyond the record is put into `run`."""
    assert run.row is not None  # noqa: S101 - only stored runs are asked about
    parts = {name: found[run.run_id] for name, found in rows.items()}
    report = read_report({**run.row, "state": run.state, **parts})
    tests = report.tests
    run.step_seconds = {step.name: step.seconds for step in report.steps if step.took}
    run.totals = {name: sum(test.outcome == name for test in tests) for name in TOLD}
    run.totals = {name: count for name, count in run.totals.items() if count}
    run.marked = tuple(
        (test.suite, test.name, test.outcome, test.seconds)
        for test in tests
        if test.outcome not in _QUIET
    )
    return report


TOLD = ("pass", "fail", "error", "flaky", "muted", "skip")


def run_document(run: PastRun, report: RunReport | None) -> dict[str, Any]:
    """A run; without a report what its record tells."""
    document = {
        "id": plain_line(run.run_id),
        "configuration": run.configuration,
        "state": run.state,
        "reasons": [plain_text(reason) for reason in run.reasons],
        "started": round(run.started_at),
        "seconds": round(run.seconds),
    }
    if report is not None:
        document |= _of_report(report)
    elif run.record is not None:
        document |= _steps_of_record(run.record)
    if run.record is not None:
        document |= _of_record(run.record)
    return without_nothing(document)


def _of_report(report: RunReport) -> dict[str, Any]:
    return {
        "version": report.version,
        "images": sorted(report.images.items()),
        "steps": [asdict(step) for step in report.steps],
        "suites": [
            without_nothing(
                {
                    "name": suite.name,
                    "problem": suite.problem,
                    "skipped": suite.skipped,
                    "took": suite.took,
                    "totals": dict(suite.totals),
                    "tests": [
                        [
                            test.name,
                            test.outcome,
                            round(test.seconds, 2),
                            test.message,
                            test.details,
                        ]
                        for test in suite.tests
                    ],
                }
            )
            for suite in report.suites
        ],
        "consoles": [[console.name, console.text] for console in report.consoles],
        "left": list(report.left),
        "imageChanges": {title: list(lines) for title, lines in report.image_changes.items()},
    }


def _steps_of_record(record: QualificationRecord) -> dict[str, Any]:
    return {
        "images": sorted((plain_line(k), plain_line(v)) for k, v in record.images.items()),
        "steps": list(_time_line(record.step_seconds)),
        "suites": [
            without_nothing(
                {
                    "name": plain_line(suite.name),
                    "problem": plain_text(suite.problem or ""),
                    "skipped": plain_text(suite.skipped or ""),
                    "took": f"{suite.seconds:.0f} s",
                    "totals": dict(suite.totals),
                    "tests": [
                        [plain_line(name), outcome, 0, "", ""]
                        for outcome, names in (
                            ("fail", suite.failing),
                            ("flaky", suite.flaky),
                            ("muted", suite.muted),
                        )
                        for name in names
                    ],
                }
            )
            for suite in record.suites
        ],
    }


def _time_line(step_seconds: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """A record tells how long each step took: one after the other is how they ran."""
    whole, offset = sum(step_seconds.values()) or 1.0, 0.0
    for name, seconds in step_seconds.items():
        share = 100 * seconds / whole
        yield {
            "name": plain_line(name),
            "status": "done",
            "message": "",
            "took": f"{seconds:.1f} s",
            "seconds": seconds,
            "offset": offset,
            "share": share,
        }
        offset += share


def _of_record(record: QualificationRecord) -> dict[str, Any]:
    """What only the record tells: machines, tools, where it came from, what it cost."""
    return {
        "nodes": [_node(node) for node in record.nodes],
        "accelerator": record.accelerator or "",
        "tools": {plain_line(k): plain_line(v) for k, v in record.tools.items()},
        "commit": plain_line(record.source.commit) if record.source else "",
        "url": safe_url(record.run_url or ""),
        "cost": record.cost.usd if record.cost else None,
        "hours": record.cost.hours if record.cost else None,
        "retries": dict(record.retries or {}),
    }


def _node(node: NodeEntry) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in node.versions.items())
    return [plain_line(text) for text in (node.name, node.role, node.os, node.kernel, versions)]


def safe_url(url: str) -> str:
    """A link that a page may show: the web's, or nothing."""
    return plain_line(url, 2000) if url.startswith(("https://", "http://")) else ""
