"""What the users of a swarm rely on, on services that run while the tests look."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from swarm import GREETING, MOBILE_PORT, PASSWORD, STACK, Swarm, visit, wait_for

from osqual.model import Node, Role
from osqual.suites.plugin import Machines

RESTART_LIMIT_S = 900.0


@pytest.fixture
def several_nodes(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    if len(nodes) < 2:
        pytest.skip("this cluster has one node")
    return nodes


@pytest.fixture
def mobile(stack: Swarm, agents: tuple[Node, ...]) -> Swarm:
    """The service with one task, on an agent."""
    if not agents:
        pytest.skip("this cluster has no agent")
    stack.wait_running("mobile", 1)
    return stack


@pytest.fixture
def pinned(stack: Swarm, agents: tuple[Node, ...]) -> Swarm:
    """The service with two tasks, on private agents."""
    if not any(node.role is Role.PRIVATE_AGENT for node in agents):
        pytest.skip("this cluster has no private agent")
    stack.wait_running("pinned", 2)
    return stack


def test_service_is_replicated_over_all_nodes(stack: Swarm) -> None:
    names = [stack.node_of(task).name for task in stack.running("web")]
    assert sorted(names) == sorted(node.name for node in stack.nodes)


def test_service_is_scheduled_on_agents(mobile: Swarm) -> None:
    (task,) = mobile.running("mobile")
    assert mobile.node_of(task).role is not Role.MASTER


def test_service_is_scheduled_on_the_nodes_that_a_label_names(pinned: Swarm) -> None:
    roles = [pinned.node_of(task).role for task in pinned.running("pinned")]
    assert roles == [Role.PRIVATE_AGENT] * 2


def test_configs_and_secrets_are_delivered(stack: Swarm) -> None:
    page = visit(stack.entrance(stack.master), "/cgi-bin/page")
    assert page["config"] == GREETING
    assert page["secret"] == PASSWORD
    assert page["secret_on"] == "tmpfs", "a secret must not reach a disk"


def test_published_port_is_balanced_over_all_tasks(stack: Swarm) -> None:
    client = stack.entrance(stack.master)
    hosts = {member["Description"]["Hostname"] for member in stack.members().values()}
    seen: set[str] = set()

    def all_seen() -> bool:
        seen.add(visit(client, "/cgi-bin/page")["node"])
        return seen == hosts

    wait_for(f"answers from {hosts}", all_seen)


def test_published_port_is_open_on_nodes_that_run_no_task(mobile: Swarm) -> None:
    (task,) = mobile.running("mobile")
    for node in mobile.nodes:
        if node != mobile.node_of(task):
            client = mobile.entrance(node, MOBILE_PORT)
            wait_for(f"an answer through {node.name}", lambda: serves(client))  # noqa: B023


def serves(client: httpx.Client) -> bool:
    """Whether a web server answers; this one has no pages and says so."""
    try:
        return client.get("http://mobile/", timeout=20).status_code == httpx.codes.NOT_FOUND
    except httpx.TransportError:
        return False


def relay(client: httpx.Client, target: str) -> dict[str, str]:
    """The page that a task got from `target`, once a task on another node than it asked."""

    def relayed() -> dict[str, str] | None:
        page = visit(client, f"/cgi-bin/relay?{target}")
        return page if page.get("node", page["asked_by"]) != page["asked_by"] else None

    found: dict[str, str] = wait_for(f"an answer of {target} to a task on another node", relayed)
    return found


def overlay_address(task: Mapping[str, Any]) -> str:
    """A task's address on the stack's own network."""
    (addresses,) = [
        network["Addresses"]
        for network in task["NetworksAttachments"]
        if network["Network"]["Spec"]["Name"] == f"{STACK}_mesh"
    ]
    return str(addresses[0]).partition("/")[0]


def test_overlay_network_reaches_containers_on_other_nodes_by_address(
    stack: Swarm, several_nodes: tuple[Node, ...]
) -> None:
    client = stack.entrance(stack.master)
    members = stack.members()
    for task in stack.running("web"):
        host = members[stack.node_of(task).name]["Description"]["Hostname"]
        assert relay(client, overlay_address(task))["node"] == host


@pytest.mark.parametrize("name", ["web", "tasks.web"])
def test_overlay_network_reaches_containers_on_other_nodes_by_name(
    stack: Swarm, several_nodes: tuple[Node, ...], name: str
) -> None:
    assert relay(stack.entrance(stack.master), name)["config"] == GREETING


def images(tasks: list[Mapping[str, Any]]) -> set[str]:
    return {task["Spec"]["ContainerSpec"]["Image"] for task in tasks}


def test_rolling_update_and_rollback(pinned: Swarm) -> None:
    name = f"{STACK}_pinned"

    def ended(state: str) -> bool:
        return bool(pinned.service("pinned").get("UpdateStatus", {}).get("State") == state)

    image = "osqual/busybox:2"
    pinned.docker("service", "update", "-d", "--no-resolve-image", "--image", image, name)
    wait_for("the update", lambda: ended("completed"))
    assert images(pinned.wait_running("pinned", 2)) == {"osqual/busybox:2"}

    pinned.docker("service", "rollback", "-d", name)
    wait_for("the rollback", lambda: ended("rollback_completed"))
    assert images(pinned.wait_running("pinned", 2)) == {"osqual/busybox:1"}


def test_a_task_that_dies_is_restarted(mobile: Swarm) -> None:
    (task,) = mobile.running("mobile")
    container = task["Status"]["ContainerStatus"]["ContainerID"]
    engine = mobile.on(mobile.node_of(task))
    engine.post(f"http://engine/containers/{container}/kill").raise_for_status()

    def restarted() -> bool:
        return [other["ID"] for other in mobile.running("mobile")] not in ([], [task["ID"]])

    wait_for("another task in its place", restarted)


@pytest.fixture
def drained(mobile: Swarm, agents: tuple[Node, ...]) -> Iterator[Node]:
    """The agent that runs the mobile task, while it is drained."""
    if len(agents) < 2:
        pytest.skip("there is no second agent to move to")
    (task,) = mobile.running("mobile")
    node = mobile.node_of(task)
    member = mobile.members()[node.name]["ID"]
    mobile.docker("node", "update", "--availability", "drain", member)
    yield node
    mobile.docker("node", "update", "--availability", "active", member)


def test_drain_moves_tasks(mobile: Swarm, drained: Node) -> None:
    def moved() -> bool:
        tasks = mobile.running("mobile")
        return len(tasks) == 1 and mobile.node_of(tasks[0]) != drained

    wait_for(f"the task to leave {drained.name}", moved)


def test_a_rebooted_agent_comes_back(
    stack: Swarm, machine: Machines, agents: tuple[Node, ...]
) -> None:
    """It is ready again, with the same membership, and runs its task of the service again."""
    if not agents:
        pytest.skip("this cluster has no agent")
    node = agents[-1]
    before = stack.members()[node.name]["ID"]
    stack.forget(node)
    machine(node).reboot(RESTART_LIMIT_S)

    def runs_its_task() -> bool:
        """Asked of the node's own engine: the manager may not have noticed the restart yet."""
        try:
            return bool(stack.ask("/containers/json", {"name": f"{STACK}_web"}, node))
        except (httpx.TransportError, httpx.HTTPStatusError):
            return False

    wait_for(f"{node.name} to run its task", runs_its_task, RESTART_LIMIT_S)
    stack.wait_running("web", len(stack.nodes))
    member = stack.members()[node.name]
    assert (member["ID"], member["Status"]["State"]) == (before, "ready")
    client = stack.entrance(node)
    assert visit(client, "/cgi-bin/page")["config"] == GREETING
