"""Reports as real runners write them, and some that no runner should: tests/fixtures/junit."""

from pathlib import Path

import pytest
import yaml

from osqual.suites.junit import read_junit

ZOO = Path(__file__).parents[1] / "fixtures" / "junit"
CASES = yaml.safe_load((ZOO / "zoo.yaml").read_text())


def test_every_report_of_the_zoo_has_its_expectation() -> None:
    assert {path.name for path in ZOO.glob("*.xml")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_zoo(name: str) -> None:
    found = read_junit(ZOO / name, "s")
    expected = CASES[name]
    if isinstance(expected, str):
        assert expected in found.problem
        return
    assert found.problem == ""
    read = {
        result.test_id: result.outcome.value
        + (f" {result.failures}/{result.attempts}" if result.attempts > 1 else "")
        for result in found.results
    }
    assert read == expected


def test_what_a_test_printed_and_noted_is_among_its_details() -> None:
    results = read_junit(ZOO / "pytest.xml", "s").results
    failed = next(result for result in results if result.outcome.value == "fail")
    assert failed.details.endswith("--- system-out\nGET /\n--- system-err\nretrying")
    results = read_junit(ZOO / "surefire-reruns.xml", "s").results
    flaky = next(result for result in results if result.outcome.value == "flaky")
    assert flaky.message == "expected: <200> but was: <503>"
    assert "VipTest.java:21" in flaky.details
    assert "first try" in flaky.details


def test_a_long_time_with_commas_is_read() -> None:
    results = read_junit(ZOO / "pytest.xml", "s").results
    assert results[-1].duration_s == 1000.5
