"""TAP: what counts, and what is not to be believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.suites.tap import is_tap, parse_tap

WHOLE = """\
TAP version 13
1..6
ok 1 - the node is ready
not ok 2 - the address answers
  ---
  message: 'connection refused'
  ...
# retried 3 times
ok 3 # SKIP no IPv6
not ok 4 - later # TODO not written
ok 5 with \\# in its name
    ok 1 - a subtest
    1..1
ok 6 - the node is ready
"""


def outcomes(text: str) -> dict[str, str]:
    return {result.test_id: result.outcome.value for result in parse_tap(text, "s").results}


def test_outcomes() -> None:
    found = parse_tap(WHOLE, "s")
    assert found.problem == ""
    assert outcomes(WHOLE) == {
        "the node is ready": "pass",
        "the address answers": "fail",
        "3": "skip",
        "later": "skip",
        "with # in its name": "pass",
        "the node is ready (6)": "pass",
    }
    failed = found.results[1]
    assert failed.message == "not ok 2 the address answers"
    assert "connection refused" in failed.details
    assert "retried 3 times" in failed.details
    assert found.results[2].message == "no IPv6"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1..3\nok 1\nok 2\n", "plans 3 tests and holds 2"),
        ("1..1\nok 1\nok 2\n", "plans 1 tests and holds 2"),
        ("TAP version 13\nok 1\n", "no plan"),
        ("1..2\nok 1\nok 1\n", "the test 1 twice"),
        ("1..2\nok 1\nok 7\n", "beyond the 2"),
        ("1..2\nok 1\nBail out! no disk\n", "it bailed out: no disk"),
        ("1..1\nok 1\n1..1\n", "more than one plan"),
        ("1..0\n", "holds no test"),
    ],
)
def test_what_is_not_believed(text: str, problem: str) -> None:
    assert problem in parse_tap(text, "s").problem


def test_a_plan_at_the_end_and_a_plan_of_nothing() -> None:
    assert parse_tap("TAP version 14\nok\nok\n1..2\n", "s").problem == ""
    found = parse_tap("1..0 # SKIP no docker here\n", "s")
    assert (found.problem, [r.outcome.value for r in found.results]) == ("", ["skip"])


@pytest.mark.parametrize(
    ("text", "tap"),
    [("TAP version 13\n", True), ("\n1..4\n", True), ("ok then\n1..2\n", False), ("", False)],
)
def test_what_is_tap(text: str, tap: bool) -> None:
    assert is_tap(text) is tap


LINES = st.sampled_from(
    [
        "1..2",
        "ok 1",
        "not ok 2 - x",
        "Bail out!",
        "# c",
        "    ok 1",
        "TAP version 13",
        "ok 2 # TODO",
    ]
)


@given(st.lists(st.one_of(LINES, st.text()), max_size=12))
def test_every_text_is_read_or_is_a_problem(lines: list[str]) -> None:
    found = parse_tap("\n".join(lines), "s")
    if any(line.startswith("not ok") and "#" not in line for line in "\n".join(lines).splitlines()):
        assert found.problem or any(r.outcome.value == "fail" for r in found.results)
