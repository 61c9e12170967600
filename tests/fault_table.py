"""The table of faults in docs/explanation/durability.md, made from what the tests report of them.

    python -m tests.fault_table REPORT

`tests/integration/faults/test_boundaries.py` writes the report; `script/faults` calls both.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "durability.md"
HEAD = "| fault | boundaries tried | verdicts | anything left, or wrong |\n|---|---|---|---|\n"
_ROWS = re.compile(rf"(?<={re.escape(HEAD)})(?:\|.*\n)+")


@dataclass
class Tried:
    """One fault, put together from the parts that were tried side by side."""

    tried: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    wrong: int = 0

    def row(self, fault: str) -> str:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.most_common())
        return f"| {fault} | {self.tried} | {verdicts} | {self.wrong} |\n"


def read_report(lines: Iterable[str]) -> dict[str, Tried]:
    """What was tried, by fault, in the order in which faults are first met."""
    found: dict[str, Tried] = {}
    for line in lines:
        part = json.loads(line)
        fault = found.setdefault(part["fault"], Tried())
        fault.tried += part["tried"]
        fault.verdicts.update(part["verdicts"])
        fault.wrong += part["wrong"]
    return found


def with_rows(page: str, found: dict[str, Tried]) -> str:
    """The page with other rows in its table of faults."""
    rows = "".join(found[fault].row(fault) for fault in sorted(found))
    text, count = _ROWS.subn(lambda _: rows, page)
    if count != 1:
        raise SystemExit(f"{PAGE}: there is no table of faults")
    return text


if __name__ == "__main__":
    report = Path(sys.argv[1]).read_text().splitlines()
    PAGE.write_text(with_rows(PAGE.read_text(), read_report(report)))
