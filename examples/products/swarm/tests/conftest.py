"""The swarm under test, as installed and with the services that the tests look at."""

import json
from collections.abc import Iterator

import pytest
from swarm import GREETING, PAGE, PASSWORD, RELAY, STACK, Swarm, stack_file

from osqual.machine import Machine
from osqual.model import Node, Role
from osqual.suites.plugin import Machines, PluginRequest


@pytest.fixture(scope="session")
def swarm(
    nodes: tuple[Node, ...], machine: Machines, suite_request: PluginRequest
) -> Iterator[Swarm]:
    """The swarm, as it was installed."""
    swarm = Swarm(nodes, machine, suite_request)
    yield swarm
    swarm.close()


@pytest.fixture(scope="session")
def stack(swarm: Swarm, master: Machine, tmp_path_factory: pytest.TempPathFactory) -> Swarm:
    """The swarm with the services that the tests look at, all of them running."""
    agents = [node for node in swarm.nodes if node.role is not Role.MASTER]
    document = stack_file(len(swarm.nodes), len(agents))
    directory = tmp_path_factory.mktemp("stack")
    for name, text in (
        ("stack.yml", json.dumps(document)),
        ("page", PAGE),
        ("relay", RELAY),
        ("greeting", GREETING),
        ("password", PASSWORD),
    ):
        (directory / name).write_text(text)
    remote = "/var/tmp/osqual-qualify"
    master.put_tree(directory, remote)
    swarm.docker("stack", "deploy", "--resolve-image", "never", "-c", f"{remote}/stack.yml", STACK)
    for name, service in document["services"].items():
        swarm.wait_running(name, service["deploy"].get("replicas", 1))
    return swarm
