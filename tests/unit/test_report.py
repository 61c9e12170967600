"""A run's report in each format, and progress for programs: what of hostile output is seen."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from osqual.cli.main import main
from osqual.events import Event, EventKind
from osqual.model import Outcome, SuiteResult, TestResult
from osqual.operations.prospects import Prospect
from osqual.operations.side_by_side import Ended
from osqual.report.console import ConsoleRenderer
from osqual.report.json_lines import JsonLines, Messages
from osqual.report.plain import excerpt, plain_line, plain_text
from osqual.report.render import render_html, render_junit, render_markdown
from osqual.report.run_report import RunReport, read_report
from osqual.report.runs import run_document
from osqual.report.time_left import TimeLeft
from osqual.suites.junit import parse_junit
from tests.unit.test_workflow import World

HOSTILE = "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202eevil\u202c ``` | [x](y) @all"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    """A run that was rejected: its failing test has a hostile name and a long, hostile output."""
    world.suites.failing = {"integration"}
    result = world.run()
    failed = TestResult(
        suite="integration",
        test_id=HOSTILE,
        outcome=Outcome.FAIL,
        message=HOSTILE,
        details=f"{HOSTILE}\n" * 6_000,
    )
    flaky = TestResult(suite="integration", test_id="test_flaky", outcome=Outcome.FLAKY)
    muted = TestResult(suite="integration", test_id="test_muted", outcome=Outcome.MUTED)
    world.store.record_suite(
        result.run_id, SuiteResult(suite="integration", results=(failed, flaky, muted))
    )
    console = result.directory / "nodes" / "master-1" / "console.log"
    console.parent.mkdir(parents=True)
    console.write_text("booting\n" * 9_000 + f"panic {HOSTILE}\n")
    return run_document(world.store, world.store.run(result.run_id))


class Tags(HTMLParser):
    """Which elements a page has, and what refers to something elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [f"{name}={value}" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_the_html_report_is_one_file_in_which_nothing_of_a_test_acts(
    document: dict[str, Any],
) -> None:
    page = render_html(read_report(document))
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.seen
    assert not tags.links
    assert "default-src 'none'" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    assert "characters before this are left out" in page
    assert "panic" in page
    assert len(page) < 400_000


def test_the_markdown_report_mentions_nobody_and_ends_no_block_early(
    document: dict[str, Any],
) -> None:
    text = render_markdown(read_report(document))
    outside = re.sub(r"^(`{3,})\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "rejected" in outside
    assert "<script" not in outside
    assert "@all" not in outside
    assert outside.count("<details>") == outside.count("</details>") == 1
    table = [line for line in outside.splitlines() if line.startswith("|")]
    assert len({len(re.split(r"(?<!\\)\|", line)) for line in table[:8]}) == 1


def test_the_junit_report_reads_back_with_the_same_outcomes(document: dict[str, Any]) -> None:
    found = parse_junit(render_junit(read_report(document)).encode(), "any")
    assert not found.problem
    outcomes = {result.test_id.rpartition("::")[2]: result.outcome for result in found.results}
    assert outcomes["test_flaky"] is Outcome.FLAKY
    assert outcomes["test_muted"] is Outcome.SKIP
    assert list(outcomes.values()).count(Outcome.FAIL) == 2


@pytest.mark.parametrize("state", ["inconclusive", "running", "died", "rejected"])
def test_a_junit_report_is_green_for_a_qualified_run_only(world: World, state: str) -> None:
    world.run()
    report = read_report(run_document(world.store, world.store.run("latest")))
    assert verdict_of(report) is Outcome.PASS
    assert verdict_of(replace(report, state=state)) in (Outcome.FAIL, Outcome.ERROR)


def verdict_of(report: RunReport) -> Outcome:
    found = parse_junit(render_junit(report).encode(), "any")
    return next(item.outcome for item in found.results if item.test_id.startswith("osqual::"))


@pytest.mark.parametrize("form", ["text", "markdown", "html", "json", "junit"])
def test_the_command_prints_each_format(
    world: World,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = world.run()
    monkeypatch.chdir(world.root / "catalogue")
    for name in ("state", "cache", "data"):
        monkeypatch.setenv(f"OSQUAL_{name.upper()}_DIR", str(world.root / name))
    with pytest.raises(SystemExit) as ended:
        main(["report", "latest", "--format", form])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert result.configuration in printed
    assert "qualified" in printed
    target = world.root / "report"
    with pytest.raises(SystemExit):
        main(["report", result.run_id, "--format", form, "--output", str(target)])
    assert target.read_text() == printed


@pytest.mark.parametrize("wish", ["", "1"])
def test_no_colour_is_printed_where_that_is_wished(world: World, wish: str) -> None:
    terminal, ours = pty.openpty()
    environ = {**os.environ, "OSQUAL_STATE_DIR": str(world.root / "state"), "NO_COLOR": wish}
    argv = [sys.executable, "-m", "osqual", "report", "nothing"]
    subprocess.run(argv, env=environ, stderr=ours, check=False)
    os.close(ours)
    said = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "No run matches" in said
    assert ("\x1b" in said) is not bool(wish)


def test_json_lines_hold_events_and_everything_else_that_is_said() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream)
    prospect = Prospect(configuration="a/b", start=lambda engine, claims: pytest.fail("starts"))
    lines.waits(prospect, "no memory")
    event = Event(kind=EventKind.TEST, run_id="r", time=1.0, data={"outcome": "pass"})
    lines.begins(prospect)(event)
    Console(file=Messages(lines), width=10_000).print("[yellow]stopping[/] now")
    lines.ends(Ended(configuration="a/b", error=ValueError("x")))
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [item["kind"] for item in found] == ["waits", "test", "message", "ended"]
    assert found[2]["message"] == "stopping now"
    assert found[3]["exit_code"] == 3


def test_a_terminal_is_told_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # one that can move its cursor
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    time_left = TimeLeft(steps_s={"build": 60.0, "provision": 30.0, "install": 30.0})
    with ConsoleRenderer(console, clock=lambda: 100.0, time_left=time_left) as renderer:
        ended = Event(kind=EventKind.STEP_ENDED, run_id="r", time=100.0, step="build")
        renderer(ended)
        renderer(Event(kind=EventKind.STEP_STARTED, run_id="r", time=100.0, step="provision"))
        console.status("x").stop()
        assert time_left.words(110.0) == "about 50 s left"
    assert "about 1 min 00 s left" in stream.getvalue()


@given(st.text())
def test_plain_text_never_holds_what_acts_on_its_reader(text: str) -> None:
    plain = plain_text(text)
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", plain
    )
    assert "\n" not in plain_line(text)
    assert len(plain_line(text, 20)) <= 20


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_an_excerpt_is_the_end_of_a_text(text: str, limit: int) -> None:
    kept = excerpt(text, limit)
    assert kept == text or (kept.startswith("… ") and text.endswith(kept.partition("\n")[2]))
