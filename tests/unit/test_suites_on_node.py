"""The suite kind `pytest_on_node`, with this machine for the node; and the layout of DC/OS."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.cancellation import Cancellation
from osqual.errors import CommandFailed, Interrupted
from osqual.events import EventKind
from osqual.model import (
    Configuration,
    Node,
    Outcome,
    Selection,
    Shard,
    SshIdentity,
    Suite,
    SuiteResult,
    Topology,
)
from osqual.processes.process import Completed, run
from osqual.products.definition import load_product
from osqual.settings import Settings
from osqual.suites.base import SuiteKind, SuiteRequest
from osqual.suites.command_on_node import CommandOnNode
from osqual.suites.node_ids import leaving_out
from osqual.suites.on_node import PytestOnNode
from osqual.suites.verbose import results_in
from tests.scopes import Surroundings, make_cluster

# Without the plugins that are installed here, of which a node knows nothing: they are slow to load.
SCRIPT = """\
#!/bin/bash
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
exec {python} -m pytest -p no:cacheprovider -s -vv "$@" tests
"""
TESTS = """\
import os, time
def test_passes(): assert os.environ["OSQUAL_MASTER_ADDRESSES"] == "10.0.0.1"
def test_fails(): assert os.environ["COLOUR"] == "blue"
def test_hangs(): print("hanging", flush=True); time.sleep(60)
"""


@dataclass
class LocalMachine:
    """What the suite kind needs of a node, done by this machine in a directory of its own."""

    home: Path
    wrapper: tuple[str, ...] = ()

    def run(self, argv: Sequence[str], *, check: bool = True, **_: Any) -> Completed:
        done = subprocess.run(
            [*self.wrapper, *argv], cwd=self.home, capture_output=True, text=True, timeout=60
        )
        if check and done.returncode:
            raise CommandFailed("failed", exit_status=done.returncode, details=done.stderr)
        return Completed(
            argv=tuple(argv), exit_status=done.returncode, stdout=done.stdout, stderr=done.stderr
        )

    def put_tree(self, local: Path, remote: str, *, sudo: bool = False) -> None:
        shutil.copytree(local, self.home / remote, dirs_exist_ok=True)

    def get(self, remote: str, local: Path, *, sudo: bool = False) -> None:
        try:
            shutil.copyfile(self.home / remote, local)
        except OSError as error:
            raise CommandFailed("failed", exit_status=1, details=str(error)) from error

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Bench:
    """A suite, a node's home, and what a run of the suite gives."""

    root: Path
    surroundings: Surroundings
    wrapper: tuple[str, ...] = ()
    timeout_s: float = 240.0
    script: Path | None = None
    kind: Callable[..., SuiteKind] = PytestOnNode
    shard: Shard | None = None

    def run(
        self,
        *arguments: str,
        keywords: tuple[str, ...] = (),
        leave_out: tuple[str, ...] = (),
        only: tuple[str, ...] = (),
    ) -> SuiteResult:
        home = self.root / "home"
        home.mkdir(exist_ok=True)

        def open_machine(
            node: Node, identity: SshIdentity, control_dir: Path, cancellation: Cancellation
        ) -> Any:
            return LocalMachine(home, self.wrapper)

        suite = Suite(
            name="integration",
            stage="integration",
            kind="pytest_on_node",
            path=self.script or self.write_script(),
            environment={"COLOUR": "red"},
        )
        request = SuiteRequest(
            suite=suite,
            configuration=Configuration(root=self.root, path="a/b", dimensions={"os": "a"}),
            cluster=make_cluster(Topology()),
            selection=Selection(
                arguments=arguments, keywords=keywords, leave_out=leave_out, only=only
            ),
            directory=self.root / "suite",
            shard=self.shard,
        )
        scope = self.surroundings.scope.limited(self.timeout_s, "the suite")
        kind = self.kind(open_machine=open_machine, probe=lambda cluster, scope: "")
        return kind.run(request, scope)

    def program(self, text: str) -> None:
        """Have a program of any kind as the suite."""
        self.kind = CommandOnNode
        self.script = self.root / "program"
        self.script.write_text(text)

    def write_script(self) -> Path:
        tests = self.root / "home" / ".osqual-suite-integration" / "tests"
        tests.mkdir(parents=True, exist_ok=True)
        (tests / "test_it.py").write_text(TESTS)
        script = self.root / "script.sh"
        script.write_text(SCRIPT.format(python=sys.executable))
        return script


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Surroundings(tmp_path))


def outcomes(result: SuiteResult) -> dict[str, Outcome]:
    return {item.test_id.rpartition("::")[2]: item.outcome for item in result.results}


def test_results_and_output_come_back_from_the_node(bench: Bench) -> None:
    result = bench.run("-k", "not test_hangs")
    assert result.problem == ""
    assert result.exit_status == 1
    assert outcomes(result) == {"test_passes": Outcome.PASS, "test_fails": Outcome.FAIL}
    assert any("2 items" in event.message or "collected" in event.message
               for event in bench.surroundings.said(EventKind.OUTPUT))  # fmt: skip
    assert len(bench.surroundings.said(EventKind.TEST)) == 2


def test_keywords_of_the_configuration_and_of_the_person_both_count(bench: Bench) -> None:
    result = bench.run("-k", "not test_hangs", keywords=("passes",))
    assert outcomes(result) == {"test_passes": Outcome.PASS}


def test_muted_tests_are_deselected_by_their_ids(bench: Bench) -> None:
    result = bench.run(leave_out=("test_hangs", "test_it.py::test_f*"))
    assert result.problem == ""
    assert [item.test_id for item in result.results] == ["tests/test_it.py::test_passes"]
    assert result.left_out == ("tests/test_it.py::test_fails", "tests/test_it.py::test_hangs")


def test_tests_on_the_node_can_be_run_on_their_own(bench: Bench) -> None:
    bench.script = bench.write_script()
    bench.script.write_text(bench.script.read_text().replace(" tests\n", "\n"))
    wanted = "tests/test_it.py::test_passes"
    result = bench.run("tests", "-k", "fails", only=(wanted,))
    assert [(item.test_id, item.outcome) for item in result.results] == [(wanted, Outcome.PASS)]


def test_tests_that_cannot_be_listed_run_among_the_others(bench: Bench) -> None:
    bench.script = bench.write_script()
    refuse = 'case " $* " in *--collect-only*) exit 4;; esac\nexec'
    bench.script.write_text(bench.script.read_text().replace("exec", refuse))
    result = bench.run("-k", "not test_hangs", leave_out=("test_fails",))
    assert outcomes(result) == {"test_passes": Outcome.PASS, "test_fails": Outcome.FAIL}
    assert "could not be listed" in bench.surroundings.said(EventKind.WARNING)[0].message


def test_shards_share_the_tests_on_the_node(bench: Bench) -> None:
    bench.script = bench.write_script()
    bench.script.write_text(bench.script.read_text().replace(" tests\n", "\n"))
    bench.shard = Shard(number=2, of=2)
    result = bench.run("tests", "-k", "not hangs")
    assert outcomes(result) == {"test_fails": Outcome.FAIL}


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_unknown_test_is_named_and_nothing_is_believed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    """Whether the output comes line by line decides where in it pytest's error stands."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    result = bench.run("test_gone.py")
    assert result.problem.startswith("pytest ended with exit status 4: ")
    assert "test_gone.py" in result.problem


REPORT = """echo '<testsuite><testcase name="t"/></testsuite>' > $OSQUAL_JUNIT"""
PASSED, FAILED = {"integration": Outcome.PASS}, {"integration": Outcome.FAIL}


@pytest.mark.parametrize(
    ("text", "expected", "problem"),
    [
        ("exit 0", PASSED, ""),
        ("echo no >&2; exit 3", FAILED, ""),
        ('[ "$COLOUR" = red ] && [ "$1" = fast ]', PASSED, ""),
        (
            "printf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'; exit 1",
            {"a": Outcome.PASS, "b": Outcome.FAIL},
            "",
        ),
        ("printf '1..3\\nok 1 - a\\n'", {"a": Outcome.PASS}, "plans 3 tests and holds 1"),
        (REPORT, {"t": Outcome.PASS}, ""),
        (f"{REPORT}; exit 1", {"t": Outcome.PASS}, "its report has no failed test"),
        ("kill -9 $$", {}, "signal 9"),
    ],
)
def test_a_program_on_the_node(
    bench: Bench, text: str, expected: dict[str, Outcome], problem: str
) -> None:
    bench.program(f"#!/bin/sh\n{text}\n")
    result = bench.run("fast")
    assert outcomes(result) == expected
    assert problem in result.problem
    assert bool(problem) is bool(result.problem)


def test_a_binary_runs_on_the_node_as_it_is(bench: Bench) -> None:
    bench.program("")
    assert bench.script is not None
    shutil.copyfile("/bin/true", bench.script)
    assert outcomes(bench.run()) == {"integration": Outcome.PASS}


def test_a_program_has_no_names_to_choose_by(bench: Bench) -> None:
    bench.program("#!/bin/sh\n")
    assert "no names" in bench.run(keywords=("x",)).skipped


def test_leaving_out_takes_no_neighbour_along() -> None:
    ids = ["t.py::test_vip", "t.py::test_vip_ipv6", "t.py::test_dns[a]", "t.py::test_dns[b]"]
    words = ["-k", "not x", "t.py", "-m", "slow", "-x"]
    assert leaving_out(["t.py::test_dns[a]"], ids, words) == [
        *words,
        "--deselect=t.py::test_dns[a]",
    ]
    assert leaving_out(ids[:1], ids, words) == [
        "-k", "not x", "-m", "slow", "-x", *ids[1:],
    ]  # fmt: skip


def test_arguments_are_never_read_by_a_shell(bench: Bench) -> None:
    result = bench.run("-k", "test_passes", f"--deselect=$(touch {bench.root}/harm)")
    assert result.problem == ""
    assert not (bench.root / "harm").exists()


def test_a_suite_over_its_time_is_interrupted_and_its_report_fetched(bench: Bench) -> None:
    log = bench.root / "home" / ".osqual-suite-integration" / "log"

    def expire_when_it_hangs() -> None:
        """Load must not decide when: the clock of the limit jumps."""
        assert eventually(lambda: "hanging" in log.read_text())
        bench.surroundings.clock.ahead_s = bench.timeout_s

    thread = threading.Thread(target=expire_when_it_hangs)
    thread.start()
    result = bench.run()
    thread.join()
    assert "time limit" in result.problem
    assert outcomes(result)["test_passes"] is Outcome.PASS
    assert (bench.root / "suite" / "junit.xml").exists()


def test_a_suite_that_dies_leaves_what_was_seen(bench: Bench) -> None:
    script = bench.root / "dies.sh"
    script.write_text("#!/bin/sh\necho 'test_a.py::test_one PASSED'\nkill -KILL $$\n")
    bench.script = script
    result = bench.run()
    assert "signal 9" in result.problem
    assert outcomes(result) == {"test_one": Outcome.PASS}


def test_an_interrupt_ends_the_suite_on_the_node(bench: Bench) -> None:
    place = bench.root / "home" / ".osqual-suite-integration"

    def cancel_when_it_runs() -> None:
        assert eventually(lambda: "hanging" in (place / "log").read_text())
        bench.surroundings.cancellation.cancel()

    thread = threading.Thread(target=cancel_when_it_runs)
    thread.start()
    with pytest.raises(Interrupted):
        bench.run("-k", "test_hangs")
    thread.join()
    group = int((place / "group").read_text())
    assert eventually(lambda: not exists(group))


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes true within a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            if holds():
                return True
        time.sleep(0.05)
    return False


def exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


ENVIRONMENT_EXPORT = "export PATH={bin}:$PATH\nexport DCOS=yes\n"
DCOS_TESTS = """\
import os
def test_hosts():
    assert os.environ["MASTER_HOSTS"] == "10.0.0.1"
    assert os.environ["SLAVE_HOSTS"] == "10.0.0.2"
    assert os.environ["PUBLIC_SLAVE_HOSTS"] == "10.0.0.3"
    assert os.environ["DCOS"] == "yes"
"""


def test_dcos_runs_the_newest_tests_of_its_own_layout(bench: Bench) -> None:
    opt = bench.root / "opt"
    binaries = opt / "bin"
    binaries.mkdir(parents=True)
    (binaries / "py.test").write_text(
        "#!/bin/sh\nexport PYTEST_DISABLE_PLUGIN_AUTOLOAD=1\n"
        f'exec {sys.executable} -m pytest "$@"\n'
    )
    (binaries / "py.test").chmod(0o755)
    mesosphere = opt / "mesosphere"
    newest = mesosphere / "active" / "dcos-integration-test-1"
    newest.mkdir(parents=True)
    (mesosphere / "active" / "dcos-integration-test").mkdir()
    (newest / "test_dcos.py").write_text(DCOS_TESTS)
    (mesosphere / "environment.export").write_text(ENVIRONMENT_EXPORT.format(bin="/opt/bin"))
    mount = 'mount --bind "$0" /opt && exec "$@"'
    wrapper = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(opt))
    try:
        run([*wrapper, "true"])
    except CommandFailed as error:
        pytest.skip(f"no user namespaces: {error.details}")
    bench.wrapper = wrapper
    product = load_product("DCOS", bench.root, Settings())
    bench.script = product.suites[0].path
    result = bench.run()
    assert result.problem == ""
    assert outcomes(result) == {"test_hosts": Outcome.PASS}


LOG = """\
test_a.py::test_one PASSED                                               [ 10%]
test_a.py::TestX::test_two[x y] some output
more output
FAILED
test_b.py::test_three SKIPPED (no reason)
test_b.py::test_four XFAIL
test_b.py::test_five
"""


def test_verbose_output_tells_the_results_that_it_tells() -> None:
    assert [(item.test_id, item.outcome.value) for item in results_in(LOG, "s")] == [
        ("test_a.py::test_one", "pass"),
        ("test_a.py::TestX::test_two[x", "fail"),
        ("test_b.py::test_three", "skip"),
        ("test_b.py::test_four", "skip"),
    ]


@given(st.text(alphabet="test_a.py::xPASED FIL\n[]%", max_size=300))
def test_any_output_is_read_without_an_error(text: str) -> None:
    results_in(text, "s")
