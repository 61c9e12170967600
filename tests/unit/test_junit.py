"""JUnit reports: every outcome, and every way in which a report must not be believed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.model import Outcome
from osqual.suites import junit
from osqual.suites.junit import JunitReport, parse_junit, read_junit


def report(*cases: str, attributes: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?><testsuites><testsuite name="s" {attributes}>{"".join(cases)}'
        "</testsuite></testsuites>"
    ).encode()


def case(inside: str = "", attributes: str = 'classname="c" name="t" time="1.5"') -> str:
    return f"<testcase {attributes}>{inside}</testcase>"


def parse(*cases: str, attributes: str = "") -> JunitReport:
    return parse_junit(report(*cases, attributes=attributes), "integration")


@pytest.mark.parametrize(
    ("inside", "outcome"),
    [
        ("", Outcome.PASS),
        ("<system-out>noise</system-out>", Outcome.PASS),
        ('<failure message="m">d</failure>', Outcome.FAIL),
        ('<error message="m">d</error>', Outcome.ERROR),
        ('<failure message="m"/><error message="m"/>', Outcome.ERROR),
        ('<skipped message="m"/>', Outcome.SKIP),
        ('<flakyFailure message="m"/>', Outcome.FLAKY),
        ('<flakyError message="m"/>', Outcome.FLAKY),
        ('<failure message="m"/><rerunFailure message="again"/>', Outcome.FAIL),
        ('<rerunFailure message="m"/>', Outcome.FAIL),
        ('<rerunError message="m"/>', Outcome.FAIL),
    ],
)
def test_outcomes(inside: str, outcome: Outcome) -> None:
    found = parse(case(inside))
    assert found.problem == ""
    (result,) = found.results
    assert (result.outcome, result.test_id, result.suite) == (outcome, "c::t", "integration")
    assert result.duration_s == 1.5


@pytest.mark.parametrize("mark", ['status="notrun"', 'status="run" result="suppressed"'])
def test_a_case_that_was_listed_but_not_run_is_no_pass(mark: str) -> None:
    (result,) = parse(case("", f'name="t" {mark}')).results
    assert result.outcome is Outcome.SKIP


def test_message_and_details_are_kept_and_cannot_drive_a_terminal() -> None:
    (result,) = parse(case('<failure message="a&#133;b">line 1\nline 2</failure>')).results
    assert result.message == "a\ufffdb"
    assert result.details == "line 1\nline 2"


def test_long_details_keep_their_end() -> None:
    (result,) = parse(case(f"<failure>{'x' * 50_000}the end</failure>")).results
    assert len(result.details) == junit.MAX_DETAILS_CHARS + 1
    assert result.details.endswith("the end")


def test_the_runner_may_name_the_test_better() -> None:
    inside = (
        f'<properties><property name="{junit.TEST_ID_PROPERTY}" value="test_a.py::test_b[1]"/>'
        "</properties>"
    )
    (result,) = parse(case(inside)).results
    assert result.test_id == "test_a.py::test_b[1]"
    assert result.outcome is Outcome.PASS


def test_a_test_listed_twice_counts_once_with_the_worse_outcome() -> None:
    (result,) = parse(case("<failure/>"), case()).results
    assert result.outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "data",
    [
        b'<testsuite name="s"><testcase name="t"/></testsuite>',
        b'<testsuites><testcase name="t"/></testsuites>',
        b'<testsuites><testsuite><testsuite><testcase name="t"/>'
        b"</testsuite></testsuite></testsuites>",
        '<?xml version="1.0" encoding="utf-16"?><testsuite><testcase name="t"/></testsuite>'.encode(
            "utf-16"
        ),
    ],
)
def test_shapes_of_a_report(data: bytes) -> None:
    found = parse_junit(data, "s")
    assert found.problem == ""
    assert [result.test_id for result in found.results] == ["t"]


WHOLE = report(case(), case("<failure>details</failure>", 'classname="c" name="u"'))

HOSTILE = {
    "laughs": b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><testsuite><testcase name="t">'
    b"&b;</testcase></testsuite>",
    "external": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite>'
    b'<testcase name="t"><failure>&a;</failure></testcase></testsuite>',
    "doctype": b'<!DOCTYPE testsuite><testsuite><testcase name="t"/></testsuite>',
    "deep": b"<testsuite>" * 5000 + b'<testcase name="t"/>' + b"</testsuite>" * 5000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused(name: str) -> None:
    found = parse_junit(HOSTILE[name], "s")
    assert "refused" in found.problem
    assert found.results == ()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"<html><body/></html>", "not JUnit"),
        (b"PASS", "well-formed"),
        (b"\xff\xfe\x00garbage", "well-formed"),
        (b'<?xml version="1.0" encoding="nonsense"?><testsuite/>', "well-formed"),
        (report(), "no test"),
        (b"<testsuites/>", "no test"),
        (report(case(), attributes='tests="3"'), "announces 3 tests and lists 1"),
        (report(case(), attributes='failures="1"'), "announces 1 failures and lists 0"),
        (report(case("<failed/>")), "<failed>"),
        (b'<testsuite xmlns="urn:x"><testcase name="t"/></testsuite>', "not JUnit"),
    ],
)
def test_reports_that_cannot_be_believed(data: bytes, problem: str) -> None:
    assert problem in parse_junit(data, "s").problem


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    assert read_junit(tmp_path / "none.xml", "s").problem == "it left no report"
    assert "cannot be read" in read_junit(tmp_path, "s").problem


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.xml"
    with path.open("wb") as stream:
        stream.truncate(junit.MAX_BYTES + 1)
    assert "larger" in read_junit(path, "s").problem


@given(st.integers(min_value=0, max_value=len(WHOLE) - 1))
def test_a_report_cut_at_any_byte_is_a_problem(length: int) -> None:
    assert parse_junit(WHOLE[:length], "s").problem


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_give_a_report_or_a_problem(data: bytes) -> None:
    found = parse_junit(data, "s")
    assert found.problem or found.results
