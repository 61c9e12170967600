"""The swarm as it was installed, and with the services that the tests look at."""

from collections.abc import Iterator

import pytest
from swarm import GREETING, NAMES, PAGE, PASSWORD, PORT, PREFIX, RELAY, Swarm, file_at, service_spec

from osqual.model import Node, Role
from osqual.suites.plugin import Machines
from osqual.suites.plugin_request import PluginRequest


@pytest.fixture(scope="session")
def swarm(
    nodes: tuple[Node, ...], machine: Machines, suite_request: PluginRequest
) -> Iterator[Swarm]:
    """The swarm, as it was installed."""
    swarm = Swarm(nodes, machine, suite_request)
    yield swarm
    swarm.close()


@pytest.fixture(scope="session")
def services(swarm: Swarm, agents: tuple[Node, ...]) -> Iterator[Swarm]:
    """The swarm with three services, asked for together so that they start side by side.

    `web`: a published web service, one task on each agent, or on the master of a cluster without
    agents. `mobile`: one task on some agent. `pinned`: two tasks on private agents.
    """
    swarm.remove_all()
    create_web(swarm, len(agents))
    image = swarm.image("1")
    sleep = ("sleep", "1000000")
    if agents:
        constraint = "node.role==worker"
        spec = service_spec("mobile", image=image, command=sleep, constraint=constraint)
        swarm.create("services", spec)
    if any(node.role is Role.PRIVATE_AGENT for node in agents):
        constraint = "node.labels.role==private_agent"
        spec = service_spec("pinned", image=image, command=sleep, constraint=constraint, replicas=2)
        swarm.create("services", spec)
    yield swarm
    swarm.remove_all()


def create_web(swarm: Swarm, agents: int) -> None:
    network = f"{PREFIX}mesh"
    swarm.create("networks", {"Name": network, "Driver": "overlay", "CheckDuplicate": True})
    configs = {
        "/var/www/cgi-bin/page": ("page", PAGE, 0o555),
        "/var/www/cgi-bin/relay": ("relay", RELAY, 0o555),
        "/var/www/cgi-bin/names": ("names", NAMES, 0o555),
        "/etc/greeting": ("greeting", GREETING, 0o444),
    }
    spec = service_spec(
        "web",
        image=swarm.image("1"),
        command=("httpd", "-f", "-p", "80", "-h", "/var/www"),
        replicas=max(agents, 1),
        constraint="node.role==worker" if agents else "",
        network=network,
        Env=["NODE={{.Node.Hostname}}"],
        Configs=[
            file_at(path, swarm.create_text("configs", name, text), mode)
            for path, (name, text, mode) in configs.items()
        ],
        Secrets=[file_at("password", swarm.create_text("secrets", "password", PASSWORD))],
    )
    spec["TaskTemplate"]["Placement"]["MaxReplicas"] = 1
    port = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": PORT, "PublishMode": "ingress"}
    swarm.create("services", spec | {"EndpointSpec": {"Ports": [port]}})


@pytest.fixture(scope="session")
def web(services: Swarm, agents: tuple[Node, ...]) -> Swarm:
    """The published web service, running on every agent."""
    services.wait_running("web", max(len(agents), 1))
    return services


@pytest.fixture
def mobile(services: Swarm, agents: tuple[Node, ...]) -> Swarm:
    """The service with one task, on an agent."""
    if not agents:
        pytest.skip("this cluster has no agent")
    services.wait_running("mobile", 1)
    return services


@pytest.fixture
def pinned(services: Swarm, agents: tuple[Node, ...]) -> Swarm:
    """The service with two tasks, on private agents."""
    if not any(node.role is Role.PRIVATE_AGENT for node in agents):
        pytest.skip("this cluster has no private agent")
    services.wait_running("pinned", 2)
    return services
