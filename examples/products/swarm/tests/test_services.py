"""What the users of a swarm rely on, on services that run while the tests look."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from swarm import API, GREETING, PASSWORD, PREFIX, Swarm, visit, wait_for

from osqual.model import Node, Role
from osqual.suites.plugin import Machines

RESTART_LIMIT_S = 900.0


@pytest.fixture
def two_agents(agents: tuple[Node, ...]) -> tuple[Node, ...]:
    if len(agents) < 2:
        pytest.skip("this cluster has no two agents")
    return agents


def test_service_is_scheduled_on_agents(mobile: Swarm) -> None:
    (task,) = mobile.running("mobile")
    assert mobile.node_of(task).role is not Role.MASTER


def test_service_is_scheduled_on_the_nodes_that_a_label_names(pinned: Swarm) -> None:
    roles = [pinned.node_of(task).role for task in pinned.running("pinned")]
    assert roles == [Role.PRIVATE_AGENT] * 2


def test_rolling_update_and_rollback(pinned: Swarm) -> None:
    def is_in(state: str) -> bool:
        return bool(pinned.service("pinned").get("UpdateStatus", {}).get("State") == state)

    name = f"{PREFIX}pinned"
    old, new = pinned.image("1"), pinned.image("2")
    pinned.docker("service", "update", "-d", "--no-resolve-image", "--image", new, name)
    wait_for("the update", lambda: is_in("completed"))
    assert images(pinned.wait_running("pinned", 2)) == {new}

    pinned.docker("service", "rollback", "-d", name)
    wait_for("the rollback", lambda: is_in("rollback_completed"))
    assert images(pinned.wait_running("pinned", 2)) == {old}


def images(tasks: list[Mapping[str, Any]]) -> set[str]:
    return {task["Spec"]["ContainerSpec"]["Image"] for task in tasks}


def test_a_task_that_dies_is_restarted(mobile: Swarm) -> None:
    (task,) = mobile.running("mobile")
    container = task["Status"]["ContainerStatus"]["ContainerID"]
    engine = mobile.engine(mobile.node_of(task))
    engine.post(f"{API}/containers/{container}/kill").raise_for_status()

    def replaced() -> bool:
        return [other["ID"] for other in mobile.running("mobile")] not in ([], [task["ID"]])

    wait_for("another task in its place", replaced)


def test_service_is_replicated_over_the_agents(web: Swarm, agents: tuple[Node, ...]) -> None:
    hosts = [web.node_of(task).name for task in web.running("web")]
    assert sorted(hosts) == sorted(node.name for node in agents or (web.master,))


def test_configs_and_secrets_are_delivered(web: Swarm) -> None:
    page = visit(web.entrance(web.master), "/cgi-bin/page")
    assert page["greeting"] == GREETING
    assert page["password"] == PASSWORD
    assert page["password_on"] == "tmpfs", "a secret must not reach a disk"


def test_published_port_leads_from_a_node_without_a_task_to_every_task(
    web: Swarm, agents: tuple[Node, ...]
) -> None:
    """The master runs none of the tasks when there are agents."""
    expected = {web.hostname(node) for node in agents or (web.master,)}
    seen: set[str] = set()

    def all_seen() -> bool:
        seen.add(visit(web.entrance(web.master), "/cgi-bin/page")["node"])
        return seen == expected

    wait_for(f"answers from {expected}", all_seen)


def relay(client: httpx.Client, target: str) -> dict[str, str]:
    """The page that a task got from `target`, once a task on another node was asked to get it."""

    def relayed() -> dict[str, str] | None:
        page = visit(client, f"/cgi-bin/relay?{target}")
        return page if page.get("node", page["asked_by"]) != page["asked_by"] else None

    found: dict[str, str] = wait_for(f"an answer of {target} to a task on another node", relayed)
    return found


def overlay_address(task: Mapping[str, Any]) -> str:
    """A task's address on the tests' own network."""
    (addresses,) = [
        network["Addresses"]
        for network in task["NetworksAttachments"]
        if network["Network"]["Spec"]["Name"] == f"{PREFIX}mesh"
    ]
    return str(addresses[0]).partition("/")[0]


def test_overlay_network_reaches_containers_on_another_node_by_address(
    web: Swarm, two_agents: tuple[Node, ...]
) -> None:
    for task in web.running("web"):
        page = relay(web.entrance(web.master), overlay_address(task))
        assert page["node"] == web.hostname(web.node_of(task))


def test_overlay_network_reaches_containers_on_another_node_by_name(
    web: Swarm, two_agents: tuple[Node, ...]
) -> None:
    assert relay(web.entrance(web.master), f"{PREFIX}web")["greeting"] == GREETING


def test_a_service_has_a_name_for_all_its_tasks(web: Swarm) -> None:
    expected = {overlay_address(task) for task in web.running("web")}

    def resolved() -> bool:
        page = visit(web.entrance(web.master), f"/cgi-bin/names?tasks.{PREFIX}web")
        return set(page["addresses"].split()) == expected

    wait_for(f"{expected} as the addresses of the tasks", resolved)


def test_a_rebooted_agent_comes_back(
    web: Swarm, machine: Machines, agents: tuple[Node, ...]
) -> None:
    """It has its place in the swarm again, and runs its task of the service."""
    if not agents:
        pytest.skip("this cluster has no agent")
    node = agents[-1]
    before = web.members()[node.name]["ID"]
    web.forget(node)
    machine(node).reboot(RESTART_LIMIT_S)

    def runs_its_task() -> bool:
        """Asked of the node's own engine: the manager may not have noticed the restart yet."""
        return bool(web.ask("/containers/json", {"name": f"{PREFIX}web"}, node))

    wait_for(f"{node.name} to run its task", runs_its_task, RESTART_LIMIT_S)
    web.wait_running("web", len(agents))
    member = web.members()[node.name]
    assert (member["ID"], member["Status"]["State"]) == (before, "ready")
    assert visit(web.entrance(node), "/cgi-bin/page")["greeting"] == GREETING


@pytest.fixture
def drained(mobile: Swarm, two_agents: tuple[Node, ...]) -> Iterator[Node]:
    """The agent that ran the mobile task, while it is drained."""
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
