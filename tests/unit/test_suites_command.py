"""Suites of the kind `command`, run for real: exit status, JUnit, environment, and deaths."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.effects.scope import RunScope
from osqual.effects.sockets import remove_socket_directory
from osqual.errors import InvalidInput
from osqual.events import EventKind
from osqual.model import Cluster, Configuration, Selection, Suite, SuiteResult, Topology
from osqual.processes.process import run
from osqual.suites.base import SuiteRequest
from osqual.suites.command_suite import CommandSuite
from osqual.suites.registry import check_suites
from tests.scopes import Surroundings, make_cluster

PASSED = '<testsuite><testcase classname="c" name="a"/></testsuite>'
FAILED = '<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>'


class Bench:
    """One program, and what running it as a suite gave."""

    def __init__(self, root: Path) -> None:
        self.around = Surroundings(root / "run")
        self.path = root / "workload.sh"
        self.cluster = make_cluster(Topology(), keys=root / "key")
        self.silent = ""

    def suite(self, kind: str = "command") -> Suite:
        return Suite(
            name="framework",
            stage="framework",
            kind=kind,
            path=self.path,
            arguments=("fast",),
            environment={"FLAVOUR": "sweet"},
        )

    def probe(self, cluster: Cluster, scope: RunScope) -> str:
        return self.silent

    def run(self, script: str, keywords: tuple[str, ...] = ()) -> SuiteResult:
        self.path.write_text(f"#!/bin/sh\n{script}\n")
        self.path.chmod(0o755)
        request = SuiteRequest(
            suite=self.suite(),
            configuration=Configuration(
                root=self.path.parent, path="debian/12", dimensions={"os": "debian"}
            ),
            cluster=self.cluster,
            selection=Selection(arguments=("and loose",), keywords=keywords),
            directory=self.around.directory / "suites" / "framework",
        )
        scope = self.around.scope.limited(600, "the suite")
        return CommandSuite(probe=self.probe).run(request, scope)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    remove_socket_directory(bench.around.scope)


def outcomes(result: SuiteResult) -> dict[str, str]:
    return {item.test_id: item.outcome.value for item in result.results}


def leave(report: str) -> str:
    return f"echo '{report}' > \"$OSQUAL_JUNIT\""


def test_the_exit_status_is_the_outcome_of_a_command_without_a_report(bench: Bench) -> None:
    result = bench.run("echo working; exit 0")
    assert (outcomes(result), result.problem) == ({"framework": "pass"}, "")
    assert [event.message for event in bench.around.said(EventKind.OUTPUT)] == ["working"]
    assert [event.data["outcome"] for event in bench.around.said(EventKind.TEST)] == ["pass"]


def test_a_command_that_fails_is_shown_with_its_last_lines(bench: Bench) -> None:
    result = bench.run("echo one; echo two >&2; exit 3")
    (test,) = result.results
    assert (test.outcome.value, test.message) == ("fail", "exit status 3: two")
    assert result.problem == ""


@pytest.mark.parametrize(
    ("script", "expected", "problem"),
    [
        (leave(PASSED), {"c::a": "pass"}, ""),
        (leave(FAILED) + "; exit 1", {"a": "pass", "b": "fail"}, ""),
        (leave(FAILED), {"a": "pass", "b": "fail"}, ""),
        (leave(PASSED) + "; echo why >&2; exit 4", {"c::a": "pass"}, "exit status 4"),
        (leave(PASSED) + "; kill -9 $$", {"c::a": "pass"}, "ended by signal 9"),
        (leave(""), {}, "report is empty"),
        (leave("<testsuite/>"), {}, "holds no test"),
        (leave(FAILED[:40]), {}, "not whole"),
        ("kill -9 $$", {}, "ended by signal 9"),
    ],
)
def test_a_report_and_the_exit_status_have_to_agree(
    bench: Bench, script: str, expected: dict[str, str], problem: str
) -> None:
    result = bench.run(script)
    assert outcomes(result) == expected
    assert problem in result.problem
    assert bool(problem) == bool(result.problem)


def test_what_a_command_is_told(bench: Bench) -> None:
    result = bench.run(
        'test "$*" = "fast and loose" && test "$FLAVOUR" = sweet && test "$OSQUAL_OS" = debian &&'
        ' test "$OSQUAL_MASTER_NAMES $OSQUAL_MASTER_ADDRESSES" = "master-1 10.0.0.1" &&'
        ' test "$OSQUAL_PUBLIC_AGENT_NAMES" = public-agent-1 && test "$PWD" = "$(dirname "$0")"'
    )
    assert outcomes(result) == {"framework": "pass"}


def test_plain_ssh_understands_the_configuration(bench: Bench) -> None:
    bench.run("true")
    config = bench.around.directory / "suites" / "framework" / "ssh_config"
    shown = run(["ssh", "-F", str(config), "-G", "private-agent-1"]).stdout.splitlines()
    key = bench.cluster.identity.known_hosts
    for line in (
        "hostname 127.0.0.1",
        "port 1",
        "user root",
        "hostkeyalias private-agent-1",
        "stricthostkeychecking true",
        f"userknownhostsfile {key}",
        f"identityfile {key}",
    ):
        assert line in shown


def test_a_narrowed_run_leaves_commands_out(bench: Bench) -> None:
    result = bench.run("exit 1", keywords=("kernel",))
    assert (result.results, result.problem) == ((), "")
    assert "-k" in result.skipped


def test_nodes_that_are_silent_after_a_failure_make_it_a_problem(bench: Bench) -> None:
    bench.silent = "a machine was lost: master-1"
    assert bench.run("exit 1").problem == bench.silent


def test_the_time_limit_keeps_what_was_found(bench: Bench) -> None:
    def expire() -> None:
        while not bench.around.said(EventKind.OUTPUT):
            time.sleep(0.05)
        bench.around.clock.ahead_s = 10_000

    threading.Thread(target=expire).start()
    result = bench.run(leave(PASSED) + "; echo begun; sleep 600")
    assert "time limit" in result.problem
    assert outcomes(result) == {"c::a": "pass"}


@pytest.mark.parametrize(
    ("kind", "mode", "problem"),
    [
        ("smoke", 0o755, "unknown kind: 'smoke'"),
        ("command", 0o644, "is not executable"),
        ("command", None, "is not a file"),
    ],
)
def test_suites_that_cannot_run_are_refused_beforehand(
    bench: Bench, kind: str, mode: int | None, problem: str
) -> None:
    if mode is not None:
        bench.path.touch(mode=mode)
    with pytest.raises(InvalidInput, match=problem):
        check_suites([bench.suite(kind)])
