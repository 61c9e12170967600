"""Tests on forks of a real cluster: a broken one is nobody else's, and can be entered later."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import TINY, Workshop, processes_naming

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(3000)]

TWO_NODES = 'num_of_masters = "1"\nnum_of_private_agents = "1"\nnum_of_public_agents = "0"\n'
TESTS = '''
"""The first breaks the whole cluster that it has; the second must not notice."""


def test_breaks_its_cluster(nodes, machine):
    for node in nodes:
        machine(node).run(["rm", "/etc/greeting"], sudo=True)
        machine(node).run(["sh", "-c", "echo broken > /run/mark"], sudo=True)
        machine(node).run(["systemctl", "stop", "cron.service"], sudo=True, check=False)
    assert not nodes, "broken on purpose"


def test_notices_nothing(nodes, machine):
    for node in nodes:
        found = machine(node).run(["cat", "/etc/greeting"]).stdout
        assert found == f"hello from {node.name}\\n"
        assert machine(node).run(["ls", "/run/mark"], check=False).exit_status != 0
    last = nodes[-1].private_address
    reach = f"exec 3<>/dev/tcp/{last}/22; head -c 4 <&3"
    assert machine(nodes[0]).run(["timeout", "20", "bash", "-c", reach]).stdout == "SSH-"
    ours = machine(nodes[0]).run(["date", "+%s"]).stdout
    import time

    assert abs(float(ours) - time.time()) < 60, "its clock was set when it went on"


testinfra_hosts = ["master"]


def test_as_testinfra_sees_it(host):
    assert host.file("/etc/greeting").content_string == "hello from master-1\\n"
    assert host.system_info.distribution == "debian"
'''


@pytest.fixture(scope="module")
def forked(workshop: Workshop) -> Iterator[dict[str, Any]]:
    """A run of two nodes whose tests each have a fork; the failure's is kept."""
    workshop.reset_catalogue()
    (workshop.tiny / "cluster_profile.tfvars").write_text(TWO_NODES)
    product = workshop.catalogue / "products" / "hello"
    definition = product / "product.yaml"
    definition.write_text(definition.read_text() + "    isolation: fork\n")
    (product / "tests" / "test_hello.py").unlink()
    (product / "tests" / "test_apart.py").write_text(TESTS)
    yield workshop.run("--keep", "on-failure", "--publish", "none", leaf=TINY, code=1)
    workshop.osqual("destroy", "latest")
    workshop.reset_catalogue()


def test_a_test_that_breaks_its_cluster_does_not_touch_its_neighbour(
    workshop: Workshop, forked: dict[str, Any]
) -> None:
    outcomes = {row["test_id"]: row["outcome"] for row in workshop.stored()["results"]}
    assert outcomes["test_apart.py::test_breaks_its_cluster"] == "fail"
    assert outcomes["test_apart.py::test_notices_nothing"] == "pass"
    assert outcomes["test_apart.py::test_as_testinfra_sees_it[master-1]"] == "pass"
    assert forked["verdict"] == "rejected"
    directory = Path(forked["directory"])
    consoles = json.loads((directory / "suites/integration/consoles.json").read_text())
    assert set(consoles["test_apart.py::test_breaks_its_cluster"]) == {
        "master-1",
        "private-agent-1",
    }


def test_the_clusters_own_nodes_were_never_touched(
    workshop: Workshop, forked: dict[str, Any]
) -> None:
    greeting = workshop.osqual("ssh", forked["run"], "private-agent-1", "cat", "/etc/greeting")
    assert greeting.stdout == "hello from private-agent-1\n"
    running = processes_naming(f"{forked['directory']}/forks")
    assert running == [], "forks have ended with their tests"


def test_the_cluster_at_the_moment_of_a_failure_can_be_entered(
    workshop: Workshop, forked: dict[str, Any]
) -> None:
    done = workshop.osqual("debug", forked["run"], "breaks_its_cluster")
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    assert line.startswith(f"osqual ssh {forked['run']} master-1 --fork ")
    mark = workshop.osqual(*line.split()[1:], "cat", "/run/mark")
    assert mark.stdout == "broken\n"
    assert "Linux" in workshop.osqual("console", forked["run"], "master-1").stdout
    ended = workshop.osqual("destroy", forked["run"])
    assert ended.returncode == 0
    workshop.assert_nothing_left(forked["run"])
    assert not list(Path(forked["directory"]).rglob("ram-*")), "saved memory is gone as well"


RESTARTED = """
def test_leaves_something_in_memory(master):
    master.run(["touch", "/run/mark", "/var/mark"], sudo=True)


def test_has_a_machine_that_was_started_anew(master):
    assert master.run(["ls", "/var/mark"]).stdout == "/var/mark\\n", "the same disk"
    assert master.run(["ls", "/run/mark"], check=False).exit_status != 0
"""


def test_nodes_are_restarted_between_tests_where_that_is_asked_for(workshop: Workshop) -> None:
    workshop.reset_catalogue()
    tests = workshop.catalogue / "products" / "hello" / "tests"
    (tests / "test_hello.py").write_text(RESTARTED)
    result = workshop.run("--isolation", "reboot", "--publish", "none", leaf=TINY)
    workshop.reset_catalogue()
    outcomes = {row["test_id"]: row["outcome"] for row in workshop.stored()["results"]}
    assert set(outcomes.values()) == {"pass"}
    assert len(outcomes) == 2
    assert any("--isolation reboot" in reason for reason in result["reasons"])
    workshop.assert_nothing_left(result["run"])
