"""One virtual machine: its facts, the exact QEMU command they make, and its life as a job."""

import json
import os
import shlex
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import InfrastructureError, OsqualError, TimeLimitExceeded
from osqual.processes.job import Job, JobState
from osqual.processes.process import tail, write_atomic
from osqual.qemu.acceleration import Acceleration
from osqual.qemu.failure import VmFailed, explain_failure
from osqual.qemu.qmp import Qmp, QmpError, connect
from osqual.qemu.seed import Seed

PROGRAM = "qemu-system-x86_64"
RECORD_NAME = "vm.json"
PID_FILE = "qemu.pid"
START_TIMEOUT_S = 120.0
KILL_TIMEOUT_S = 30.0
CHECK_TIMEOUT_S = 5.0
MIGRATION_TIMEOUT_S = 600.0
POLL_S = 0.05
# No limit in practice: the default of 128 MiB/s is meant for networks.
MIGRATION_BANDWIDTH = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A disk image. `unsafe` ignores the guest's flushes: for whatever can be made again."""

    path: Path
    format: Literal["qcow2", "raw"] = "qcow2"
    interface: Literal["virtio"] = "virtio"
    cache: Literal["unsafe", "writeback"] = "unsafe"
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class UserNic:
    """User-mode networking: the outside for the guest, and its port 22 on the host's loopback."""

    host_port: int
    mac: str


@dataclass(frozen=True, kw_only=True)
class SocketNic:
    """A link shared by every machine on the same multicast group and port of the loopback."""

    group: str
    port: int
    mac: str


Nic = UserNic | SocketNic


@dataclass(frozen=True, kw_only=True)
class VmSpec:
    """Everything that determines a machine; `serial_log` receives its console from the start."""

    name: str
    memory_mb: int
    cpus: int
    acceleration: Acceleration
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    serial_log: Path
    seed: Seed | None = None
    extra_args: tuple[str, ...] = ()
    incoming: bool = False
    """Start stopped, without a boot, waiting for `load_ram`."""


def vm_argv(spec: VmSpec, directory: Path, qmp_socket: Path) -> list[str]:
    """The QEMU command for a machine whose files are in `directory`."""
    return [
        PROGRAM,
        *("-name", _escape(spec.name), "-no-user-config", "-nodefaults", "-display", "none"),
        *(
            "-machine",
            f"{spec.acceleration.machine},usb=off,vmport=off",
            *spec.acceleration.arguments,
        ),
        *("-m", str(spec.memory_mb), "-smp", str(spec.cpus), "-boot", "strict=on"),
        *("-pidfile", str(directory / PID_FILE)),
        *("-chardev", f"socket,id=qmp,path={_escape(qmp_socket)},server=on,wait=off"),
        *("-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"file,id=console,path={_escape(spec.serial_log)},append=on"),
        *("-serial", "chardev:console"),
        *("-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng"),
        *(word for n, disk in enumerate(spec.disks) for word in _disk_args(f"disk{n}", disk, n)),
        *_seed_args(spec),
        *(word for n, nic in enumerate(spec.nics) for word in _nic_args(f"net{n}", nic)),
        *(("-incoming", "defer") if spec.incoming else ()),
        *spec.extra_args,
    ]


def _disk_args(name: str, disk: Disk, number: int) -> list[str]:
    """JSON, so that no character of a path has a meaning."""
    common = {
        "read-only": disk.read_only,
        "discard": "unmap",
        "cache": {"direct": False, "no-flush": disk.cache == "unsafe"},
    }
    file = {
        "driver": "file",
        "node-name": f"{name}-file",
        "filename": str(disk.path),
        **common,
    }
    node = {"driver": disk.format, "node-name": name, "file": f"{name}-file", **common}
    device = f"virtio-blk-pci,id={name}-device,drive={name}"
    boots = "" if disk.read_only else f",bootindex={number + 1}"
    return ["-blockdev", json.dumps(file), "-blockdev", json.dumps(node), "-device", device + boots]


def _seed_args(spec: VmSpec) -> list[str]:
    if spec.seed is None:
        return []
    arguments: list[str] = []
    disk = Disk(path=spec.seed.iso, format="raw", read_only=True)
    arguments += _disk_args("seed", disk, len(spec.disks))
    for name, path in sorted(spec.seed.fw_cfg.items()):
        arguments += ["-fw_cfg", f"name={_escape(name)},file={_escape(path)}"]
    return arguments


def _nic_args(name: str, nic: Nic) -> list[str]:
    if isinstance(nic, UserNic):
        backend = f"user,id={name},ipv6=off,hostfwd=tcp:127.0.0.1:{nic.host_port}-:22"
    else:
        backend = f"socket,id={name},mcast={nic.group}:{nic.port},localaddr=127.0.0.1"
    device = f"virtio-net-pci,id={name}-device,netdev={name},mac={nic.mac},romfile="
    return ["-netdev", backend, "-device", device]


def _escape(value: object) -> str:
    """A value inside QEMU's comma-separated options."""
    return str(value).replace(",", ",,")


@dataclass(frozen=True, kw_only=True)
class VmRecord:
    """What is on disk about a machine, from before its start."""

    name: str
    row: int
    qmp_socket: Path
    console: Path

    def write(self, directory: Path) -> None:
        """Write it as `vm.json`."""
        values = {key: value if key == "row" else str(value) for key, value in vars(self).items()}
        write_atomic(directory / RECORD_NAME, json.dumps(values, indent=2) + "\n")

    @classmethod
    def read(cls, directory: Path) -> "VmRecord":
        """Read what `write` wrote; InfrastructureError when it is not there or not readable."""
        try:
            values = json.loads((directory / RECORD_NAME).read_text())
            return cls(
                name=values["name"],
                row=values["row"],
                qmp_socket=Path(values["qmp_socket"]),
                console=Path(values["console"]),
            )
        except (OSError, ValueError, KeyError) as error:
            raise InfrastructureError(f"There is no machine in {directory}: {error}") from error


def vm_runs(directory: Path) -> bool:
    """Whether the machine that was started in this directory still runs."""
    return Job(directory / "job").state() is JobState.RUNNING or stray_pid(directory) is not None


def stray_pid(directory: Path) -> int | None:
    """QEMU's pid by the file that it wrote itself, when its job is not known any more."""
    try:
        pid = int((directory / PID_FILE).read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(directory / PID_FILE) in words else None


class Vm:
    """A machine that runs as a detached job; everything about it is found from its directory.

    Waits use the scope's cancellation, except those of `kill`, which is clean-up.
    """

    def __init__(self, directory: Path, record: VmRecord, scope: RunScope) -> None:
        self.directory = directory
        self.name = record.name
        self.console = record.console
        self._record = record
        self._scope = scope
        self._job = Job(directory / "job")

    @classmethod
    def start(cls, spec: VmSpec, directory: Path, scope: RunScope) -> "Vm":
        """Journal the machine, start it and return once QEMU answers; the guest then boots.

        Raises VmFailed saying why QEMU gave up. Nothing runs when it raises.
        """
        directory.mkdir(parents=True, exist_ok=True)
        spec.serial_log.parent.mkdir(parents=True, exist_ok=True)
        socket = socket_directory(scope) / f"{spec.name}.qmp"
        row = scope.journal.intend("vm", spec.name, {"directory": str(directory)})
        record = VmRecord(name=spec.name, row=row, qmp_socket=socket, console=spec.serial_log)
        record.write(directory)
        vm = cls(directory, record, scope)
        try:
            vm._job = Job.start(directory / "job", vm_argv(spec, directory, socket))
            scope.journal.created(row, str(vm._job.pid), {})
            vm._wait_started()
        except BaseException:
            vm.kill()
            raise
        return vm

    @classmethod
    def attach(cls, directory: Path, scope: RunScope) -> "Vm":
        """The machine that was started in this directory, by whichever process, dead or alive."""
        return cls(directory, VmRecord.read(directory), scope)

    def _wait_started(self) -> None:
        """QEMU greets once all devices are set up; whatever is wrong shows before that."""
        what = f"waiting for QEMU to start {self.name}"
        token = self._scope.cancellation.limited(START_TIMEOUT_S, what)
        while True:
            if not self.is_alive():
                raise self.failure()
            with suppress(QmpError), connect(self._record.qmp_socket, token):
                return
            token.sleep(POLL_S)

    @property
    def pid(self) -> int:
        """The process group of the machine."""
        return self._job.pid

    def is_alive(self) -> bool:
        """Whether QEMU still runs."""
        return self._job.state() is JobState.RUNNING or stray_pid(self.directory) is not None

    def check(self) -> bool | None:
        """Raise VmFailed when QEMU has ended, or has stopped the guest for an error of the host.

        Tells whether the guest's first network card is up; None when QEMU does not say.
        """
        if not self.is_alive():
            raise self.failure()
        # No answer in time is no verdict: QEMU may be busy, or talking to somebody else.
        token = self._scope.cancellation.limited(CHECK_TIMEOUT_S, f"checking {self.name}")
        with suppress(QmpError, TimeLimitExceeded), self.qmp(token) as qmp:
            status = qmp.execute("query-status")["status"]
            if status in ("io-error", "internal-error", "guest-panicked"):
                raise self.failure(status)
            # A driver that brings its card up asks for the multicast that every host listens to.
            (card,) = qmp.execute("query-rx-filter", name="net0-device")
            return bool(card["multicast-table"])
        return None

    def failure(self, status: str = "") -> VmFailed:
        """Why the machine is not running, as a named error with its last words."""
        return explain_failure(
            self.name,
            status=status,
            exit_status=self._job.exit_status,
            stderr=self._job.tail(),
            console=self.console_tail(),
            console_path=self.console,
        )

    def console_tail(self, lines: int = 20) -> str:
        """The last lines that the guest wrote on its serial console."""
        try:
            return tail(self.console.read_text(errors="replace"), lines)
        except OSError:
            return ""

    @contextmanager
    def qmp(self, cancellation: Cancellation | None = None) -> Iterator[Qmp]:
        """A QMP connection; keep it short, QEMU serves one client at a time."""
        token = cancellation or self._scope.cancellation
        with connect(self._record.qmp_socket, token) as connection:
            yield connection

    # Running state

    def pause(self) -> None:
        """Stop the guest's processors."""
        with self.qmp() as qmp:
            qmp.execute("stop")

    def resume(self) -> None:
        """Let them go on."""
        with self.qmp() as qmp:
            qmp.execute("cont")

    def wait_end(self, timeout_s: float) -> None:
        """Wait until the machine has gone by itself; TimeLimitExceeded leaves it running."""
        token = self._scope.cancellation.limited(timeout_s, f"waiting for {self.name} to power off")
        while self.is_alive():
            token.sleep(POLL_S)
        self._forget()

    def power_off(self, timeout_s: float) -> None:
        """Press the power button and wait; a machine that ignores it is killed.

        Returns when it is gone. For a guest without a listener for the button run `poweroff` in it
        and call `wait_end`.
        """
        with suppress(QmpError), self.qmp() as qmp:
            qmp.execute("system_powerdown")
        try:
            self.wait_end(timeout_s)
        except OsqualError:
            self.kill()
            raise

    def kill(self) -> None:
        """End QEMU: `quit` first, so that images are closed in order, then signals. Repeatable.

        Raises VmFailed when it is still there.
        """
        token = self._scope.cancellation.shielded(KILL_TIMEOUT_S, f"ending {self.name}")
        if self.is_alive() and self._asked_to_quit(token):
            self._wait_gone(token)
        self._job.end(grace_s=5.0, cancellation=token)
        if (pid := stray_pid(self.directory)) is not None:
            os.kill(pid, signal.SIGKILL)
            self._wait_gone(token)
        if self.is_alive():
            raise VmFailed(
                f"The machine {self.name} cannot be ended.",
                resolution=f"end the processes of {self.directory / PID_FILE} yourself",
            )
        self._forget()

    def _asked_to_quit(self, token: Cancellation) -> bool:
        asked = False
        with suppress(OsqualError), connect(self._record.qmp_socket, token) as qmp:
            asked = True
            qmp.execute("quit")
        return asked

    def _wait_gone(self, token: Cancellation) -> None:
        with suppress(OsqualError):
            while self.is_alive():
                token.sleep(POLL_S)

    def _forget(self) -> None:
        self._record.qmp_socket.unlink(missing_ok=True)
        self._scope.journal.ended(self._record.row)

    # Snapshots

    def snapshot_disk(self, new_overlay: Path, *, disk: int = 0) -> None:
        """Continue writing in a new overlay; what was written so far is now read-only below it."""
        with self.qmp() as qmp:
            top = top_node(qmp.execute("query-block"), f"disk{disk}-device")
            qmp.execute(
                "blockdev-snapshot-sync",
                node_name=top,
                snapshot_file=str(new_overlay.absolute()),
                snapshot_node_name=next_node(top),
                format="qcow2",
            )

    def save_ram(self, path: Path, *, filter_argv: Sequence[str] = ("cat",)) -> None:
        """Write memory and device state to `path` through a filter, and leave the guest stopped.

        Pause first, snapshot the disk in between, resume after. Raises VmFailed.
        """
        # `exec:` takes a shell command by definition; the path is the only variable word in it.
        target = f"exec:{shlex.join(filter_argv)} > {shlex.quote(str(path.absolute()))}"
        with self.qmp() as qmp:
            qmp.execute("migrate-set-parameters", max_bandwidth=MIGRATION_BANDWIDTH)
            qmp.execute("migrate", uri=target)
            self._wait_migrated(qmp, "saving memory")

    def load_ram(self, path: Path, *, filter_argv: Sequence[str] = ("cat",)) -> None:
        """Take memory and device state from `path`; the machine was started with `incoming`.

        The guest is paused then, with a clock that stands where it was: resume, then set it.
        """
        source = f"exec:{shlex.join(filter_argv)} < {shlex.quote(str(path.absolute()))}"
        with self.qmp() as qmp:
            qmp.execute("migrate-incoming", uri=source)
            self._wait_migrated(qmp, "loading memory")

    def reset_rtc_reinjection(self) -> None:
        """Drop clock ticks that piled up while the guest was stopped."""
        with self.qmp() as qmp:
            qmp.execute("rtc-reset-reinjection")

    def _wait_migrated(self, qmp: Qmp, what: str) -> None:
        token = self._scope.cancellation.limited(MIGRATION_TIMEOUT_S, f"{what} of {self.name}")
        while True:
            answer: dict[str, Any] = qmp.execute("query-migrate")
            if answer.get("status") == "completed":
                return
            if answer.get("status") in ("failed", "cancelled"):
                reason = answer.get("error-desc") or "no reason given"
                raise VmFailed(f"{what.capitalize()} of {self.name} failed: {reason}")
            token.sleep(POLL_S / 2)


def top_node(blocks: Sequence[dict[str, Any]], device: str) -> str:
    """The node that a device writes to now, from the answer to `query-block`."""
    for block in blocks:
        if device in str(block.get("qdev", "")).split("/"):
            return str(block["inserted"]["node-name"])
    raise InfrastructureError(f"The machine has no device {device}.")


def next_node(node: str) -> str:
    """disk0 → disk0-1 → disk0-2: the name of the overlay over a node."""
    disk, _, number = node.partition("-")
    return f"{disk}-{int(number or 0) + 1}"
