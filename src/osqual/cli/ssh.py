"""`osqual ssh`: a shell, or one command, on a node of a run that is still there."""

import os
from pathlib import Path

import click

from osqual.cli.common import current_settings


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--fork", metavar="NAME", help="Of a fork of the cluster, as `debug` names it.")
@click.argument("name", metavar="RUN")
@click.argument("node_name", metavar="[NODE]", required=False)
@click.argument("command", metavar="[COMMAND]...", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, node_name: str | None, command: tuple[str, ...], *, fork: str | None) -> None:
    """Open a shell on NODE (default: the first master) of a run whose cluster is still there.

    A COMMAND comes after the node's name. RUN is a run's id, a part of it that fits no other, or
    `latest`. The run's own key and the host keys that it pinned are used.
    """
    from osqual.cancellation import Cancellation
    from osqual.cluster_file import FORKS_DIRECTORY
    from osqual.errors import NotFound
    from osqual.platforms.qemu import load_cluster
    from osqual.processes.process import find_program
    from osqual.ssh.machine import Machine
    from osqual.store.store import open_store

    run = open_store(current_settings()).run(name)
    directory = Path(run["directory"])
    directory = directory / FORKS_DIRECTORY / fork if fork else directory
    cluster = load_cluster(directory)
    if cluster is None:
        raise NotFound(
            f"The run {run['id']} has no {'such fork' if fork else 'cluster'} any more.",
            resolution="keep one with `osqual run LEAF --keep on-failure` (or always)",
        )
    node = cluster.nodes[0] if node_name is None else cluster.node(node_name)
    if node is None:
        raise NotFound(
            f"The run {run['id']} has no node {node_name!r}.",
            details="It has: " + ", ".join(node.name for node in cluster.nodes),
            resolution="name a node before a command: "
            f"osqual ssh {name} {cluster.nodes[0].name} {' '.join([str(node_name), *command])}",
        )
    machine = Machine(node, cluster.identity, directory, Cancellation())
    argv = [*machine.ssh_argv(), *command]
    os.execv(find_program("ssh"), argv)  # noqa: S606 - argv list; the terminal becomes ssh's
