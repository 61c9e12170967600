"""TAP (versions 12 to 14), as programs print it: results, and why it cannot be believed.

What is printed between the lines of the protocol is the test's own and is kept as its details.
"""

import re
from dataclasses import dataclass, field, replace

from osqual.model import Outcome, TestResult
from osqual.suites.junit import MAX_DETAILS_CHARS, MAX_MESSAGE_CHARS, JunitReport, clean_text

_PLAN = re.compile(r"^1\.\.(\d{1,9})(?:\s*#\s*(?P<directive>skip\S*)?\s*(?P<why>.*))?\s*$", re.I)
_TEST = re.compile(r"^(?P<not>not )?ok\b[ \t]*(?P<number>\d{1,9})?[ \t]*(?:- )?(?P<rest>.*)$")
_DIRECTIVE = re.compile(r"(?<!\\)#\s*(?P<name>todo|skip)\S*\s*(?P<why>.*)$", re.I)
_VERSION = re.compile(r"^TAP version \d+\s*$")
_SUBTEST = re.compile(r"^ {4,}|^\t")
_BAIL_OUT = "Bail out!"


def is_tap(text: str) -> bool:
    """Whether an output begins as TAP: with its version or with a plan."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return bool(_VERSION.match(first) or _PLAN.match(first))


def parse_tap(text: str, suite: str) -> JunitReport:
    """The results of an output; anything that leaves a doubt is a problem."""
    found = _Stream(suite=suite)
    for line in text.splitlines():
        found.take(line)
    return JunitReport(results=tuple(found.results.values()), problem=found.problem())


@dataclass(kw_only=True)
class _Stream:
    suite: str
    results: dict[str, TestResult] = field(default_factory=dict)
    planned: int | None = None
    seen: int = 0
    numbers: set[int] = field(default_factory=set)
    bailed_out: str | None = None
    doubt: str = ""

    def take(self, line: str) -> None:
        if line.startswith(_BAIL_OUT):
            self.bailed_out = clean_text(line.removeprefix(_BAIL_OUT), MAX_MESSAGE_CHARS)
        elif plan := _PLAN.match(line):
            self._take_plan(int(plan[1]), plan["directive"])
        elif test := _TEST.match(line):
            self._take_test(test)
        elif self.results and not _VERSION.match(line) and not _SUBTEST.match(line):
            self._add_details(line)
        elif self.results:
            self._add_details(line.strip())

    def _take_plan(self, number: int, directive: str | None) -> None:
        if self.planned is not None:
            self.doubt = "its TAP holds more than one plan"
        self.planned = number
        if number == 0 and directive:
            test = TestResult(suite=self.suite, test_id=self.suite, outcome=Outcome.SKIP)
            self.results[self.suite] = test

    def _take_test(self, test: re.Match[str]) -> None:
        self.seen += 1
        number = int(test["number"] or self.seen)
        if number in self.numbers:
            self.doubt = f"its TAP holds the test {number} twice"
        self.numbers.add(number)
        directive = _DIRECTIVE.search(test["rest"])
        name = test["rest"][: directive.start()] if directive else test["rest"]
        name = " ".join(clean_text(name.replace("\\#", "#"), 500).split()) or str(number)
        if name in self.results:
            name = f"{name} ({number})"
        failed = bool(test["not"])
        outcome = Outcome.FAIL if failed else Outcome.PASS
        message = "" if not failed else f"not ok {number} {name}"
        if directive:  # a `todo` that fails is expected to; neither counts as passed
            outcome, message = Outcome.SKIP, clean_text(directive["why"], MAX_MESSAGE_CHARS)
        self.results[name] = TestResult(
            suite=self.suite, test_id=name, outcome=outcome, message=message
        )

    def _add_details(self, line: str) -> None:
        """A comment or a diagnostic belongs to the test before it."""
        name = next(reversed(self.results))
        result = self.results[name]
        if result.outcome is Outcome.FAIL and len(result.details) < MAX_DETAILS_CHARS:
            details = clean_text(f"{result.details}\n{line}", MAX_DETAILS_CHARS)
            self.results[name] = replace(result, details=details)

    def problem(self) -> str:
        if self.bailed_out is not None:
            return f"it bailed out: {self.bailed_out or 'without a reason'}"
        if self.doubt:
            return self.doubt
        if self.planned is None:
            return "its TAP has no plan, so nobody knows whether it is whole"
        if self.planned != self.seen:
            return f"its TAP plans {self.planned} tests and holds {self.seen}"
        if any(number > self.planned for number in self.numbers):
            return f"its TAP holds a test beyond the {self.planned} that it plans"
        return "" if self.results else "its TAP holds no test"
