"""The nodes of a cluster for plain ssh: a configuration file with one host for each."""

from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.model import Cluster
from osqual.ssh.machine import Machine


def ssh_config(cluster: Cluster, control_dir: Path) -> str:
    """An OpenSSH client configuration with one host for each node, by its name.

    It shares the run's open connections, and host keys are checked as everywhere.
    """
    blocks = []
    for node in cluster.nodes:
        options = Machine(node, cluster.identity, control_dir, Cancellation()).options()
        settings = [
            word.replace("=", " ", 1)
            for word in options
            if "=" in word and not word.startswith("-")
        ]
        lines = [
            f"HostName {node.ssh_host}",
            f"Port {node.ssh_port}",
            f"User {node.ssh_user}",
            f'ControlPath "{control_dir / node.name}.ssh"',
            "ControlMaster no",
            *settings,
        ]
        blocks.append(f"Host {node.name}\n" + "".join(f"    {line}\n" for line in lines))
    return "\n".join(blocks)
