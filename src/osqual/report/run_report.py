"""Everything that a report of one run tells, whatever its format. Texts in it are inert."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osqual.formats.times import iso
from osqual.inventory.diff import counted
from osqual.inventory.kept import kept_diff
from osqual.report.durations import duration
from osqual.report.plain import excerpt, plain_line, plain_text
from osqual.report.runs import BAD_OUTCOMES, log_files

MAX_DETAILS_CHARS = 20_000
MAX_CONSOLE_CHARS = 16_000
MAX_CONSOLES = 12
MAX_CHANGES = 200
_READ_BYTES = 4 * MAX_CONSOLE_CHARS
OUTCOMES = ("pass", "fail", "error", "flaky", "muted", "skip")


@dataclass(frozen=True, kw_only=True)
class StepLine:
    """One step on the run's time line; `offset` and `share` are parts of the whole, in percent."""

    name: str
    status: str
    message: str
    took: str
    seconds: float
    offset: float
    share: float


@dataclass(frozen=True, kw_only=True)
class TestLine:
    """One test of a suite."""

    __test__ = False  # not a pytest class

    suite: str
    name: str
    outcome: str
    seconds: float
    message: str
    details: str

    @property
    def failed(self) -> bool:
        """Whether it counts against the verdict."""
        return self.outcome in BAD_OUTCOMES


@dataclass(frozen=True, kw_only=True)
class SuiteLine:
    """One suite and its tests."""

    name: str
    problem: str
    skipped: str
    took: str
    totals: Mapping[str, int]
    tests: tuple[TestLine, ...]


@dataclass(frozen=True, kw_only=True)
class Console:
    """The end of a node's console, or of another log."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """One run for readers."""

    run_id: str
    configuration: str
    state: str
    reasons: tuple[str, ...]
    started: str
    took: str
    version: str
    images: Mapping[str, str]
    steps: tuple[StepLine, ...]
    suites: tuple[SuiteLine, ...]
    consoles: tuple[Console, ...]
    left: tuple[str, ...]
    image_changes: Mapping[str, tuple[str, ...]]
    """Against the base image, by kind; empty when that is not known."""

    @property
    def tests(self) -> tuple[TestLine, ...]:
        """Every test of every suite."""
        return tuple(test for suite in self.suites for test in suite.tests)

    @property
    def failing(self) -> tuple[TestLine, ...]:
        """The tests that count against the verdict."""
        return tuple(test for test in self.tests if test.failed)


def read_report(document: Mapping[str, Any]) -> RunReport:
    """From what `run_document` gives, and the consoles of the run directory if it is there."""
    ended = document["ended_at"]
    took = duration(ended - document["started_at"]) if ended else "not ended"
    return RunReport(
        run_id=document["id"],
        configuration=plain_line(document["configuration"]),
        state=document["state"],
        reasons=tuple(plain_text(reason) for reason in document["reasons"]),
        started=iso(document["started_at"]),
        took=took,
        version=document["version"],
        images={plain_line(k): plain_line(v) for k, v in sorted(document["image_ids"].items())},
        steps=tuple(step_lines(document["steps"])),
        suites=tuple(suite_lines(document["suites"], document["results"])),
        consoles=tuple(read_consoles(Path(document["directory"]))),
        left=tuple(
            plain_line(f"{item['kind']} {item['name']} {item['external_id'] or ''}")
            for item in document["resources"]
            if item["state"] != "ended"
        ),
        image_changes=image_changes(Path(document["directory"])),
    )


def image_changes(directory: Path) -> dict[str, tuple[str, ...]]:
    """What came, went and changed, each in a line, and no more of a kind than is worth reading."""
    diff = kept_diff(directory)
    found = {}
    for kind, changes in (diff.changes if diff else {}).items():
        lines = [plain_line(str(change)) for change in changes[:MAX_CHANGES]]
        if len(changes) > MAX_CHANGES:
            lines.append(f"… and {len(changes) - MAX_CHANGES} more")
        if lines:
            found[counted(kind, len(changes))] = tuple(lines)
    return found


def step_lines(steps: Sequence[Mapping[str, Any]]) -> Iterator[StepLine]:
    """Steps on a common time line; those that never began have no length."""
    begun = [step["started_at"] for step in steps if step["started_at"]]
    ends = [step["ended_at"] or step["started_at"] for step in steps if step["started_at"]]
    start, whole = min(begun, default=0.0), max(ends, default=0.0) - min(begun, default=0.0)
    for step in steps:
        began, ended = step["started_at"], step["ended_at"]
        seconds = ended - began if began and ended else 0.0
        yield StepLine(
            name=step["name"],
            status=step["status"],
            message=plain_line(step["message"]),
            took=f"{seconds:.1f} s" if began and ended else "",
            seconds=seconds,
            offset=100 * (began - start) / whole if began and whole else 0.0,
            share=100 * seconds / whole if whole else 0.0,
        )


def suite_lines(
    suites: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> Iterator[SuiteLine]:
    """Suites with their tests, the failed ones first."""
    for suite in suites:
        tests = [test_line(item) for item in results if item["suite"] == suite["name"]]
        tests.sort(key=lambda test: not test.failed)
        outcomes = [test.outcome for test in tests]
        yield SuiteLine(
            name=plain_line(suite["name"]),
            problem=plain_text(suite["problem"]),
            skipped=plain_text(suite["skipped"]),
            took=duration(suite["duration_s"]),
            totals={name: outcomes.count(name) for name in OUTCOMES if name in outcomes},
            tests=tuple(tests),
        )


def test_line(result: Mapping[str, Any]) -> TestLine:
    """One stored result."""
    return TestLine(
        suite=plain_line(result["suite"]),
        name=plain_line(result["test_id"]),
        outcome=result["outcome"],
        seconds=result["duration_s"],
        message=plain_text(result["message"]),
        details=excerpt(plain_text(result["details"]), MAX_DETAILS_CHARS),
    )


def read_consoles(directory: Path) -> Iterator[Console]:
    """The end of each node's console; nothing where the run directory is gone."""
    found = [path for path in log_files(directory) if path.name.startswith("console")]
    for path in found[:MAX_CONSOLES]:
        text = excerpt(plain_text(read_end(path)), MAX_CONSOLE_CHARS)
        yield Console(name=plain_line(str(path.relative_to(directory))), text=text)


def read_end(path: Path) -> str:
    """The end of a file that may be of any size, or be gone."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _READ_BYTES))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
