"""The table of faults: parts that were tried side by side are one line of it."""

import json

import pytest

from tests.fault_table import PAGE, read_report, with_rows

PARTS = [
    {"fault": "kill", "tried": 3, "verdicts": {"never begun": 1, "qualified": 2}, "wrong": 0},
    {"fault": "cut", "tried": 2, "verdicts": {"inconclusive": 2}, "wrong": 1},
    {"fault": "kill", "tried": 2, "verdicts": {"qualified": 2}, "wrong": 0},
]


def test_parts_are_put_together_in_the_page() -> None:
    page = with_rows(PAGE.read_text(), read_report(json.dumps(part) for part in PARTS))
    rows = [line for line in page.splitlines() if line.startswith(("| kill ", "| cut "))]
    assert rows == [
        "| cut | 2 | 2 inconclusive | 1 |",
        "| kill | 5 | 4 qualified, 1 never begun | 0 |",
    ]
    assert page.count("kill -9") < PAGE.read_text().count("kill -9"), "the old rows are gone"
    assert "| the terminal is closed |" in page, "other tables stay"


def test_a_page_without_the_table_is_refused() -> None:
    with pytest.raises(SystemExit, match="no table of faults"):
        with_rows("# Durability\n", read_report([]))
