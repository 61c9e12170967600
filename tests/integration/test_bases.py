"""Real bases: made, booted by their own boot loader, and given their identity in both ways."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from osqual.bases.image import BaseImage
from osqual.bases.resolve import resolve_base
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.effects.sockets import remove_socket_directory, socket_directory
from osqual.errors import Interrupted, OsqualError
from osqual.events import Event, EventBus
from osqual.model import Node, Role, SshIdentity
from osqual.processes.process import run
from osqual.qemu.acceleration import Host, probe
from osqual.qemu.disk import create_overlay
from osqual.qemu.ports import reserved_ports
from osqual.qemu.seed import NodeIdentity, Seed, StaticNetwork, write_seed
from osqual.qemu.vm import Disk, SocketNic, UserNic, Vm, VmSpec
from osqual.settings import Directories, Settings
from osqual.ssh.keys import make_key_pair
from osqual.ssh.machine import HostKeyMismatch, Machine, known_hosts_line
from tests.integration.conftest import Workshop, processes_naming
from tests.scopes import MemoryJournal

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(3000)]

BOOT_LIMIT_S = 1500.0
# What systemd makes at each boot is not left.
LEFT_BY_THE_MAKING = "find /tmp /var/lib/apt/lists -path '/tmp/systemd-*' -prune -o -type f -print"
OUTSIDE, INSIDE = "52:54:00:00:00:01", "52:54:00:00:00:02"


@pytest.fixture(scope="module")
def scope(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunScope]:
    state = tmp_path_factory.mktemp("state")
    scope = RunScope(
        run_id="bases",
        directory=state / "run",
        settings=Settings(directories=Directories(state=state, cache=workshop.cache)),
        journal=MemoryJournal(),
        bus=EventBus(lambda event: print(event.message)),
        cancellation=Cancellation(),
    )
    scope.directory.mkdir()
    yield scope
    remove_socket_directory(scope)


def resolve(scope: RunScope, reference: str) -> BaseImage:
    return resolve_base(reference, relative_to=Path("/"), scope=scope)


@dataclass(frozen=True)
class Booted:
    """A machine that answers ssh, and what it was given."""

    vm: Vm
    machine: Machine
    identity: NodeIdentity

    def sh(self, command: str) -> str:
        return self.machine.run_shell(command, timeout_s=300).stdout.strip()


def make_identity(scope: RunScope, name: str) -> NodeIdentity:
    keys = scope.directory / name
    public = make_key_pair(keys / "id_ed25519", name, scope.cancellation)
    host_public = make_key_pair(keys / "host_key", name, scope.cancellation)
    return NodeIdentity(
        hostname=name,
        user="tester",
        authorized_key=public.read_text(),
        host_private_key=(keys / "host_key").read_text(),
        host_public_key=host_public.read_text(),
        outside_mac=OUTSIDE,
        networks=(StaticNetwork(mac=INSIDE, address_cidr="10.77.0.11/24"),),
        hosts={name: "10.77.0.11", "other": "10.77.0.12"},
    )


@contextmanager
def booted(
    scope: RunScope, disk: Path, identity: NodeIdentity, seed: Seed, attempt: str = ""
) -> Iterator[Booted]:
    """Boot the disk with the seed, log in with the host key checked, and end it."""
    name = identity.hostname
    directory = scope.directory / f"{name}{attempt}-vm"
    keys = scope.directory / name
    known_hosts = keys / "known_hosts"
    known_hosts.write_text(known_hosts_line(name, identity.host_public_key))
    with reserved_ports(1) as (port,):
        spec = VmSpec(
            name=name,
            memory_mb=768,
            cpus=2,
            acceleration=probe(scope.settings, scope.cancellation),
            disks=(Disk(path=disk),),
            nics=(
                UserNic(host_port=port, mac=OUTSIDE),
                SocketNic(group="230.0.0.66", port=port, mac=INSIDE),
            ),
            serial_log=directory / "console",
            seed=seed,
        )
        vm = Vm.start(spec, directory, scope)
    node = Node(
        name=name,
        role=Role.MASTER,
        ssh_host="127.0.0.1",
        ssh_port=port,
        ssh_user=identity.user,
        private_address="10.77.0.11",
        public_address="127.0.0.1",
    )
    ssh = SshIdentity(
        private_key=keys / "id_ed25519",
        public_key=keys / "id_ed25519.pub",
        known_hosts=known_hosts,
    )
    machine = Machine(node, ssh, socket_directory(scope), scope.cancellation)
    try:
        started = time.monotonic()
        machine.wait_ready(BOOT_LIMIT_S, vm.check)
        print(f"{name}{attempt}: ssh after {time.monotonic() - started:.0f} s")
        yield Booted(vm, machine, identity)
    except OsqualError:
        print(vm.console_tail(60))
        raise
    finally:
        machine.close()
        vm.kill()


def power_off(node: Booted) -> None:
    """In an orderly way, so that what was written is on the disk."""
    with suppress(OsqualError):
        node.sh("sudo systemctl poweroff")
    node.vm.wait_end(600)


def assert_has_identity(node: Booted) -> None:
    name = node.identity.hostname
    assert node.sh("hostname") == name
    assert node.sh("cat /etc/hostname") == name
    assert node.sh("sudo -n id -u") == "0"
    assert "10.77.0.11/24" in node.sh("ip -4 -o address")
    assert node.sh("getent hosts other").split()[0] == "10.77.0.12"
    assert node.sh("getent hosts localhost")
    fingerprint = node.sh("sudo cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert fingerprint == node.identity.host_public_key.split()[1]
    assert node.sh("ls /etc/ssh | grep -c 'host_.*_key$'") == "1"
    assert node.sh("grep -v '^#' /etc/resolv.conf | grep nameserver")


def test_own_base_takes_one_identity_after_another(scope: RunScope) -> None:
    base = resolve(scope, "debian:bookworm")
    disk = scope.directory / "own.qcow2"
    create_overlay(disk, base.path, size_gb=5)
    first, second = make_identity(scope, "first"), make_identity(scope, "second")
    seed = write_seed(scope.directory / "first" / "seed", first)

    with booted(scope, disk, first, seed) as node:
        assert_has_identity(node)
        assert node.sh(". /etc/os-release; echo $VERSION_CODENAME") == "bookworm"
        # It filled its larger disk, and its boot loader lets the console see everything.
        assert int(node.sh("df --output=size -k / | tail -1")) > 4_500_000
        assert "Linux version" in node.vm.console.read_text(errors="replace")
        assert node.sh("systemctl --failed --no-legend") == ""
        # Nothing of the machine that it was made on.
        assert node.sh("cat /etc/fstab").count("\n") == 0
        assert node.sh(LEFT_BY_THE_MAKING) == ""
        machine_id = node.sh("cat /etc/machine-id")
        assert len(machine_id) == 32
        # A menu that Debian's own tool writes boots too.
        node.sh("sudo update-grub")
        power_off(node)

    with booted(scope, disk, first, seed, "-again") as node:
        assert_has_identity(node)
        assert node.sh("cat /etc/machine-id") == machine_id
        assert node.sh("grep -c osqual-seed ~/.ssh/authorized_keys") == "1"
        power_off(node)

    seed = write_seed(scope.directory / "second" / "seed", second)
    with booted(scope, disk, second, seed) as node:
        assert_has_identity(node)
        assert node.sh("grep -c osqual-seed ~/.ssh/authorized_keys") == "1"
        assert "first" not in node.sh("cat /etc/hosts")
        # The host key is really checked.
        stranger = replace(node.machine.node, name="stranger")
        known = scope.directory / "stranger"
        known.write_text(known_hosts_line("stranger", first.host_public_key))
        identity = SshIdentity(
            private_key=scope.directory / "second" / "id_ed25519",
            public_key=scope.directory / "second" / "id_ed25519.pub",
            known_hosts=known,
        )
        deceived = Machine(stranger, identity, socket_directory(scope), scope.cancellation)
        with pytest.raises(HostKeyMismatch):
            deceived.connect()


def test_cloud_init_takes_its_identity_from_the_disk(scope: RunScope) -> None:
    base = resolve(scope, "debian:bookworm?seed=cloud-init")
    disk = scope.directory / "cloud.qcow2"
    create_overlay(disk, base.path)
    identity = make_identity(scope, "cloud")
    seed = write_seed(scope.directory / "cloud" / "seed", identity)
    with booted(scope, disk, identity, replace(seed, fw_cfg={})) as node:
        node.sh("cloud-init status --wait")
        assert_has_identity(node)
        assert node.sh("cloud-init status").endswith("done")


SUITES = os.environ.get("OSQUAL_TEST_SUITES", "trixie").split()
"""Suites besides the one that everything else here boots."""


@pytest.mark.parametrize("suite", SUITES)
def test_other_suites_boot(scope: RunScope, suite: str) -> None:
    base = resolve(scope, f"debian:{suite}")
    disk = scope.directory / f"{suite}.qcow2"
    create_overlay(disk, base.path, size_gb=4)
    identity = make_identity(scope, suite)
    seed = write_seed(scope.directory / suite / "seed", identity)
    with booted(scope, disk, identity, seed) as node:
        assert_has_identity(node)
        assert int(node.sh("df --output=size -k / | tail -1")) > 3_500_000
        assert node.sh("systemctl --failed --no-legend") == ""


def test_cancelling_leaves_nothing(
    scope: RunScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the real work: no process, no temporary system, no unfinished file."""
    cancellation = Cancellation()
    cache = tmp_path / "cache"
    temporary = tmp_path / "tmp"
    temporary.mkdir(mode=0o1777)

    def cancel_when_unpacking(event: Event) -> None:
        if "installing" in event.message or "extracting" in event.message:
            cancellation.cancel()

    own = replace(
        scope,
        settings=Settings(directories=Directories(state=tmp_path / "state", cache=cache)),
        bus=EventBus(cancel_when_unpacking),
        cancellation=cancellation,
    )
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(Interrupted):
        resolve(own, "debian:bookworm")
    assert processes_naming(str(tmp_path)) == []
    assert list(temporary.iterdir()) == []
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_real_kernel_answers_the_probe(scope: RunScope, tmp_path: Path) -> None:
    """QEMU with KVM's words replaced by TCG's stands for a host whose KVM works."""
    base = resolve(scope, "debian:bookworm")
    assert base.kernel is not None
    bases = tmp_path / "cache" / "bases"
    bases.mkdir(parents=True)
    (bases / "a.kernel").symlink_to(base.kernel)
    (tmp_path / "kvm").touch()
    program = tmp_path / "qemu"
    program.write_text(
        "#!/bin/bash\n"
        'words=("$@")\n'
        "for i in ${!words[@]}; do\n"
        "  case ${words[i]} in kvm) words[i]=tcg ;; host) words[i]=max ;; esac\n"
        "done\n"
        'exec qemu-system-x86_64 "${words[@]}"\n'
    )
    program.chmod(0o755)
    settings = Settings(directories=Directories(state=tmp_path / "state", cache=tmp_path / "cache"))
    host = Host(device=tmp_path / "kvm", program=str(program), kernel_limit_s=300.0)
    chosen = probe(settings, Cancellation(), host=host)
    assert chosen.accelerator == "kvm", chosen.reason
    assert processes_naming(str(bases)) == []


def test_the_probe_of_this_host_agrees_with_a_trial(scope: RunScope) -> None:
    """Whatever this host is: the accelerator that is chosen starts."""
    chosen = probe(scope.settings, scope.cancellation)
    argv = ["qemu-system-x86_64", "-machine", "none", *chosen.arguments[:2], "-display", "none"]
    stdin = '{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'
    assert run([*argv, "-qmp", "stdio"], stdin=stdin, timeout_s=60).exit_status == 0
