"""A real cluster, and what becomes of machines that do not boot or die.

Two nodes: the runs of `test_run.py` boot three. Saved memory is tested with the builder's layers.
"""

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.bases.resolve import resolve_base
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.effects.sockets import remove_socket_directory, socket_directory
from osqual.errors import ProvisionFailed
from osqual.events import EventBus
from osqual.model import Cluster, Configuration, Image, Node, Topology
from osqual.platforms.base import ProvisionRequest
from osqual.platforms.qemu import QemuPlatform, load_cluster
from osqual.processes.process import run
from osqual.qemu.acceleration import probe
from osqual.qemu.failure import PortTaken, VmFailed
from osqual.qemu.ports import can_listen, reserved_ports
from osqual.qemu.vm import Disk, UserNic, Vm, VmSpec
from osqual.settings import Directories, Qemu, Settings
from osqual.ssh.machine import HostKeyMismatch, Machine
from osqual.store.store import Store, open_store
from tests.integration.conftest import Workshop, processes_naming, wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(2400)]

DESTROY = """
import sys
from pathlib import Path
from osqual.cancellation import Cancellation
from osqual.events import EventBus
from osqual.platforms.qemu import QemuPlatform
from osqual.effects.scope import RunScope
from osqual.settings import Directories, Settings
from osqual.store.store import open_store
state, run = sys.argv[1:]
settings = Settings(directories=Directories(state=Path(state)))
QemuPlatform().destroy(
    RunScope(
        run_id=run,
        directory=Path(state) / "runs" / run,
        settings=settings,
        journal=open_store(settings).journal(run),
        bus=EventBus(),
        cancellation=Cancellation(),
    )
)
"""


@pytest.fixture(scope="module")
def settings(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    state = tmp_path_factory.mktemp("state")
    return Settings(
        directories=Directories(state=state, cache=workshop.cache, data=state / "data"),
        qemu=Qemu(memory_mb=512, boot_timeout_s=1800),
    )


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings)
    yield opened
    opened.close()


def make_scope(name: str, settings: Settings, store: Store) -> RunScope:
    directory = settings.directories.state / "runs" / name
    directory.mkdir(parents=True)
    store.begin_run(
        name,
        configuration="c",
        catalogue=directory,
        directory=directory,
        options={},
        owner="test",
        version="0",
        step_names=["provision"],
    )
    return RunScope(
        run_id=name,
        directory=directory,
        settings=settings,
        journal=store.journal(name),
        bus=EventBus(lambda event: print(event.message)),
        cancellation=Cancellation(),
    )


@pytest.fixture(scope="module")
def image(settings: Settings, store: Store) -> Image:
    base = resolve_base(
        "debian:bookworm", relative_to=Path("/"), scope=make_scope("base", settings, store)
    )
    return Image(ids={"local": base.digest}, file=base.path)


def request(topology: Topology) -> ProvisionRequest:
    return ProvisionRequest(
        configuration=Configuration(root=Path("/"), path="x", dimensions={}),
        topology=topology,
        ssh_user="admin",
        variables={},
    )


@pytest.fixture(scope="module")
def scope(settings: Settings, store: Store) -> RunScope:
    return make_scope("cluster", settings, store)


@pytest.fixture(scope="module")
def cluster(scope: RunScope, image: Image) -> Iterator[Cluster]:
    platform = QemuPlatform()
    two = request(Topology(public_agents=0))
    platform.validate(two, scope)
    try:
        yield platform.provision(two, image, scope)
    finally:
        platform.destroy(scope)


def machine(node: Node, cluster: Cluster, scope: RunScope) -> Machine:
    return Machine(node, cluster.identity, socket_directory(scope), Cancellation())


def test_nodes_know_their_names_and_reach_each_other_by_them(
    cluster: Cluster, scope: RunScope
) -> None:
    for node in cluster.nodes:
        others = [each.name for each in cluster.nodes if each is not node]
        script = 'for name; do getent hosts "$name"; bash -c "</dev/tcp/$name/22"; done; hostname'
        done = machine(node, cluster, scope).run(["sh", "-ec", script, "x", *others])
        *found, hostname = done.stdout.splitlines()
        assert hostname == node.name
        assert [line.split()[1] for line in found] == others
        assert node.private_address not in done.stdout


def test_the_console_was_written_from_the_first_byte(cluster: Cluster) -> None:
    for node in cluster.nodes:
        assert node.console is not None
        assert "Linux version" in node.console.read_text(errors="replace")


def test_another_process_finds_the_cluster_and_its_keys(cluster: Cluster, scope: RunScope) -> None:
    loaded = load_cluster(scope.directory)
    assert loaded == cluster
    argv = machine(cluster.nodes[0], cluster, scope).ssh_argv()
    assert run([*argv, "id", "-un"], timeout_s=300).stdout == "admin\n"


def test_a_node_with_another_host_key_is_not_talked_to(
    cluster: Cluster, scope: RunScope, tmp_path: Path
) -> None:
    first, second = cluster.nodes[:2]
    known_hosts = tmp_path / "known_hosts"
    lines = cluster.identity.known_hosts.read_text().splitlines()
    swapped = next(line for line in lines if line.startswith(second.name))
    known_hosts.write_text(swapped.replace(second.name, first.name) + "\n")
    identity = dataclasses.replace(cluster.identity, known_hosts=known_hosts)
    impostor = Machine(first, identity, tmp_path, Cancellation())
    with pytest.raises(HostKeyMismatch):
        impostor.run(["true"], timeout_s=300)


def test_a_node_restarts_and_comes_back(cluster: Cluster, scope: RunScope) -> None:
    agent = machine(cluster.nodes[1], cluster, scope)
    agent.run(["touch", "/home/admin/kept"])
    before = agent.boot_id()
    agent.reboot(1800)
    assert agent.boot_id() != before
    agent.run(["test", "-e", "/home/admin/kept"])


def test_destroying_from_another_process_leaves_nothing_but_the_evidence(
    cluster: Cluster, scope: RunScope, store: Store
) -> None:
    ports = [node.ssh_port for node in cluster.nodes]
    sockets = socket_directory(scope)
    assert not any(can_listen(port) for port in ports)
    argv = [sys.executable, "-c", DESTROY, str(scope.settings.directories.state), scope.run_id]
    subprocess.run(argv, check=True, timeout=600)
    assert processes_naming(str(scope.directory)) == []
    assert processes_naming(str(sockets)) == []
    assert all(can_listen(port) for port in ports)
    assert not sockets.exists()
    assert store.resources(run_id=scope.run_id) == []
    kept = {path.name for path in scope.directory.rglob("*") if path.is_file()}
    assert kept >= {"console.log", "known_hosts", "stderr"}
    assert not kept & {"disk.qcow2", "seed.iso", "id_ed25519", "cluster.json"}


def test_a_node_that_does_not_boot_is_named_and_everything_is_ended(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    blank = tmp_path / "blank.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(blank), "1G"])
    qemu = settings.qemu.model_copy(update={"boot_timeout_s": 8.0})
    hung = make_scope("hung", settings.model_copy(update={"qemu": qemu}), store)
    platform = QemuPlatform()
    with pytest.raises(ProvisionFailed, match="The node master-1 did not come up") as failed:
        platform.provision(
            request(Topology(private_agents=0, public_agents=0)),
            Image(ids={"local": "x"}, file=blank),
            hung,
        )
    assert "console.log" in failed.value.resolution
    platform.destroy(hung)
    assert processes_naming(str(hung.directory)) == []
    assert store.resources(run_id="hung") == []


def test_a_machine_that_dies_is_noticed_long_before_the_limit(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    blank = tmp_path / "blank.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(blank), "1G"])
    dying = make_scope("dying", settings, store)
    with reserved_ports(1) as (port,):
        vm = Vm.start(blank_spec(blank, port, tmp_path, settings), tmp_path / "vm", dying)
    os.killpg(vm.pid, 9)
    wait_until(lambda: not vm.is_alive(), limit_s=60, what="the end of a killed machine")
    with pytest.raises(VmFailed, match="QEMU was killed"):
        vm.check()
    vm.kill()
    remove_socket_directory(dying)
    assert store.resources(run_id="dying") == []


def test_a_port_that_was_taken_in_the_meantime_is_a_named_error(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    blank = tmp_path / "blank.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(blank), "1G"])
    taken = make_scope("taken", settings, store)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        spec = blank_spec(blank, listener.getsockname()[1], tmp_path, settings)
        with pytest.raises(PortTaken, match="port for ssh is already in use"):
            Vm.start(spec, tmp_path / "vm", taken)
    remove_socket_directory(taken)
    assert taken.journal.unended() == []


def blank_spec(disk: Path, port: int, tmp_path: Path, settings: Settings) -> VmSpec:
    return VmSpec(
        name="blank",
        memory_mb=256,
        cpus=1,
        acceleration=probe(settings, Cancellation()),
        disks=(Disk(path=disk),),
        nics=(UserNic(host_port=port, mac="52:54:00:00:00:01"),),
        serial_log=tmp_path / "console.log",
    )
