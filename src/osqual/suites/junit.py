"""JUnit XML of any suite to test results; a report that cannot be believed is a problem.

Reports come from the product's tests and are not trusted: no DTD, bounded size and depth, and
whatever is not understood is never read as a pass.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xml.parsers import expat

from junitparser import Error, Failure, JUnitXmlError, Skipped, xunit2
from junitparser.junitparser import Result

from osqual.model import Outcome, TestResult

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 60
MAX_MESSAGE_CHARS = 2_000
MAX_DETAILS_CHARS = 20_000

TEST_ID_PROPERTY = "osqual.test_id"
"""A `<property>` of a test case that holds its id, where the runner has a better one than JUnit."""

# Attribute values by which runners mark a case that they listed and did not run (GoogleTest:
# status="notrun", result="suppressed"); such a case has no child element and looks like a pass.
_NOT_RUN = frozenset({"notrun", "disabled", "skipped", "suppressed", "ignored", "pending"})
# And those by which they mark one that went wrong, beside the child element that must say so
# (Ginkgo: status="panicked"); without that element the mark alone is believed.
_WENT_WRONG = frozenset(
    {"failed", "failure", "error", "broken", "timedout", "panicked", "interrupted", "aborted"}
)
# What may stand inside a test case without saying anything about its outcome.
_NEUTRAL = frozenset({"properties", "property", "system-out", "system-err", "stackTrace"})
_INTERIM = frozenset({"rerunFailure", "rerunError", "flakyFailure", "flakyError"})
_KNOWN = _NEUTRAL | _INTERIM | {"failure", "error", "skipped"}
# Worst first: when one id is reported twice, the worse outcome is the one to believe.
_SEVERITY = (Outcome.ERROR, Outcome.FAIL, Outcome.FLAKY, Outcome.SKIP, Outcome.PASS)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class JunitReport:
    """What a report holds; `problem` says why it cannot be believed as a whole."""

    results: tuple[TestResult, ...] = ()
    problem: str = ""


class _Refused(Exception):
    """The document is not one that we are willing to parse."""


def read_junit(path: Path, suite: str) -> JunitReport:
    """Read a report; every way in which it can be missing, broken or hostile is a problem."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return JunitReport(problem=f"its report is larger than {MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
    except FileNotFoundError:
        return JunitReport(problem="it left no report")
    except OSError as error:
        return JunitReport(problem=f"its report cannot be read: {error.strerror}")
    return parse_junit(data, suite)


def parse_junit(data: bytes, suite: str) -> JunitReport:
    """Parse a report from memory; see `read_junit`."""
    if not data.strip():
        return JunitReport(problem="its report is empty")
    try:
        _inspect(data)
        root: Any = xunit2.JUnitXml.fromstring(data)
    except _Refused as error:
        return JunitReport(problem=f"its report was refused: {error}")
    except (expat.ExpatError, SyntaxError, ValueError, LookupError) as error:
        return JunitReport(problem=f"its report is not whole, well-formed XML: {error}")
    except JUnitXmlError:
        return JunitReport(problem="its report is not JUnit XML")
    cases: list[xunit2.TestCase] = _cases_of(root)
    results = _merge(_result(case, suite) for case in cases)
    problem = _missing_cases(root, cases) or _unknown_elements(cases)
    if not results and not problem:
        problem = "its report holds no test"
    return JunitReport(results=results, problem=problem)


def worst(first: TestResult, second: TestResult) -> TestResult:
    """Of two results of one test, the one that is harder to be content with."""
    return min(first, second, key=lambda result: _rank(result.outcome))


def clean_text(text: str, limit: int) -> str:
    """The end of a text without characters that a terminal would act on."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.strip().replace("\r\n", "\n"))
    return text if len(text) <= limit else f"…{text[-limit:]}"


def _inspect(data: bytes) -> None:
    """Walk the document without building anything: entities and deep nesting end it here."""
    depth = 0

    def doctype(*_: object) -> None:
        raise _Refused("it declares a document type, which may hold entities")

    def start(_name: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _Refused(f"its elements are nested deeper than {MAX_DEPTH}")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(data, True)


def _cases_of(root: Any) -> list[xunit2.TestCase]:
    """Every test case, the ones that stand directly below `<testsuites>` included."""
    if isinstance(root, xunit2.TestSuite):
        return list(cast("Iterable[xunit2.TestCase]", root))
    direct = list(root.iterchildren(xunit2.TestCase))
    return [*direct, *(case for group in root for case in group)]


def _missing_cases(root: Any, cases: list[xunit2.TestCase]) -> str:
    """A report whose own totals are larger than what it lists was cut, or hides something.

    Totals below the number of cases are left alone: pytest counts a test that failed twice (in
    the call and in the teardown) once and lists it twice.
    """
    groups = [root] if isinstance(root, xunit2.TestSuite) else list(root)
    found: Mapping[str, int] = {
        "tests": len(cases),
        "failures": sum(case.is_failure for case in cases),
        "errors": sum(case.is_error for case in cases),
    }
    for name, listed in found.items():
        declared = sum(_integer(group._elem.get(name)) for group in groups)
        if declared > listed:
            return f"its report announces {declared} {name} and lists {listed}"
    return ""


def _unknown_elements(cases: Iterable[xunit2.TestCase]) -> str:
    for case in cases:
        for element in case._elem:
            if isinstance(element.tag, str) and element.tag not in _KNOWN:
                return (
                    f"its report holds an element <{clean_text(element.tag, 80)}> in the test "
                    f"{_test_id(case)}, and what that says about the outcome is not known"
                )
    return ""


def _result(case: xunit2.TestCase, suite: str) -> TestResult:
    outcome, evidence = _outcome(case)
    attempts, failures = _attempts(case, outcome)
    return TestResult(
        suite=suite,
        test_id=_test_id(case),
        outcome=outcome,
        duration_s=_seconds(case._elem.get("time")),
        message=clean_text(evidence.message or "", MAX_MESSAGE_CHARS) if evidence else "",
        details=clean_text(_details(case, evidence), MAX_DETAILS_CHARS) if evidence else "",
        attempts=attempts,
        failures=failures,
    )


def _attempts(case: xunit2.TestCase, outcome: Outcome) -> tuple[int, int]:
    """How often it ran, and how often it failed: each repetition left an element."""
    again = sum(element.tag in _INTERIM for element in case._elem)
    failed = outcome in (Outcome.FAIL, Outcome.ERROR)
    last = any(element.tag in ("failure", "error") for element in case._elem)
    if failed and not last:  # only repetitions, and none of them passed
        return max(1, again), max(1, again)
    return 1 + again, again + failed


def _details(case: xunit2.TestCase, evidence: Result) -> str:
    """What the element says, then what the test printed and noted, as far as it was reported."""
    trace = evidence._elem.findtext("stackTrace")
    parts = [evidence.text or "", trace or ""]
    for name in ("system-out", "system-err"):
        inner = evidence._elem.findtext(name) or ""
        printed = "\n".join([*(e.text or "" for e in case._elem.findall(name)), inner]).strip()
        parts += [f"--- {name}\n{printed}"] if printed else []
    properties: Any = case.properties()  # type: ignore[no-untyped-call]
    noted = [f"{p.name} = {p.value}" for p in properties if p.name != TEST_ID_PROPERTY]
    parts += ["--- properties\n" + "\n".join(noted)] if noted else []
    return "\n".join(part.strip("\n") for part in parts if part.strip())


def _outcome(case: xunit2.TestCase) -> tuple[Outcome, Result | None]:
    """The outcome and the element that says so.

    `rerunFailure` stands beside a final failure; where that is missing the report contradicts
    itself and the failure is believed. `flakyFailure` is a failure that a repetition made good.
    """
    final = list(case.result)
    rerun = [*case.rerun_failures(), *case.rerun_errors()]
    flaky = [*case.flaky_failures(), *case.flaky_errors()]
    for outcome, items in (
        (Outcome.ERROR, [item for item in final if isinstance(item, Error)]),
        (Outcome.FAIL, [item for item in final if isinstance(item, Failure)]),
        (Outcome.FAIL, rerun),
        (Outcome.SKIP, [item for item in final if isinstance(item, Skipped)]),
        (Outcome.FLAKY, flaky),
    ):
        if items:
            return outcome, items[0]
    marks = {str(case._elem.get(name, "")).lower() for name in ("status", "result")}
    if marks & _WENT_WRONG:
        return Outcome.ERROR, None
    return (Outcome.SKIP if marks & _NOT_RUN else Outcome.PASS), None


def _test_id(case: xunit2.TestCase) -> str:
    properties: Any = case.properties()  # type: ignore[no-untyped-call]
    given = next((item.value for item in properties if item.name == TEST_ID_PROPERTY), None)
    parts = [part for part in (case.classname, case.name) if part]
    return " ".join(clean_text(given or "::".join(parts) or "(unnamed)", 500).split())


def _merge(results: Iterable[TestResult]) -> tuple[TestResult, ...]:
    merged: dict[str, TestResult] = {}
    for result in results:
        known = merged.get(result.test_id)
        merged[result.test_id] = result if known is None else worst(known, result)
    return tuple(merged.values())


def _rank(outcome: Outcome) -> int:
    return _SEVERITY.index(outcome) if outcome in _SEVERITY else len(_SEVERITY)


def _integer(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _seconds(text: str | None) -> float:
    try:
        value = float((text or "0").replace(",", ""))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value >= 0 else 0.0
