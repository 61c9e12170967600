"""Installing a product: order, parameters, values, secrets and failures, with local shells."""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from osqual.cancellation import Cancellation
from osqual.errors import InstallFailed, Interrupted
from osqual.events import Event, EventBus, EventKind
from osqual.model import Configuration, Suite, Topology
from osqual.processes.process import Completed, run
from osqual.products.definition import InstallStep, Product
from osqual.products.install import install_product, interpreter, redact, run_setup_script
from osqual.products.node_set import NodeSet
from tests.scopes import Surroundings, make_cluster

TOPOLOGY = Topology(masters=1, private_agents=1, public_agents=1)


@dataclass
class LocalShell:
    """A node that is a directory of this machine."""

    home: Path
    log: list[Sequence[str]] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        sudo: bool = False,
        timeout_s: float = 60.0,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> Completed:
        self.log.append(argv)
        return run(
            argv,
            cwd=self.home,
            timeout_s=timeout_s,
            check=check,
            on_line=on_line,
            cancellation=cancellation,
        )

    def put_tree(self, local: Path, remote: str, *, sudo: bool = False) -> None:
        shutil.copytree(local, self.home / remote, dirs_exist_ok=True)


class Site:
    """A cluster of local shells, a product folder, and what was said."""

    def __init__(self, root: Path, topology: Topology = TOPOLOGY) -> None:
        self.root = root
        self.around = Surroundings(root / "run")
        self.events: list[Event] = []
        self.threads: set[int] = set()
        self.shells = {name: LocalShell(root / name) for name, _ in topology.names()}
        for shell in self.shells.values():
            shell.home.mkdir()
        self.cluster = make_cluster(topology)
        self.scope = replace(self.around.scope, bus=EventBus(self._take))
        self.configuration = Configuration(
            root=root, path="debian/12", dimensions={"os": "debian", "release": "2.0"}
        )

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self.threads.add(threading.get_ident())

    def step(self, name: str, text: str, **options: Any) -> InstallStep:
        script = self.root / f"{name}.sh"
        script.write_text(text)
        return InstallStep(name=name, script=script, **options)

    def install(self, *steps: InstallStep, **parameters: Any) -> None:
        suite = Suite(name="s", stage="integration", kind="pytest", path=self.root)
        product = Product(
            name="thing",
            directory=self.root,
            environment={"COLOUR": "red"},
            install=steps,
            suites=(suite,),
        )
        install_product(
            product, self.configuration, self.cluster, self.shells, self.scope, parameters
        )

    def output(self) -> list[str]:
        return [event.message for event in self.events if event.kind is EventKind.OUTPUT]

    def log(self, node: str, step: str) -> str:
        return (self.root / "run" / "install" / f"{node}-{step}.log").read_text()

    def everything_written(self) -> str:
        texts = [path.read_text() for path in (self.root / "run").rglob("*") if path.is_file()]
        return "\n".join([*texts, *(f"{event.message} {event.data}" for event in self.events)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_scripts_run_in_order_on_their_nodes_with_their_parameters(site: Site) -> None:
    site.install(
        site.step("first", 'echo "$OSQUAL_NODE_NAME" > who'),
        site.step(
            "second",
            "#!/bin/sh -e\n"
            'echo "$OSQUAL_NODE_ROLE $OSQUAL_NODE_ADDRESS $OSQUAL_MASTER_ADDRESSES" \\\n'
            '  "$OSQUAL_PRIVATE_AGENT_NAMES $OSQUAL_RELEASE $OSQUAL_PRODUCT $COLOUR" \\\n'
            '  "$OSQUAL_VARIABLE_CIDR $OSQUAL_VARIABLE_LIST" "$(cat who)"',
            nodes=NodeSet.AGENTS,
        ),
        cidr="it's 10.0.0.0/8",
        list=["a", "b"],
    )
    assert site.log("private-agent-1", "second") == (
        "private_agent 10.0.0.2 10.0.0.1 private-agent-1 2.0 thing red "
        'it\'s 10.0.0.0/8 ["a", "b"] private-agent-1\n'
    )
    assert not (site.root / "run" / "install" / "master-1-second.log").exists()
    assert site.threads == {threading.get_ident()}, "events come on the caller's thread"


def test_nothing_is_left_on_the_nodes(site: Site) -> None:
    site.install(site.step("one", "true"), site.step("two", "true", as_root=False))
    assert [list(shell.home.iterdir()) for shell in site.shells.values()] == [[], [], []]


def test_values_flow_and_secrets_are_written_down_nowhere(site: Site) -> None:
    site.install(
        site.step(
            "init",
            'echo "the token is s3cr3t-token"\n'
            'printf "PORT=80\\nTOKEN=s3cr3t-token\\n" > "$OSQUAL_OUTPUT"',
            nodes=NodeSet.FIRST_MASTER,
            outputs=("PORT",),
            secrets=("TOKEN",),
        ),
        site.step("join", 'echo "joining $PORT with $TOKEN"; echo "$TOKEN" > got'),
    )
    assert (site.shells["public-agent-1"].home / "got").read_text() == "s3cr3t-token\n"
    assert site.log("master-1", "init") == "the token is [secret]\n"
    assert "joining 80 with [secret]" in site.output()
    assert "s3cr3t" not in site.everything_written()
    commands = [word for shell in site.shells.values() for argv in shell.log for word in argv]
    assert not any("s3cr3t" in word for word in commands), "visible in a process list"


def test_a_script_that_makes_secrets_and_fails_is_shown_without_them(site: Site) -> None:
    step = site.step(
        "init",
        'echo "TOKEN=s3cr3t-token" > "$OSQUAL_OUTPUT"; echo "s3cr3t-token: broken"; exit 3',
        nodes=NodeSet.FIRST_MASTER,
        secrets=("TOKEN",),
    )
    with pytest.raises(InstallFailed, match="init on master-1 ended with exit status 3") as caught:
        site.install(step)
    assert caught.value.details == "[secret]: broken"


@pytest.mark.parametrize(
    ("script", "details"),
    [
        ("true", "Missing: PORT. Not declared: none."),
        ('printf "PORT=1\\nHOST=2\\n" > "$OSQUAL_OUTPUT"', "Missing: none. Not declared: HOST."),
    ],
)
def test_values_must_be_those_that_were_declared(site: Site, script: str, details: str) -> None:
    step = site.step("init", script, nodes=NodeSet.FIRST_MASTER, outputs=("PORT",))
    with pytest.raises(InstallFailed) as caught:
        site.install(step)
    assert caught.value.details == details


def test_a_failure_shows_the_last_lines_and_ends_the_installation(site: Site) -> None:
    failing = site.step("prepare", "seq 100; echo oops >&2; exit 7", nodes=NodeSet.FIRST_MASTER)
    with pytest.raises(InstallFailed) as caught:
        site.install(failing, site.step("after", "touch ran"))
    assert caught.value.details.splitlines()[-2:] == ["100", "oops"]
    assert "master-1-prepare.log" in caught.value.resolution
    assert not (site.shells["master-1"].home / "ran").exists()


def test_failures_on_several_nodes_are_all_told(site: Site) -> None:
    with pytest.raises(InstallFailed, match="failed on 3 nodes") as caught:
        site.install(site.step("prepare", 'echo "from $OSQUAL_NODE_NAME"; exit 1'))
    for name in site.shells:
        assert f"from {name}" in caught.value.details


def test_a_readiness_check_is_repeated_and_told_only_when_it_changes(site: Site) -> None:
    script = 'echo x >> tries; n=$(wc -l < tries); echo "$((n / 3))"; test "$n" -ge 5'
    site.install(site.step("ready", script, nodes=NodeSet.FIRST_MASTER, poll_s=0.01))
    assert site.output() == ["0", "1"]


LONG_S = 600
"""A limit that is reached when the test's clock jumps: load must not decide."""


@contextmanager
def time_passes(site: Site, name: str) -> Iterator[None]:
    """Have the clock jump once a script has left this file on the first master."""

    def jump() -> None:
        while not (site.shells["master-1"].home / name).exists() and not over.wait(0.02):
            pass
        site.around.clock.ahead_s = LONG_S

    over = threading.Event()
    thread = threading.Thread(target=jump)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_readiness_check_that_never_succeeds_shows_what_it_said_last(site: Site) -> None:
    script = "test ! -e tried || touch again; touch tried; echo waiting; exit 1"
    step = site.step("ready", script, nodes=NodeSet.FIRST_MASTER, poll_s=0.05, timeout_s=LONG_S)
    with (
        pytest.raises(InstallFailed, match="ready on master-1 was not done after 600 s") as caught,
        time_passes(site, "again"),
    ):
        site.install(step)
    assert "waiting" in caught.value.details


def test_an_attempt_cut_off_before_it_spoke_leaves_the_words_of_the_one_before(site: Site) -> None:
    hang = "{ touch again; exec sleep 100; }"
    script = f"test ! -e tried || {hang}; touch tried; echo waiting; exit 1"
    step = site.step("ready", script, nodes=NodeSet.FIRST_MASTER, poll_s=0.01, timeout_s=LONG_S)
    with (
        pytest.raises(InstallFailed, match="was not done after 600 s") as caught,
        time_passes(site, "again"),
    ):
        site.install(step)
    assert caught.value.details == "waiting"


def test_a_script_that_hangs_is_ended(site: Site) -> None:
    step = site.step("slow", "echo begun; sleep 100", nodes=NodeSet.FIRST_MASTER, timeout_s=1.0)
    with pytest.raises(InstallFailed, match="was not done after 1 s"):
        site.install(step)


def test_an_interrupt_stops_every_node(site: Site) -> None:
    threading.Timer(0.5, site.scope.cancellation.cancel).start()
    with pytest.raises(Interrupted):
        site.install(site.step("slow", "sleep 100"))


def test_steps_without_nodes_are_passed_over(tmp_path: Path) -> None:
    site = Site(tmp_path, Topology(masters=1, private_agents=0, public_agents=0))
    site.install(site.step("join", "exit 1", nodes=NodeSet.OTHERS))


def test_the_deprecated_setup_script_runs_everywhere_with_a_warning(site: Site) -> None:
    script = site.root / "setup.sh"
    script.write_text("echo setting up")
    run_setup_script(script, site.configuration, site.cluster, site.shells, site.scope, {})
    assert site.output() == ["setting up"] * 3
    (warning,) = [event for event in site.events if event.kind is EventKind.WARNING]
    assert "deprecated" in warning.message


@pytest.mark.parametrize(
    ("first_line", "words"),
    [
        ("#!/bin/bash -eu", ["/bin/bash", "-eu"]),
        ("#! /usr/bin/env python3", ["/usr/bin/env", "python3"]),
        ("echo hello", ["/bin/sh"]),
        ("", ["/bin/sh"]),
    ],
)
def test_interpreter(tmp_path: Path, first_line: str, words: list[str]) -> None:
    (tmp_path / "script").write_text(f"{first_line}\necho\n")
    assert interpreter(tmp_path / "script") == words


def test_redaction_takes_the_longest_secret_first() -> None:
    assert redact("abc-def abc", ["abc", "abc-def"]) == "[secret] [secret]"
