import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.cluster_file import read_cluster, write_cluster
from osqual.effects.scope import RunScope
from osqual.effects.sockets import find_socket_directory, remove_socket_directory, socket_directory
from osqual.errors import CleanupIncomplete, InfrastructureError, InvalidInput
from osqual.events import EventBus
from osqual.model import Cluster, Configuration, Image, Node, Role, SshIdentity, Topology
from osqual.platforms.base import ProvisionRequest
from osqual.platforms.qemu import QemuPlatform, load_cluster
from osqual.platforms.qemu_capacity import NotEnoughRoom, check_room, cpus_per_node
from osqual.platforms.qemu_layout import plan_nodes
from osqual.processes.job import Job
from osqual.processes.running import process_start
from osqual.qemu.vm import VmRecord
from osqual.room import Room, measure_room
from osqual.settings import Directories, Qemu, Settings
from osqual.store.store import Store
from tests.stores import new_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = new_store(Settings(directories=Directories(state=tmp_path / "state")))
    opened.begin_run(
        "run",
        configuration="c",
        catalogue=tmp_path,
        directory=tmp_path / "run",
        options={},
        owner="o",
        version="0",
        step_names=["provision"],
    )
    yield opened
    opened.close()


@pytest.fixture
def scope(tmp_path: Path, store: Store) -> Iterator[RunScope]:
    (tmp_path / "run").mkdir()
    made = RunScope(
        run_id="run",
        directory=tmp_path / "run",
        settings=Settings(),
        journal=store.journal("run"),
        bus=EventBus(),
        cancellation=Cancellation(),
    )
    yield made
    remove_socket_directory(made)


def request(topology: Topology) -> ProvisionRequest:
    return ProvisionRequest(
        configuration=Configuration(root=Path("/"), path="x", dimensions={}),
        topology=topology,
        ssh_user="admin",
        variables={},
    )


def room(memory_mb: int = 100_000, disk_mb: int = 100_000) -> Room:
    return Room(memory_mb=memory_mb, disk_mb=disk_mb)


def check(room: Room, accelerator: str = "kvm") -> str:
    error = check_room(
        nodes=3,
        qemu=Qemu(memory_mb=1024),
        accelerator=accelerator,
        room=room,
        directory=Path("/state"),
    )
    return "" if error is None else str(error)


def test_a_cluster_that_fits_is_accepted() -> None:
    assert check(room()) == ""
    assert check(room(memory_mb=3 * (1024 + 100))) == ""


def test_too_little_memory_is_told_in_numbers_with_what_to_set() -> None:
    said = check(room(memory_mb=2000))
    assert "not enough memory for 3 nodes" in said
    assert "3 × (1024 + 100) MB = 3372 MB" in said
    assert "available: 2000 MB" in said
    assert "qemu.memory_mb in osqual.yaml" in said


def test_emulation_takes_memory_of_its_own() -> None:
    tight = room(memory_mb=3 * (1024 + 150))
    assert check(tight, "kvm") == ""
    assert "not enough memory" in check(tight, "tcg")


def test_too_little_disk_is_told_in_numbers_with_what_to_set() -> None:
    said = check(room(disk_mb=1000))
    assert "not enough disk space for 3 nodes" in said
    assert "available: 1000 MB" in said
    assert "OSQUAL_STATE_DIR" in said


def test_room_is_measured_where_the_directory_will_be(tmp_path: Path) -> None:
    found = measure_room(tmp_path / "not" / "there" / "yet")
    assert found.memory_mb > 0
    assert found.disk_mb > 0


def test_validate_refuses_what_this_machine_cannot_hold(scope: RunScope) -> None:
    with pytest.raises(NotEnoughRoom, match="for 200 nodes"):
        QemuPlatform().validate(request(Topology(private_agents=198)), scope)


@pytest.mark.parametrize("agents", [-2, 199])
def test_a_cluster_of_no_or_too_many_machines_is_refused(scope: RunScope, agents: int) -> None:
    with pytest.raises(InvalidInput, match="cannot be made on QEMU"):
        QemuPlatform().validate(request(Topology(private_agents=agents)), scope)


def test_every_node_has_its_own_name_address_and_cards() -> None:
    plans = plan_nodes(Topology(masters=3, private_agents=5, public_agents=2), Path("/run"))
    assert [plan.name for plan in plans[2:5]] == ["master-3", "private-agent-1", "private-agent-2"]
    assert plans[0].address == "10.214.0.11"
    assert plans[0].directory == Path("/run/cluster/master-1")
    for values in (
        {plan.address for plan in plans},
        {plan.directory for plan in plans},
        {mac for plan in plans for mac in (plan.outside_mac, plan.inside_mac)},
    ):
        assert len(values) in (10, 20)


def test_an_image_that_is_not_here_is_a_clear_error(scope: RunScope) -> None:
    image = Image(ids={"local": "sha256:abc"}, file=Path("/missing"))
    with pytest.raises(InvalidInput, match="not on this machine") as refused:
        QemuPlatform().provision(request(Topology()), image, scope)
    assert "sha256:abc" in refused.value.details


def cluster() -> Cluster:
    node = Node(
        name="master-1",
        role=Role.MASTER,
        ssh_host="127.0.0.1",
        ssh_port=20022,
        ssh_user="admin",
        private_address="10.0.0.1",
        public_address="10.0.0.1",
        console=Path("/run/console.log"),
    )
    paths = {name: Path(f"/run/{name}") for name in ("private_key", "public_key", "known_hosts")}
    return Cluster(nodes=(node,), identity=SshIdentity(**paths))


def test_a_cluster_is_the_same_after_its_file(tmp_path: Path) -> None:
    assert load_cluster(tmp_path) is None
    write_cluster(tmp_path / "cluster.json", cluster())
    assert load_cluster(tmp_path) == cluster()


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "nodes": [{}], "identity": {}}']
)
def test_a_broken_cluster_file_is_a_named_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cluster.json"
    path.write_text(content)
    with pytest.raises(InfrastructureError, match=r"cluster\.json does not describe a cluster"):
        read_cluster(path)


def test_sockets_are_private_short_and_found_from_the_run_directory(scope: RunScope) -> None:
    directory = socket_directory(scope)
    assert len(os.fsencode(directory)) <= 60
    assert directory.stat().st_mode & 0o077 == 0
    assert socket_directory(scope) == directory == find_socket_directory(scope.directory)
    remove_socket_directory(scope)
    assert not directory.exists()
    assert scope.journal.unended() == []
    remove_socket_directory(scope)


def test_sockets_have_a_place_also_after_the_host_restarted(
    scope: RunScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tempfile.mkdtemp(prefix="oq-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    before = socket_directory(scope)
    shutil.rmtree(runtime)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    after = socket_directory(scope)
    assert after.is_dir()
    assert after != before


def test_a_runtime_directory_that_others_can_write_to_is_not_used(
    scope: RunScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    (shared / "osqual").mkdir(parents=True)
    (shared / "osqual").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(shared))
    assert not socket_directory(scope).is_relative_to(shared)


class Leftovers:
    """A cluster as a killed orchestrator leaves it; `sleep` stands in for QEMU."""

    def __init__(self, scope: RunScope) -> None:
        self.scope = scope
        self.root = scope.directory / "cluster"
        self.sockets = socket_directory(scope)
        self.job = self._machine("master-1")
        self.disk = self._file("disk", "master-1", self.root / "master-1" / "disk.qcow2")
        self.key = self._file("key", "ssh keys", self.root / "keys" / "id")
        scope.journal.intend("port", "20022", {"platform": "qemu"})
        scope.journal.intend("network", "239.255.1.1:1", {"platform": "qemu"})
        scope.journal.intend("vm", "agent-1", {"directory": str(self.root / "agent-1" / "vm")})
        write_cluster(scope.directory / "cluster.json", cluster())

    def _machine(self, name: str) -> Job:
        directory = self.root / name / "vm"
        directory.mkdir(parents=True)
        console = self.root / name / "console.log"
        console.write_text("it booted")
        row = self.scope.journal.intend("vm", name, {"directory": str(directory)})
        socket = self.sockets / f"{name}.qmp"
        record = VmRecord(name=name, row=row, qmp_socket=socket, console=console)
        record.write(directory)
        return Job.start(directory / "job", ["sleep", "1000"])

    def _file(self, kind: str, name: str, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        self.scope.journal.intend(kind, name, {"platform": "qemu", "path": str(path)})
        return path


def test_a_later_process_ends_everything_and_keeps_the_evidence(scope: RunScope) -> None:
    left = Leftovers(scope)
    QemuPlatform().destroy(scope)
    assert left.job.state().value != "running"
    assert scope.journal.unended() == []
    assert not any(path.exists() for path in (left.disk, left.key, left.sockets))
    assert load_cluster(scope.directory) is None
    assert (left.root / "master-1" / "console.log").read_text() == "it booted"
    QemuPlatform().destroy(scope)


def test_nothing_to_destroy_is_fine(scope: RunScope) -> None:
    QemuPlatform().destroy(scope)


def test_what_it_does_not_know_is_left_to_others(scope: RunScope) -> None:
    scope.journal.intend("instance", "i-0123", {})
    QemuPlatform().destroy(scope)
    assert [row["name"] for row in scope.journal.unended()] == ["i-0123"]


def test_destroy_goes_on_past_a_failure_and_names_what_is_left(scope: RunScope) -> None:
    left = Leftovers(scope)
    scope.journal.intend("disk", "agent-2", {"path": str(left.disk / "below-a-file")})
    scope.journal.intend("disk", "nowhere", {})
    with pytest.raises(CleanupIncomplete) as incomplete:
        QemuPlatform().destroy(scope)
    assert "disk agent-2" in incomplete.value.details
    assert "disk nowhere" in incomplete.value.details
    assert len(scope.journal.unended()) == 2
    assert left.job.state().value != "running"
    assert not left.disk.exists()


def test_a_machine_that_died_with_its_whole_group_is_not_waited_for(scope: RunScope) -> None:
    left = Leftovers(scope)
    record = json.loads((left.job.directory / "job.json").read_text())
    os.killpg(record["pid"], signal.SIGKILL)
    while process_start(record["pid"]) is not None:
        time.sleep(0.01)
    QemuPlatform().destroy(scope)
    assert scope.journal.unended() == []


@pytest.mark.parametrize(
    ("accelerator", "host", "nodes", "setting", "expected"),
    [
        ("kvm", 2, 3, None, 2),
        ("tcg", 2, 3, None, 1),
        ("tcg", 2, 1, None, 2),
        ("tcg", 16, 3, None, 2),
        ("tcg", 2, 3, 4, 4),
    ],
)
def test_nodes_share_the_hosts_processors_under_emulation(
    accelerator: str, host: int, nodes: int, setting: int | None, expected: int
) -> None:
    qemu = Qemu(cpus=setting)
    assert (
        cpus_per_node(nodes=nodes, qemu=qemu, accelerator=accelerator, host_cpus=host) == expected
    )
