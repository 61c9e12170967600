"""The embedded platform: a cluster of QEMU machines on this host, without root."""

from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.cluster_file import CLUSTER_DIRECTORY, read_cluster, write_cluster
from osqual.cluster_file import FILE_NAME as CLUSTER_FILE
from osqual.effects.scope import RunScope
from osqual.errors import InvalidInput
from osqual.model import Cluster, Image, Node, SshIdentity
from osqual.platforms.base import ProvisionRequest
from osqual.platforms.qemu_capacity import check_room, cpus_per_node
from osqual.platforms.qemu_forks import (
    fork_cluster,
    is_saved,
    pause_cluster,
    resume_cluster,
    save_cluster,
)
from osqual.platforms.qemu_layout import (
    PRIVATE_PREFIX,
    NodePlan,
    plan_nodes,
)
from osqual.platforms.qemu_node import NodeMachine, start_machine
from osqual.platforms.qemu_ready import wait_cluster
from osqual.processes.process import find_program, write_atomic
from osqual.qemu.acceleration import Acceleration, probe
from osqual.qemu.disk import create_overlay
from osqual.qemu.footprint import machines_room
from osqual.qemu.ports import Group, reserved_group
from osqual.qemu.seed import NodeIdentity, Seed, StaticNetwork, write_seed
from osqual.qemu.vm import Vm
from osqual.room import Room, available_cpus, measure_room
from osqual.settings import Settings
from osqual.ssh.keys import make_key_pair
from osqual.ssh.machine import known_hosts_line
from osqual.teardown import LOCAL_KINDS, end_resources

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "ssh", "ssh-keygen")


class QemuPlatform:
    """See `platforms.base.Platform`. Sizes of nodes come from the settings' `qemu` section."""

    def validate(self, request: ProvisionRequest, scope: RunScope) -> None:
        """Programs, acceleration, memory and disk.

        Raises MissingProgram, NoAcceleration, InvalidInput or NotEnoughRoom.
        """
        for program in PROGRAMS:
            find_program(program)
        plans = plan_nodes(request.topology, scope.directory)
        acceleration = probe(scope.settings, scope.cancellation, may_boot=not scope.dry)
        problem = check_room(
            nodes=len(plans),
            qemu=scope.settings.qemu,
            accelerator=acceleration.accelerator,
            room=measure_room(scope.directory),
            directory=scope.directory,
        )
        if problem is not None:
            raise problem

    def room(
        self, request: ProvisionRequest, settings: Settings, cancellation: Cancellation
    ) -> Room:
        """What the machines take."""
        return machines_room(
            count=request.topology.total,
            memory_mb=settings.qemu.memory_mb,
            accelerator=probe(settings, cancellation).accelerator,
        )

    def provision(self, request: ProvisionRequest, image: Image, scope: RunScope) -> Cluster:
        """Boot every node from the image and return when each answers ssh and sees the others."""
        if image.file is None or not image.file.is_file():
            raise InvalidInput(
                "The image to boot is not on this machine.",
                details=f"image: {', '.join(image.ids.values()) or 'none'}",
                resolution="build it here (publish_dcos_images_after other than never)",
            )
        acceleration = probe(scope.settings, scope.cancellation)
        scope.progress(acceleration.words)
        plans = plan_nodes(request.topology, scope.directory)
        cpus = cpus_per_node(
            nodes=len(plans),
            qemu=scope.settings.qemu,
            accelerator=acceleration.accelerator,
            host_cpus=available_cpus(),
        )
        identity = _make_identity(plans, scope)
        vms: list[Vm] = []
        nodes: list[Node] = []
        with reserved_group() as group:
            _journal_group(group, scope)
            for plan in plans:
                seed = _prepare(plan, plans, request, image.file, identity, scope)
                vm, port = _start(plan, cpus, seed, group, acceleration, scope)
                vms.append(vm)
                nodes.append(_node(plan, port, request.ssh_user))
                scope.progress("is booting", node=plan.name)
        cluster = Cluster(nodes=tuple(nodes), identity=identity)
        write_cluster(scope.directory / CLUSTER_FILE, cluster)
        wait_cluster(cluster, vms, scope)
        return cluster

    def accelerator(self, scope: RunScope) -> str:
        """What the probe found, from its cache."""
        return probe(scope.settings, scope.cancellation).accelerator

    def hold(self, scope: RunScope) -> None:
        """Save the cluster when that was not done before; only pause it when it was."""
        if is_saved(scope.directory):
            pause_cluster(scope)
        else:
            save_cluster(scope)

    def go_on(self, scope: RunScope) -> None:
        """Let a cluster that is held go on, with the time of now."""
        resume_cluster(scope)

    def fork(self, source: Path, scope: RunScope) -> Cluster:
        """Another cluster from the one that was saved in `source`."""
        return fork_cluster(source, scope)

    def save(self, scope: RunScope) -> None:
        """Save the cluster as it is now; it stays paused."""
        save_cluster(scope)

    def destroy(self, scope: RunScope) -> None:
        """End every machine and remove what they used; consoles and logs stay."""
        end_resources(scope, LOCAL_KINDS)
        (scope.directory / CLUSTER_FILE).unlink(missing_ok=True)


def load_cluster(run_directory: Path) -> Cluster | None:
    """The cluster of a run as `provision` left it; None when there is none (any more)."""
    path = run_directory / CLUSTER_FILE
    return read_cluster(path) if path.exists() else None


def _make_identity(plans: tuple[NodePlan, ...], scope: RunScope) -> SshIdentity:
    """One key pair for the run and one host key per node, pinned before anything boots."""
    root = scope.directory / CLUSTER_DIRECTORY
    keys = root / "keys"
    row = scope.journal.intend("key", "ssh keys", {"platform": "qemu", "path": str(keys)})
    private = keys / "id_ed25519"
    public = make_key_pair(private, f"osqual-{scope.run_id}", scope.cancellation)
    lines = []
    for plan in plans:
        host = make_key_pair(_host_key(plan), plan.name, scope.cancellation)
        lines.append(known_hosts_line(plan.name, host.read_text()))
    write_atomic(root / "known_hosts", "".join(lines))
    scope.journal.created(row, str(keys), {})
    return SshIdentity(private_key=private, public_key=public, known_hosts=root / "known_hosts")


def _host_key(plan: NodePlan) -> Path:
    return plan.directory.parent / "keys" / f"{plan.name}_host"


def _prepare(
    plan: NodePlan,
    plans: tuple[NodePlan, ...],
    request: ProvisionRequest,
    image: Path,
    identity: SshIdentity,
    scope: RunScope,
) -> Seed:
    """Make a node's disk and the identity it is handed at boot."""
    plan.directory.mkdir(parents=True, exist_ok=True)
    details = {"platform": "qemu", "path": str(plan.disk)}
    row = scope.journal.intend("disk", plan.name, details)
    create_overlay(
        plan.disk, image, size_gb=scope.settings.qemu.disk_gb, cancellation=scope.cancellation
    )
    scope.journal.created(row, str(plan.disk), {})
    row = scope.journal.intend(
        "key", f"seed of {plan.name}", {"platform": "qemu", "path": str(plan.seed)}
    )
    host_key = _host_key(plan)
    seed = write_seed(
        plan.seed,
        NodeIdentity(
            hostname=plan.name,
            user=request.ssh_user,
            authorized_key=identity.public_key.read_text(),
            host_private_key=host_key.read_text(),
            host_public_key=host_key.with_name(host_key.name + ".pub").read_text(),
            outside_mac=plan.outside_mac,
            networks=(
                StaticNetwork(mac=plan.inside_mac, address_cidr=f"{plan.address}/{PRIVATE_PREFIX}"),
            ),
            hosts={each.name: each.address for each in plans},
        ),
    )
    scope.journal.created(row, str(plan.seed), {})
    return seed


def _journal_group(group: Group, scope: RunScope) -> None:
    row = scope.journal.intend("network", str(group), {"platform": "qemu"})
    scope.journal.created(row, str(group), {})


def _start(
    plan: NodePlan,
    cpus: int,
    seed: Seed,
    group: Group,
    acceleration: Acceleration,
    scope: RunScope,
) -> tuple[Vm, int]:
    machine = NodeMachine(
        name=plan.name,
        directory=plan.directory,
        memory_mb=scope.settings.qemu.memory_mb,
        cpus=cpus,
        acceleration=acceleration,
        outside_mac=plan.outside_mac,
        inside_mac=plan.inside_mac,
        seed=seed,
        disk=plan.disk,
    )
    _, vm, port = start_machine(machine, group, scope)
    return vm, port


def _node(plan: NodePlan, port: int, user: str) -> Node:
    return Node(
        name=plan.name,
        role=plan.role,
        ssh_host="127.0.0.1",
        ssh_port=port,
        ssh_user=user,
        private_address=plan.address,
        public_address=plan.address,
        console=plan.console,
    )
