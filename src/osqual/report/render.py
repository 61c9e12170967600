"""A run's report as Markdown, as one HTML file, and as JUnit XML."""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from junitparser import Error, Failure, Skipped, xunit2
from junitparser.junitparser import FinalResult
from markupsafe import Markup

from osqual.report.run_report import RunReport, TestLine

SIGNS = {
    "qualified": "✓",
    "rejected": "✗",
    "inconclusive": "?",
    "done": "✓",
    "failed": "✗",
    "skipped": "–",
    "pass": "✓",
    "fail": "✗",
    "error": "✗",
    "flaky": "≈",
    "muted": "∅",
    "skip": "–",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#|!~&@])")


def render_html(report: RunReport) -> str:
    """One self-contained page: no script, no request, and a policy that allows neither."""
    css = files("osqual.report").joinpath("templates/run.css").read_text()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    template = _environment(escape_html=True).get_template("run.html.jinja")
    return template.render(report=report, css=Markup(css), css_digest=digest)  # noqa: S704 - ours


def render_markdown(report: RunReport) -> str:
    """For comments and job summaries: what decides first, the rest folded."""
    return _environment(escape_html=False).get_template("run.md.jinja").render(report=report)


def render_junit(report: RunReport) -> str:
    """Every result, and one case for the verdict: nothing but `qualified` passes it."""
    document = xunit2.JUnitXml("osqual")
    verdict = _suite("osqual verdict")
    verdict.add_testcase(_verdict_case(report))
    document.add_testsuite(verdict)
    for suite in report.suites:
        element = _suite(suite.name)
        for test in suite.tests:
            element.add_testcase(_case(test))
        if suite.problem:
            broken = xunit2.TestCase("the suite as a whole", suite.name)
            broken.result = [Error(suite.problem)]
            element.add_testcase(broken)
        document.add_testsuite(element)
    document.update_statistics()  # type: ignore[no-untyped-call]
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return text.decode()


def _suite(name: str) -> xunit2.TestSuite:
    return xunit2.TestSuite(name)  # type: ignore[no-untyped-call]


def _verdict_case(report: RunReport) -> xunit2.TestCase:
    case = xunit2.TestCase(report.configuration, "osqual")
    text = "\n".join(report.reasons)
    case.system_out = f"{report.state}\n{text}"
    if report.state == "rejected":
        case.result = [Failure(text)]
    elif report.state != "qualified":
        case.result = [Error(text or report.state)]
    return case


def _case(test: TestLine) -> xunit2.TestCase:
    case = xunit2.TestCase(test.name, test.suite, test.seconds)
    kinds: Mapping[str, type[FinalResult]] = {
        "fail": Failure,
        "error": Error,
        "skip": Skipped,
        "muted": Skipped,
    }
    if test.outcome == "flaky":
        flaky = xunit2.FlakyFailure(test.message)
        flaky.text = test.details
        case.add_interim_result(flaky)
    elif kind := kinds.get(test.outcome):
        said = f"muted: {test.message}" if test.outcome == "muted" else test.message
        result = kind(said)
        result.text = test.details
        case.result = [result]
    return case


@cache
def _environment(*, escape_html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("osqual.report"),
        autoescape=escape_html,  # noqa: S701 - off for Markdown, which has filters of its own
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": _escape_markdown, "fenced": _fenced, "cell": _cell}
    environment.globals["signs"] = SIGNS
    return environment


def _escape_markdown(text: str) -> str:
    """Text that Markdown takes for nothing else, and that mentions nobody."""
    return _MARKDOWN.sub(r"\\\1", text).replace("\\<", "&lt;").replace("\\@", "@\u2060")


def _cell(text: str) -> str:
    """The same within a table: on one line."""
    return _escape_markdown(" ".join(text.split()))


def _fenced(text: str) -> str:
    """A block of code that the text in it cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
