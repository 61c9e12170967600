"""Suites of the kind `pytest`, run for real: what they find, and every way in which they die."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from osqual.effects.scope import RunScope
from osqual.effects.sockets import remove_socket_directory
from osqual.events import EventKind
from osqual.model import (
    Cluster,
    Configuration,
    Outcome,
    Selection,
    Shard,
    Suite,
    SuiteResult,
    Topology,
)
from osqual.processes.running import process_start
from osqual.suites.base import SuiteRequest
from osqual.suites.pytest_suite import PytestSuite, join_keywords
from tests.scopes import Surroundings, make_cluster

pytestmark = pytest.mark.timeout(600)

ALL_OUTCOMES = """
import pytest

def test_pass(): pass
def test_fail(): assert 1 == 2, "one is not two"
def test_skip(): pytest.skip("no reason")
@pytest.mark.xfail
def test_xfail(): assert False
@pytest.fixture
def broken(): raise RuntimeError("no ground to stand on")
def test_error(broken): pass
@pytest.mark.parametrize("name", ["a b", "c"])
def test_parameters(name): pass
"""


class Bench:
    """A suite in a directory, and what running it gave."""

    def __init__(self, root: Path) -> None:
        self.home = root / "product tests"
        self.home.mkdir()
        self.around = Surroundings(root / "run")
        self.cluster = make_cluster(Topology())
        self.silent = ""
        self.probed = 0

    def write(self, text: str, name: str = "test_it.py") -> Path:
        path = self.home / name
        path.write_text(text)
        return path

    def probe(self, cluster: Cluster, scope: RunScope) -> str:
        self.probed += 1
        return self.silent

    def run(
        self,
        *arguments: str,
        keywords: tuple[str, ...] = (),
        path: Path | None = None,
        limit_s: float = 120,
        own: tuple[str, ...] = (),
        leave_out: tuple[str, ...] = (),
        only: tuple[str, ...] = (),
        shard: Shard | None = None,
    ) -> SuiteResult:
        request = self.request(
            *arguments,
            keywords=keywords,
            path=path,
            own=own,
            leave_out=leave_out,
            only=only,
            shard=shard,
        )
        scope = self.around.scope.limited(limit_s, "the suite")
        return PytestSuite(probe=self.probe).run(request, scope)

    def request(
        self,
        *arguments: str,
        keywords: tuple[str, ...] = (),
        path: Path | None = None,
        own: tuple[str, ...] = (),
        leave_out: tuple[str, ...] = (),
        only: tuple[str, ...] = (),
        shard: Shard | None = None,
    ) -> SuiteRequest:
        suite = Suite(
            name="integration",
            stage="integration",
            kind="pytest",
            path=path or self.home,
            arguments=own,
            environment={"FLAVOUR": "sweet"},
            parameters={"size": 3},
        )
        return SuiteRequest(
            suite=suite,
            configuration=Configuration(
                root=self.home, path="debian/12", dimensions={"os": "debian"}
            ),
            cluster=self.cluster,
            selection=Selection(
                arguments=arguments, keywords=keywords, leave_out=leave_out, only=only
            ),
            directory=self.around.directory / "suites" / "integration",
            shard=shard,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    remove_socket_directory(bench.around.scope)


def outcomes(result: SuiteResult) -> dict[str, str]:
    return {item.test_id.partition("::")[2]: item.outcome.value for item in result.results}


def test_every_outcome_is_found_and_told_as_it_happens(bench: Bench) -> None:
    bench.write(ALL_OUTCOMES)
    result = bench.run()
    assert result.problem == ""
    assert outcomes(result) == {
        "test_pass": "pass",
        "test_fail": "fail",
        "test_skip": "skip",
        "test_xfail": "skip",
        "test_error": "error",
        "test_parameters[a b]": "pass",
        "test_parameters[c]": "pass",
    }
    told = bench.around.said(EventKind.TEST)
    assert {event.data["test_id"]: event.data["outcome"] for event in told} == {
        item.test_id: item.outcome.value for item in result.results
    }
    failed = next(item for item in result.results if item.outcome is Outcome.FAIL)
    assert "one is not two" in failed.message
    assert failed.test_id == "test_it.py::test_fail"
    assert bench.probed == 1, "after a failure it is asked whether the nodes still answer"
    assert [row["state"] for row in bench.around.journal.rows if row["kind"] == "job"] == ["ended"]


def test_nothing_is_written_beside_the_tests(bench: Bench) -> None:
    bench.write("import shared\ndef test_it(): assert shared.VALUE\n")
    bench.write("VALUE = 1\n", "shared.py")
    assert bench.run().problem == ""
    assert sorted(path.name for path in bench.home.iterdir()) == ["shared.py", "test_it.py"]


def test_the_persons_own_pytest_settings_have_no_influence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    (bench.home.parent / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (bench.home.parent / "conftest.py").write_text("raise RuntimeError\n")
    bench.write("def test_it(): pass\n")
    assert outcomes(bench.run()) == {"test_it": "pass"}


def test_fixtures_give_the_cluster_and_the_configuration(bench: Bench) -> None:
    bench.write(
        "import os\n"
        "def test_it(cluster, nodes, masters, agents, machine, master, dimensions):\n"
        "    assert [node.name for node in nodes] == "
        "['master-1', 'private-agent-1', 'public-agent-1']\n"
        "    assert masters == nodes[:1] and agents == nodes[1:]\n"
        "    assert machine(nodes[1]) is machine('private-agent-1')\n"
        "    assert master is machine(masters[0])\n"
        "    assert dimensions['os'] == 'debian' and os.environ['FLAVOUR'] == 'sweet'\n"
    )
    assert outcomes(bench.run()) == {"test_it": "pass"}


def test_a_suite_can_be_one_file(bench: Bench) -> None:
    bench.write("def test_other(): pass\n", "test_other.py")
    path = bench.write("def test_it(): pass\n")
    assert outcomes(bench.run(path=path)) == {"test_it": "pass"}


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (("-k", "not test_fail and not test_error"), {"test_pass", "test_skip", "test_xfail"}),
        (("-k", "not test_fail", "-k", "not test_error and not skip"), {"test_pass", "test_xfail"}),
        (("test_it.py::test_pass",), {"test_pass"}),
        (("test_other.py",), {"test_there"}),
    ],
)
def test_arguments_choose_tests_as_tests_to_run_does(
    bench: Bench, arguments: tuple[str, ...], chosen: set[str]
) -> None:
    bench.write(ALL_OUTCOMES.partition("@pytest.mark.parametrize")[0])
    bench.write("def test_there(): pass\n", "test_other.py")
    result = bench.run(*arguments)
    assert result.problem == ""
    expected = chosen | ({"test_there"} if arguments[0] == "-k" else set())
    assert set(outcomes(result)) == expected


def test_keywords_choose_by_substring_and_add_to_the_arguments(bench: Bench) -> None:
    bench.write(ALL_OUTCOMES)
    result = bench.run("-k", "not xfail", keywords=("PASS", "test_xfail", "a b]"))
    assert set(outcomes(result)) == {"test_pass", "test_parameters[a b]"}


def test_muted_tests_are_left_out_by_their_whole_names(bench: Bench) -> None:
    bench.write(ALL_OUTCOMES + "def test_fail_otherwise(): pass\n")
    result = bench.run(leave_out=("test_it.py::test_fail", "test_parameters[c]", "test_err*"))
    assert result.problem == ""
    assert set(outcomes(result)) == {
        "test_pass", "test_skip", "test_xfail", "test_parameters[a b]", "test_fail_otherwise",
    }  # fmt: skip
    assert [test.partition("::")[2] for test in result.left_out] == [
        "test_fail", "test_error", "test_parameters[c]",
    ]  # fmt: skip


def test_a_suite_with_nothing_but_muted_tests_has_no_problem(bench: Bench) -> None:
    bench.write("def test_it(): pass\n")
    result = bench.run(leave_out=("test_it",))
    assert (result.problem, result.skipped, result.results) == ("", "", ())
    assert result.left_out == ("test_it.py::test_it",)


def test_tests_can_be_run_on_their_own(bench: Bench) -> None:
    bench.write(ALL_OUTCOMES)
    wanted = ("test_it.py::test_fail", "test_it.py::test_parameters[a b]")
    result = bench.run("-k", "not skip", only=wanted, leave_out=("test_fail",))
    assert outcomes(result) == {"test_fail": "fail", "test_parameters[a b]": "pass"}
    assert (result.problem, result.left_out) == ("", ())


def test_shards_share_the_tests(bench: Bench) -> None:
    bench.write("def test_a(): pass\ndef test_b(): pass\ndef test_c(parameters): "
                "assert parameters == {'size': 3}\n")  # fmt: skip
    assert set(outcomes(bench.run(shard=Shard(number=1, of=2)))) == {"test_a", "test_c"}


def test_a_shard_without_tests_has_no_problem(bench: Bench) -> None:
    bench.write("def test_a(): pass\n")
    result = bench.run(shard=Shard(number=2, of=2))
    assert (result.problem, result.skipped, result.results) == ("", "", ())


def test_a_test_that_is_gone_cannot_be_run_on_its_own(bench: Bench) -> None:
    bench.write("def test_it(): pass\n")
    result = bench.run(only=("test_it.py::test_it", "test_it.py::test_gone"))
    assert result.problem == "it has no such test: test_it.py::test_gone"


def test_a_suite_in_which_no_name_fits_was_not_run(bench: Bench) -> None:
    bench.write(ALL_OUTCOMES)
    result = bench.run(keywords=("kernel",))
    assert (result.problem, result.results) == ("", ())
    assert result.skipped == "none of its 7 tests has a name that contains 'kernel'"


@pytest.mark.parametrize(
    ("text", "arguments", "problem"),
    [
        ("def test_it(): pass", ("test_gone.py",), "not found: test_gone.py"),
        ("def test_it(): pass", ("test_it.py::test_gone",), "not found"),
        ("def test_it(): pass", ("--no-such-option",), "unrecognized arguments"),
        ("x = 1", (), "it has no tests to run"),
        ("def test_it(): pass", ("-k", "not test_it"), "it has no tests to run"),
        ("import no_such_module\ndef test_it(): pass", (), "No module named 'no_such_module'"),
        ("def test_it(: pass", (), "SyntaxError"),
        ("def test_it(): pass\nimport os\ndef test_die(): os._exit(0)", (), "no report"),
        ("import os\ndef test_die(): os._exit(1)", (), "no report"),
        ("import os\ndef test_die(): os._exit(77)", (), "exit status 77"),
        ("import os\ndef test_die(): os.kill(os.getpid(), 9)", (), "ended by signal 9"),
        ("import pytest\ndef test_stop(): pytest.exit('enough', 1)", (), "no such test"),
        ("import pytest\ndef test_a(): pass\ndef test_stop(): pytest.exit('', 0)", (), "to be run"),
    ],
)
def test_a_suite_that_cannot_be_believed_is_a_problem(
    bench: Bench, text: str, arguments: tuple[str, ...], problem: str
) -> None:
    bench.write(text)
    result = bench.run(*arguments)
    assert problem in result.problem


def test_a_good_report_does_not_save_a_suite_that_died(bench: Bench) -> None:
    bench.write("def test_it(): pass\n")
    bench.write(
        "import os, pytest\n"
        "@pytest.hookimpl(trylast=True)\n"
        "def pytest_unconfigure(): os.kill(os.getpid(), 9)\n",
        "conftest.py",
    )
    result = bench.run()
    assert outcomes(result) == {"test_it": "pass"}
    assert result.problem == "it was ended by signal 9"


def test_the_time_limit_keeps_what_was_found(bench: Bench) -> None:
    bench.write(
        "import time\ndef test_a(): pass\ndef test_b(): assert 0\ndef test_c(): time.sleep(600)\n"
    )
    threading.Thread(target=expire_when_running, args=(bench, "test_c")).start()
    result = bench.run(limit_s=600)
    assert "its time limit passed, while test_it.py::test_c ran" in result.problem
    assert outcomes(result).items() >= {"test_a": "pass", "test_b": "fail"}.items()


def expire_when_running(bench: Bench, name: str) -> None:
    """Let the clock of the limit jump once a test runs: load must not decide this test."""
    wait_for_running(bench, name)
    bench.around.clock.ahead_s = 10_000


def wait_for_running(bench: Bench, name: str) -> None:
    progress = bench.around.directory / "suites" / "integration" / "progress.jsonl"
    while not progress.exists() or f"{name}" not in progress.read_text():
        time.sleep(0.1)


def test_an_interrupt_ends_the_suite_first_and_keeps_what_it_found(bench: Bench) -> None:
    bench.write("import time\ndef test_a(): pass\ndef test_b(): time.sleep(600)\n")

    def interrupt() -> None:
        wait_for_running(bench, "test_b")
        bench.around.cancellation.cancel()

    threading.Thread(target=interrupt).start()
    result = bench.run()
    assert outcomes(result)["test_a"] == "pass"
    assert "it was interrupted" in result.problem
    (row,) = [row for row in bench.around.journal.rows if row["kind"] == "job"]
    assert row["state"] == "ended"


def test_a_lost_machine_is_a_problem_and_not_a_failure(bench: Bench) -> None:
    bench.write("def test_it(master): master.run(['true'])\n")
    result = bench.run()
    assert "a machine could not be reached during test_it.py::test_it" in result.problem


def test_nodes_that_are_silent_after_a_failure_make_it_a_problem(bench: Bench) -> None:
    bench.write("def test_it(): assert 0\n")
    bench.silent = "a machine was lost: master-1"
    assert bench.run().problem == "a machine was lost: master-1"


def test_a_suite_that_would_start_after_the_limit_is_not_started(bench: Bench) -> None:
    bench.write("def test_it(): pass\n")
    assert "not started" in bench.run(limit_s=0).problem


def test_no_process_outlives_the_suite(bench: Bench) -> None:
    bench.write(
        "import os, subprocess, pathlib\n"
        "def test_it():\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    pathlib.Path(os.environ['OSQUAL_SUITE_REQUEST']).with_name('pid')"
        ".write_text(str(child.pid))\n"
        "    assert False\n"
    )
    bench.run()
    pid = int((bench.around.directory / "suites" / "integration" / "pid").read_text())
    give_up = time.monotonic() + 60  # it was killed; the kernel may take a moment to bury it
    while process_start(pid) is not None and time.monotonic() < give_up:
        time.sleep(0.05)
    assert process_start(pid) is None


@pytest.mark.parametrize(
    ("arguments", "keywords", "rest"),
    [
        ((), "", []),
        (("-k", "a"), "a", []),
        (("-ka", "x.py", "-k", "b or c"), "(a) and (b or c)", ["x.py"]),
        (("-k=a", "-k", " "), "a", []),
    ],
)
def test_join_keywords(arguments: tuple[str, ...], keywords: str, rest: list[str]) -> None:
    assert join_keywords(arguments) == (keywords, rest)


def test_tests_are_listed_without_running_any(bench: Bench) -> None:
    bench.write(
        "def test_a():\n    assert False\n\ndef test_vip(): pass\n\ndef test_vip_ipv6(): pass\n"
    )
    request = bench.request(leave_out=("test_vip",))
    listing = PytestSuite(bench.probe).list_tests(request, bench.around.scope)
    assert listing.tests == ("test_it.py::test_a", "test_it.py::test_vip_ipv6")
    assert listing.left_out == ("test_it.py::test_vip",)
    assert listing.problem == ""


def test_what_cannot_be_loaded_cannot_be_listed(bench: Bench) -> None:
    bench.write("import nowhere_to_be_found\n")
    listing = PytestSuite(bench.probe).list_tests(bench.request(), bench.around.scope)
    assert "nowhere_to_be_found" in listing.problem


@pytest.mark.parametrize(
    ("hosts", "nodes"),
    [
        ("", ["master-1", "private-agent-1", "public-agent-1"]),
        ("testinfra_hosts = ['master', 'public-agent-1']", ["master-1", "public-agent-1"]),
    ],
)
def test_a_test_with_host_is_run_on_every_node_it_wants(
    bench: Bench, hosts: str, nodes: list[str]
) -> None:
    bench.write(f"{hosts}\ndef test_a(host): pass\n")
    listing = PytestSuite(bench.probe).list_tests(bench.request(), bench.around.scope)
    assert listing.tests == tuple(f"test_it.py::test_a[{node}]" for node in nodes)


def test_a_failed_test_waits_until_it_was_looked_at(bench: Bench) -> None:
    mark = bench.home / "cleaned"
    bench.write(
        "import pathlib, pytest\n"
        "@pytest.fixture\n"
        f"def mess():\n    yield\n    pathlib.Path({str(mark)!r}).touch()\n"
        "def test_bad(mess):\n    assert False\n"
        "def test_good(): pass\n"
    )
    seen: list[tuple[str, bool]] = []
    request = replace(bench.request(), on_failure=lambda test: seen.append((test, mark.exists())))
    result = PytestSuite(bench.probe).run(request, bench.around.scope)
    assert seen == [("test_it.py::test_bad", False)], "its fixture had not cleaned up yet"
    assert mark.exists()
    assert [test.outcome for test in result.results] == [Outcome.FAIL, Outcome.PASS]
