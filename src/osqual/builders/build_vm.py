"""The machine of a build: booted from a disk or restored from a layer, paused for checkpoints."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osqual.builders.identity import NODE_NAME, BuildIdentity
from osqual.builders.options import QemuOptions
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import BuildFailed, OsqualError, TimeLimitExceeded
from osqual.model import Node, Role
from osqual.processes.process import run
from osqual.qemu.acceleration import Acceleration
from osqual.qemu.failure import PortTaken
from osqual.qemu.ports import reserved_ports
from osqual.qemu.revival import GENERATION, revive
from osqual.qemu.seed import Seed
from osqual.qemu.vm import Disk, UserNic, Vm, VmSpec, vm_argv
from osqual.ssh.machine import ConnectionLost, Machine

MAC = "52:54:00:6f:71:01"
RESTORE_TIMEOUT_S = 120.0
PORT_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class MachineShape:
    """What a build's machine is, apart from its disk."""

    options: QemuOptions
    acceleration: Acceleration
    identity: BuildIdentity
    seed: Seed

    @property
    def extra_arguments(self) -> tuple[str, ...]:
        """Arguments after those that every machine has."""
        machine = self.options.machine_type
        return (
            *(("-machine", machine) if machine != "pc" else ()),
            *GENERATION,
            *self.options.extra_arguments,
        )

    def spec(self, disk: Path, directory: Path, *, port: int, incoming: bool) -> VmSpec:
        """The machine on a disk."""
        return VmSpec(
            name=NODE_NAME,
            memory_mb=self.options.memory,
            cpus=self.options.cpus,
            acceleration=self.acceleration,
            disks=(Disk(path=disk),),
            nics=(UserNic(host_port=port, mac=MAC),),
            serial_log=directory / "console.log",
            seed=self.seed,
            extra_args=self.extra_arguments,
            incoming=incoming,
        )

    def memory_flavour(self) -> Mapping[str, Any]:
        """Everything that must be the same for saved memory to be used."""
        nowhere = Path("/")
        seed = Seed(
            iso=nowhere / "seed.iso",
            fw_cfg=dict.fromkeys(self.seed.fw_cfg, nowhere / "seed"),
        )
        spec = replace(self, seed=seed).spec(nowhere / "disk", nowhere, port=0, incoming=False)
        version = run(["qemu-system-x86_64", "--version"]).stdout.splitlines()[0]
        return {
            "mode": "ram",
            "identity": self.identity.fingerprint,
            "qemu": version,
            "command": vm_argv(spec, nowhere, nowhere / "qmp"),
        }

    def disk_flavour(self) -> Mapping[str, Any]:
        """The same for a layer that is booted: only the keys on the disk matter."""
        return {"mode": "disk", "identity": self.identity.fingerprint}


@dataclass(frozen=True, kw_only=True)
class BuildVm:
    """A running build machine and the way into it."""

    vm: Vm
    machine: Machine
    user: str

    @property
    def sudo(self) -> bool:
        """Whether root's work needs sudo."""
        return self.user != "root"

    def checkpoint(self, next_disk: Path, ram: Path | None) -> None:
        """Freeze the disk as it is, and the memory when `ram` is given; go on in `next_disk`."""
        self.machine.run(["sync"], timeout_s=600)
        if ram is not None:
            self.machine.close()  # no connection of ours shall be in the saved memory
        self.vm.pause()
        self.vm.snapshot_disk(next_disk)
        if ram is not None:
            self.vm.save_ram(ram)
        self.vm.resume()

    def power_off(self, command: str, timeout_s: float) -> None:
        """Run the shutdown command and wait until the machine has gone. Raises BuildFailed."""
        try:
            self.machine.run_shell(command, check=False, timeout_s=timeout_s)
        except (ConnectionLost, TimeLimitExceeded):
            pass  # it went down before it could answer; whether it did is seen below
        finally:
            self.machine.close()
        try:
            self.vm.wait_end(timeout_s)
        except TimeLimitExceeded as error:
            raise BuildFailed(
                f"The machine did not power off within {timeout_s:g} s.",
                details=f"The command was: {command}\n{self.vm.console_tail()}",
                resolution="correct shutdown_command, or raise shutdown_timeout",
            ) from error


def boot(shape: MachineShape, disk: Path, directory: Path, scope: RunScope) -> BuildVm:
    """Boot the disk and wait for ssh. Nothing runs when it raises."""
    options = shape.options
    build = _start(shape, disk, directory, scope, incoming=False)
    try:
        build.machine.wait_ready(options.ssh_timeout_s, build.vm.check)
        scope.cancellation.sleep(options.pause_before_connecting)
        # Timers would start package work of their own in the middle of a build, all the more after
        # a restore, when the clock jumps. This lasts until the next boot and leaves no trace.
        build.machine.run(["systemctl", "stop", "*.timer"], sudo=build.sudo, check=False)
    except BaseException:
        end(build)
        raise
    return build


def restore(
    shape: MachineShape, disk: Path, ram: Path, directory: Path, scope: RunScope
) -> BuildVm:
    """Continue from saved memory on the disk that belongs to it, with the time of now."""
    build = _start(shape, disk, directory, scope, incoming=True)
    try:
        build.vm.load_ram(ram)
        build.vm.resume()
        build.machine.wait_ready(RESTORE_TIMEOUT_S, build.vm.check)
        revive(build.machine)
    except BaseException:
        end(build)
        raise
    return build


def end(build: BuildVm) -> None:
    """End machine and connection, in whatever state they are."""
    with suppress(OsqualError):
        build.machine.close()
    build.vm.kill()


def _start(
    shape: MachineShape, disk: Path, directory: Path, scope: RunScope, *, incoming: bool
) -> BuildVm:
    """Start QEMU; a port that was taken in the meantime is replaced by another."""
    for attempt in range(PORT_ATTEMPTS):
        place = _fresh_directory(directory)
        with reserved_ports(1) as (port,):
            spec = shape.spec(disk, directory, port=port, incoming=incoming)
            try:
                vm = Vm.start(spec, place, scope)
            except PortTaken:
                if attempt == PORT_ATTEMPTS - 1:
                    raise
                continue
        return BuildVm(vm=vm, machine=_machine(shape, port, scope), user=shape.options.ssh_username)
    raise AssertionError("unreachable")


def _machine(shape: MachineShape, port: int, scope: RunScope) -> Machine:
    node = Node(
        name=NODE_NAME,
        role=Role.MASTER,
        ssh_host="127.0.0.1",
        ssh_port=port,
        ssh_user=shape.options.ssh_username,
        private_address="",
        public_address="",
    )
    return Machine(node, shape.identity.ssh, socket_directory(scope), scope.cancellation)


def _fresh_directory(directory: Path) -> Path:
    """`vm-1`, `vm-2`, …: a job's directory is used once."""
    number = 1
    while (directory / f"vm-{number}").exists():
        number += 1
    return directory / f"vm-{number}"
