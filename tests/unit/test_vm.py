import json
import shlex
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError
from osqual.events import EventBus
from osqual.processes.job import Job
from osqual.qemu.acceleration import Acceleration
from osqual.qemu.failure import PortTaken, VmFailed, explain_failure
from osqual.qemu.seed import Seed
from osqual.qemu.vm import (
    PID_FILE,
    Disk,
    SocketNic,
    UserNic,
    Vm,
    VmRecord,
    VmSpec,
    next_node,
    top_node,
    vm_argv,
)
from osqual.settings import Directories, Settings
from osqual.store.store import Store
from tests.stores import new_store

TCG = Acceleration(accelerator="tcg", cpu_model="max", machine="pc", thread="multi", reason="test")
COMMON = [
    "qemu-system-x86_64 -name node -no-user-config -nodefaults -display none",
    "-machine pc,usb=off,vmport=off -accel tcg,thread=multi -cpu max",
    "-m 512 -smp 2 -boot strict=on -pidfile /vm/qemu.pid",
    "-chardev socket,id=qmp,path=/s/node.qmp,server=on,wait=off -mon chardev=qmp,mode=control",
    "-chardev file,id=console,path=/vm/console,append=on -serial chardev:console",
    "-object rng-builtin,id=rng -device virtio-rng-pci,rng=rng",
]


def spec(**changes: object) -> VmSpec:
    facts: dict[str, object] = {
        "name": "node",
        "memory_mb": 512,
        "cpus": 2,
        "acceleration": TCG,
        "disks": (),
        "nics": (),
        "serial_log": Path("/vm/console"),
        **changes,
    }
    return VmSpec(**facts)  # type: ignore[arg-type]


def words(*lines: str) -> list[str]:
    return [word for line in lines for word in shlex.split(line)]


def blockdevs(argv: list[str]) -> list[dict[str, object]]:
    return [json.loads(after) for word, after in pairwise(argv) if word == "-blockdev"]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, []),
        (
            {"nics": (UserNic(host_port=20022, mac="52:54:00:00:00:01"),)},
            [
                "-netdev user,id=net0,ipv6=off,hostfwd=tcp:127.0.0.1:20022-:22",
                "-device virtio-net-pci,id=net0-device,netdev=net0,mac=52:54:00:00:00:01,romfile=",
            ],
        ),
        (
            {
                "nics": (
                    UserNic(host_port=1, mac="a"),
                    SocketNic(group="239.255.1.2", port=30123, mac="b"),
                )
            },
            [
                "-netdev user,id=net0,ipv6=off,hostfwd=tcp:127.0.0.1:1-:22",
                "-device virtio-net-pci,id=net0-device,netdev=net0,mac=a,romfile=",
                "-netdev socket,id=net1,mcast=239.255.1.2:30123,localaddr=127.0.0.1",
                "-device virtio-net-pci,id=net1-device,netdev=net1,mac=b,romfile=",
            ],
        ),
        ({"incoming": True}, ["-incoming defer"]),
        ({"extra_args": ("-cpu", "qemu64", "-snapshot")}, ["-cpu qemu64 -snapshot"]),
    ],
)
def test_facts_become_this_command(facts: dict[str, object], expected: list[str]) -> None:
    argv = vm_argv(spec(**facts), Path("/vm"), Path("/s/node.qmp"))
    assert argv == words(*COMMON, *expected)


def test_a_disk_keeps_its_node_name_cache_mode_and_any_path() -> None:
    odd = Path("/disks/a,b 'c\".qcow2")
    argv = vm_argv(spec(disks=(Disk(path=odd),)), Path("/vm"), Path("/s/q"))
    file, image = blockdevs(argv)
    assert file["filename"] == str(odd)
    assert (image["node-name"], image["driver"], image["discard"]) == ("disk0", "qcow2", "unmap")
    assert image["cache"] == file["cache"] == {"direct": False, "no-flush": True}
    assert argv[-1] == "virtio-blk-pci,id=disk0-device,drive=disk0,bootindex=1"


def test_a_disk_that_must_survive_is_flushed() -> None:
    disk = Disk(path=Path("/d"), format="raw", cache="writeback")
    _, image = blockdevs(vm_argv(spec(disks=(disk,)), Path("/vm"), Path("/s/q")))
    assert image["cache"] == {"direct": False, "no-flush": False}
    assert image["driver"] == "raw"


def test_both_forms_of_a_seed_are_attached_read_only() -> None:
    seed = Seed(iso=Path("/seed/seed.iso"), fw_cfg={"opt/osqual/identity": Path("/seed/a,b")})
    argv = vm_argv(spec(seed=seed), Path("/vm"), Path("/s/q"))
    assert [node["read-only"] for node in blockdevs(argv)] == [True, True]
    assert "virtio-blk-pci,id=seed-device,drive=seed" in argv
    assert argv[-2:] == ["-fw_cfg", "name=opt/osqual/identity,file=/seed/a,,b"]


def test_a_comma_in_a_path_ends_no_option() -> None:
    argv = vm_argv(spec(serial_log=Path("/a,b/console")), Path("/vm"), Path("/s,t/q"))
    assert "socket,id=qmp,path=/s,,t/q,server=on,wait=off" in argv
    assert "file,id=console,path=/a,,b/console,append=on" in argv


@pytest.mark.parametrize(
    ("stderr", "exit_status", "status", "kind", "said", "advice"),
    [
        (
            "qemu: -netdev user: Could not set up host forwarding rule 'tcp:127.0.0.1:22-:22'",
            1,
            "",
            PortTaken,
            "port for ssh is already in use",
            "run again",
        ),
        (
            'qemu: Failed to get "write" lock\nIs another process using the image [/d]?',
            1,
            "",
            VmFailed,
            "disk is in use by another process",
            "end the process",
        ),
        (
            "Could not access KVM kernel module: No such file or directory",
            1,
            "",
            VmFailed,
            "KVM is not usable",
            "OSQUAL_ACCELERATION=auto",
        ),
        (
            "cannot set up guest memory 'pc.ram': Cannot allocate memory",
            1,
            "",
            VmFailed,
            "not enough memory",
            "qemu.memory_mb",
        ),
        ("", 137, "", VmFailed, "QEMU was killed", "dmesg"),
        ("", None, "", VmFailed, "QEMU was killed", "dmesg"),
        ("", 0, "", VmFailed, "powered off by itself", "console"),
        ("", None, "io-error", VmFailed, "its disk cannot be written", "full or failing disk"),
        ("strange", 3, "", VmFailed, "exit status 3", "message above"),
    ],
)
def test_a_dead_machine_is_explained(
    stderr: str, exit_status: int | None, status: str, kind: type[VmFailed], said: str, advice: str
) -> None:
    error = explain_failure(
        "node",
        status=status,
        exit_status=exit_status,
        stderr=stderr,
        console="Kernel panic",
        console_path=Path("/run/console.log"),
    )
    assert type(error) is kind
    assert said in error.brief
    assert stderr in error.details
    assert "Kernel panic" in error.details
    assert advice in error.resolution
    assert "/run/console.log" in error.resolution


def test_overlays_are_named_in_order_and_the_top_one_is_found() -> None:
    assert [next_node("disk0"), next_node("disk0-1"), next_node("disk0-9")] == [
        "disk0-1",
        "disk0-2",
        "disk0-10",
    ]
    blocks = [
        {"qdev": "/machine/peripheral/seed-device/virtio-backend", "inserted": {"node-name": "s"}},
        {"qdev": "/machine/peripheral/disk0-device", "inserted": {"node-name": "disk0-3"}},
    ]
    assert top_node(blocks, "disk0-device") == "disk0-3"
    with pytest.raises(InfrastructureError, match="disk1-device"):
        top_node(blocks, "disk1-device")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = new_store(Settings(directories=Directories(state=tmp_path / "state")))
    opened.begin_run(
        "run",
        configuration="c",
        catalogue=tmp_path,
        directory=tmp_path / "run",
        options={},
        owner="o",
        version="0",
        step_names=["build"],
    )
    return opened


@pytest.fixture
def scope(tmp_path: Path, store: Store) -> RunScope:
    (tmp_path / "run").mkdir()
    return RunScope(
        run_id="run",
        directory=tmp_path / "run",
        settings=Settings(),
        journal=store.journal("run"),
        bus=EventBus(),
        cancellation=Cancellation(),
    )


def recorded(scope: RunScope, directory: Path) -> int:
    directory.mkdir(parents=True)
    row = scope.journal.intend("vm", "node", {"directory": str(directory)})
    record = VmRecord(
        name="node", row=row, qmp_socket=directory / "qmp", console=directory / "console"
    )
    record.write(directory)
    return row


def test_a_machine_that_was_recorded_but_never_started_is_ended_cleanly(
    scope: RunScope, tmp_path: Path
) -> None:
    recorded(scope, tmp_path / "vm")
    vm = Vm.attach(tmp_path / "vm", scope)
    assert not vm.is_alive()
    vm.kill()
    vm.kill()
    assert scope.journal.unended() == []


def test_a_later_process_ends_a_machine_that_does_not_answer(
    scope: RunScope, tmp_path: Path
) -> None:
    recorded(scope, tmp_path / "vm")
    job = Job.start(tmp_path / "vm" / "job", ["sleep", "100"])
    vm = Vm.attach(tmp_path / "vm", scope)
    assert vm.is_alive()
    vm.kill()
    assert not vm.is_alive()
    assert job.exit_status is not None
    assert scope.journal.unended() == []


def test_a_machine_whose_starter_died_too_early_is_found_by_its_pid_file(
    scope: RunScope, tmp_path: Path
) -> None:
    directory = tmp_path / "vm"
    recorded(scope, directory)
    argv = ["tail", "-F", "--quiet", str(directory / PID_FILE)]
    with subprocess.Popen(argv) as stray:
        (directory / PID_FILE).write_text(str(stray.pid))
        vm = Vm.attach(directory, scope)
        while b"qemu.pid" not in Path(f"/proc/{stray.pid}/cmdline").read_bytes():
            time.sleep(0.01)  # the kernel fills it in a little after the start
        assert vm.is_alive()
        vm.kill()
        assert stray.wait() == -9


def test_a_pid_file_of_another_process_harms_nobody(scope: RunScope, tmp_path: Path) -> None:
    directory = tmp_path / "vm"
    recorded(scope, directory)
    with subprocess.Popen(["sleep", "100"]) as other:
        (directory / PID_FILE).write_text(str(other.pid))
        Vm.attach(directory, scope).kill()
        time.sleep(0.05)
        assert other.poll() is None
        other.kill()


def test_a_broken_record_is_a_named_error(scope: RunScope, tmp_path: Path) -> None:
    for content in (None, "", "{", '{"name": "x"}'):
        if content is not None:
            (tmp_path / "vm.json").write_text(content)
        with pytest.raises(InfrastructureError, match="no machine in"):
            Vm.attach(tmp_path, scope)
