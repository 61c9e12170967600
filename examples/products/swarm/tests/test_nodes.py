"""Each node of the cluster: what it runs on, and that the swarm knows it."""

import shlex
from collections.abc import Mapping

from swarm import Swarm, version_matches

from osqual.model import Node, Role
from osqual.suites.plugin import Machines


def os_release(machine: Machines, node: Node) -> dict[str, str]:
    text = machine(node).run(["cat", "/etc/os-release"]).stdout
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}


def test_operating_system_is_that_of_the_configuration(
    nodes: tuple[Node, ...], machine: Machines, dimensions: Mapping[str, str]
) -> None:
    for node in nodes:
        found = os_release(machine, node)
        assert found["ID"] == dimensions["os"], node.name
        assert version_matches(found["VERSION_ID"], dimensions["os_version"]), node.name


def test_kernel_is_the_one_that_the_image_carries(
    nodes: tuple[Node, ...], machine: Machines
) -> None:
    """Every node runs the newest kernel that is installed, and they all run the same one."""
    kernels = set()
    for node in nodes:
        script = "uname -r; ls /lib/modules | sort -V | tail -n 1"
        running, newest = machine(node).run_shell(script).stdout.split()
        assert running == newest, node.name
        kernels.add(running)
    assert len(kernels) == 1


def test_nodes_are_ready_with_their_roles(swarm: Swarm) -> None:
    members = swarm.members()
    assert set(members) == {node.name for node in swarm.nodes}
    for node in swarm.nodes:
        member = members[node.name]
        assert member["Status"]["State"] == "ready", node.name
        assert member["Spec"]["Availability"] == "active", node.name
        expected = "manager" if node.role is Role.MASTER else "worker"
        assert member["Spec"]["Role"] == expected, node.name
        if node.role is not Role.MASTER:
            assert member["Spec"]["Labels"]["role"] == node.role.value


def test_engine_version_is_that_of_the_configuration(
    swarm: Swarm, dimensions: Mapping[str, str]
) -> None:
    for name, member in swarm.members().items():
        version = member["Description"]["Engine"]["EngineVersion"]
        assert version_matches(version, dimensions["docker"]), name
        assert version_matches(version, dimensions["release"]), name


def test_storage_driver_and_cgroups(swarm: Swarm) -> None:
    for node in swarm.nodes:
        info = swarm.ask("/info", node=node)
        assert info["Driver"] == "overlay2", node.name
        assert dict(info["DriverStatus"])["Backing Filesystem"] == "extfs", node.name
        assert info["CgroupVersion"] == "2", node.name
        assert info["CgroupDriver"] == "systemd", node.name
        assert {"name=seccomp,profile=default", "name=apparmor"} <= set(info["SecurityOptions"])
