"""Each node of the cluster: what it runs on, and what Slurm knows of it."""

import shlex
from collections.abc import Mapping

from slurm import Slurm, version_matches

from osqual.model import Node, Role
from osqual.suites.plugin import Machines

PARTITIONS = {Role.PRIVATE_AGENT: "batch", Role.PUBLIC_AGENT: "interactive"}


def test_operating_system_is_that_of_the_configuration(
    nodes: tuple[Node, ...], machine: Machines, dimensions: Mapping[str, str]
) -> None:
    for node in nodes:
        text = machine(node).run(["cat", "/etc/os-release"]).stdout
        pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
        found = {name: "".join(shlex.split(value)) for name, _, value in pairs}
        assert found["ID"] == dimensions["os"], node.name
        assert version_matches(found["VERSION_ID"], dimensions["os_version"]), node.name


def test_version_is_that_of_the_configuration(
    slurm: Slurm, agents: tuple[Node, ...], machine: Machines, dimensions: Mapping[str, str]
) -> None:
    versions = {"controller": slurm.run("scontrol", "--version").stdout.split()[1]}
    for node in agents:
        versions[node.name] = machine(node).run(["/usr/sbin/slurmd", "-V"]).stdout.split()[1]
    for name, version in versions.items():
        assert version_matches(version, dimensions["release"]), name


def test_every_agent_is_idle_in_the_partition_of_its_role(
    slurm: Slurm, agents: tuple[Node, ...]
) -> None:
    lines = slurm.run("sinfo", "--noheader", "--Node", "--format=%N %R %T").stdout.splitlines()
    expected = {f"{node.name} {PARTITIONS[node.role]} idle" for node in agents}
    assert {line.strip() for line in lines} == expected


def test_the_key_is_this_clusters_own_and_only_munge_reads_it(
    nodes: tuple[Node, ...], machine: Machines
) -> None:
    keys = set()
    for node in nodes:
        host = machine(node)
        status = host.run(["stat", "-c", "%U %a", "/etc/munge/munge.key"], sudo=True).stdout
        assert status.split() == ["munge", "400"], node.name
        keys.add(host.run(["sha256sum", "/etc/munge/munge.key"], sudo=True).stdout)
    assert len(keys) == 1


def test_a_credential_of_the_controller_is_believed_on_every_agent(
    nodes: tuple[Node, ...], agents: tuple[Node, ...], machine: Machines
) -> None:
    credential = machine(nodes[0]).run(["munge", "--no-input"]).stdout.strip()
    for node in agents:
        said = machine(node).run(["sh", "-c", 'printf %s "$1" | unmunge', "sh", credential]).stdout
        assert "Success (0)" in said, node.name
