"""Nodes without a public address, reached for real through one that has one."""

import getpass
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.cluster_file import cluster_document, parse_cluster
from osqual.model import Cluster, SshIdentity
from osqual.platforms.terraform_nodes import Access, nodes_of, wait_nodes
from osqual.settings import Aws
from osqual.ssh.machine import Machine
from osqual.suites.ssh_config import ssh_config
from tests.scopes import Surroundings

pytestmark = pytest.mark.aws
OUTPUTS = {
    "master_public_ips": ["198.51.100.1"],
    "master_private_ips": ["10.214.0.1"],
    "private_agent_private_ips": ["10.214.0.2"],
    "public_agent_private_ips": [],
}


def test_an_agent_inside_is_reached_through_the_master(
    room: Path, ssh_server: int, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host *\n  HostName 127.0.0.1\n  Port {ssh_server}\n")
    key = room / "ssh" / "builder"
    identity = SshIdentity(
        private_key=key, public_key=key.with_suffix(".pub"), known_hosts=tmp_path / "known 100%h"
    )
    surroundings = Surroundings(tmp_path)
    access = Access(
        user=getpass.getuser(),
        identity=identity,
        aws=Aws(ssh_config=config),
        cancellation=Cancellation(),
    )
    cluster = Cluster(nodes=nodes_of(OUTPUTS, access), identity=identity)
    master, agent = cluster.nodes
    assert (bool(master.ssh_proxy), bool(agent.ssh_proxy)) == (False, True)
    wait_nodes(cluster, 60, surroundings.scope)
    assert len(identity.known_hosts.read_text().splitlines()) == 2

    (_, again) = parse_cluster(cluster_document(cluster)).nodes
    machine = Machine(again, identity, room, Cancellation())  # a socket's path is short
    said = machine.run(["sh", "-c", 'echo "$SSH_CONNECTION"']).stdout.split()
    assert said[3] == str(ssh_server)
    machine.close()

    # A suite's own ssh, by the configuration that it is given.
    from osqual.processes.process import run

    (tmp_path / "suite").write_text(ssh_config(cluster, tmp_path))
    argv = ["ssh", "-F", str(tmp_path / "suite"), "private-agent-1", "echo", "inside"]
    assert run(argv).stdout == "inside\n"
