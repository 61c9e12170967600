"""Copies of a whole QEMU cluster: saved once, memory and disks, and forked from there.

Everything stands in the scope's directory as `provision` leaves it, so that a fork is a cluster
like any other, and can be saved in its turn. docs/adr/0018-isolation.md says what was measured.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from osqual.cluster_file import CLUSTER_DIRECTORY, read_cluster, write_cluster
from osqual.cluster_file import FILE_NAME as CLUSTER_FILE
from osqual.effects.scope import OwnedResource, RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import InfrastructureError
from osqual.model import Cluster, Node
from osqual.platforms.qemu_node import NodeMachine, read_machines, start_machine
from osqual.processes.process import write_atomic
from osqual.qemu.disk import create_overlay
from osqual.qemu.ports import Group, reserved_group
from osqual.qemu.revival import revive
from osqual.qemu.vm import Vm
from osqual.ssh.machine import Machine

SAVED = "saved.json"

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class SavedNode:
    """A node that was saved: the machine it was, over a disk that nobody writes to, and memory."""

    machine: NodeMachine
    ram: Path


def pause_cluster(scope: RunScope) -> None:
    """Stop every node's processors, all at once as far as that goes."""
    for machine in _machines(read_cluster(scope.directory / CLUSTER_FILE), scope):
        machine.close()  # no connection of ours shall be in the saved memory, or time out
    at_once(lambda found: found.attach(scope).pause(), read_machines(scope.directory))


def resume_cluster(scope: RunScope) -> None:
    """Let every node go on, with the time of now. Raises what `Machine.wait_ready` raises."""
    cluster = read_cluster(scope.directory / CLUSTER_FILE)
    _go_on(cluster, [found.attach(scope) for found in read_machines(scope.directory)], scope)


def save_cluster(scope: RunScope) -> None:
    """Pause the cluster and keep its memory and disks as they are; it stays paused.

    When it goes on, it writes to new disks over those that were kept.
    """
    pause_cluster(scope)
    found = read_machines(scope.directory)
    saved = at_once(lambda machine: _save_node(machine, scope), found)
    document = [{"machine": node.machine.document(), "ram": str(node.ram)} for node in saved]
    write_atomic(_saved_file(scope.directory), json.dumps(document, indent=2) + "\n")


def is_saved(directory: Path) -> bool:
    """Whether the cluster in a run's, or a fork's, directory can be forked."""
    return _saved_file(directory).exists()


def fork_cluster(source: Path, scope: RunScope) -> Cluster:
    """Another cluster that goes on from where the one in `source` was saved, in the scope's place.

    Its nodes have names, keys and private addresses of the original, and a network and ports of
    their own. Whoever calls ends the scope's resources, also when this raises.
    """
    original = read_cluster(source / CLUSTER_FILE)
    saved = _read_saved(source)
    with reserved_group() as group:
        scope.own("network", str(group), platform="qemu").created(str(group))
        started = at_once(lambda node: _restore_node(node, group, scope), saved)
    ports = {machine.name: (machine, port) for machine, _, port in started}
    nodes = tuple(_moved(node, *ports[node.name]) for node in original.nodes)
    cluster = Cluster(nodes=nodes, identity=original.identity)
    write_cluster(scope.directory / CLUSTER_FILE, cluster)
    _go_on(cluster, [vm for _, vm, _ in started], scope)
    return cluster


def at_once(action: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do it for all of them side by side; waits for all, then raises the first failure."""
    with ThreadPoolExecutor(max_workers=max(1, len(items)), thread_name_prefix="node") as pool:
        futures = [pool.submit(action, item) for item in items]
    return [future.result() for future in futures]


def _save_node(machine: NodeMachine, scope: RunScope) -> SavedNode:
    """Freeze its disk below a new one, and write its memory beside."""
    vm = machine.attach(scope)
    number = len(list(machine.directory.glob("ram*"))) + 1
    above = machine.directory / f"disk-{number}.qcow2"
    disk = _intended("disk", f"{machine.name} after it was saved", above, scope)
    vm.snapshot_disk(above)
    disk.created(str(above))
    replace(machine, disk=above).write()
    ram = machine.directory / f"ram-{number}"
    memory = _intended("file", f"memory of {machine.name}", ram, scope)
    vm.save_ram(ram)
    memory.created(str(ram))
    return SavedNode(machine=machine, ram=ram)


def _intended(kind: str, name: str, path: Path, scope: RunScope) -> OwnedResource:
    """A file in the journal before it is made; it stays until the cluster is ended."""
    return scope.own(kind, name, platform="qemu", path=str(path))


def _restore_node(saved: SavedNode, group: Group, scope: RunScope) -> tuple[NodeMachine, Vm, int]:
    """Start a node's equal over its disk and have its memory; it does not run yet."""
    directory = scope.directory / CLUSTER_DIRECTORY / saved.machine.name
    directory.mkdir(parents=True, exist_ok=True)
    disk = directory / "disk.qcow2"
    owned = _intended("disk", saved.machine.name, disk, scope)
    create_overlay(disk, saved.machine.disk, cancellation=scope.cancellation)
    owned.created(str(disk))
    machine = replace(saved.machine, directory=directory, disk=disk, vm="")
    started, vm, port = start_machine(machine, group, scope, incoming=True)
    vm.load_ram(saved.ram)
    return started, vm, port


def _moved(node: Node, machine: NodeMachine, port: int) -> Node:
    return replace(node, ssh_port=port, console=machine.console)


def _go_on(cluster: Cluster, vms: Sequence[Vm], scope: RunScope) -> None:
    """All run before any is waited for: what they say to each other is answered."""
    at_once(lambda vm: vm.resume(), vms)
    checks = {vm.name: vm.check for vm in vms}

    def wake(machine: Machine) -> None:
        machine.wait_ready(scope.settings.qemu.boot_timeout_s, checks[machine.node.name])
        revive(machine)

    at_once(wake, _machines(cluster, scope))


def _machines(cluster: Cluster, scope: RunScope) -> list[Machine]:
    control_dir = socket_directory(scope)
    return [
        Machine(node, cluster.identity, control_dir, scope.cancellation) for node in cluster.nodes
    ]


def _saved_file(directory: Path) -> Path:
    return directory / CLUSTER_DIRECTORY / SAVED


def _read_saved(directory: Path) -> list[SavedNode]:
    path = _saved_file(directory)
    try:
        return [
            SavedNode(machine=NodeMachine.parse(entry["machine"]), ram=Path(entry["ram"]))
            for entry in json.loads(path.read_text())
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfrastructureError(f"No cluster was saved in {directory}: {error}") from error
