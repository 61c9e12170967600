"""Which accelerator a machine runs on: KVM where a real kernel comes up in it, else TCG.

That `/dev/kvm` opens proves nothing: there are hosts where it makes a machine, runs the firmware,
and no ordinary kernel ever comes up. So one is booted, and the verdict kept for this host.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from osqual.cancellation import Cancellation
from osqual.errors import InfrastructureError
from osqual.processes.job import Job, JobState
from osqual.processes.process import find_program, write_atomic
from osqual.qemu.tiny_initrd import MARKER, tiny_initrd
from osqual.settings import Settings

Accelerator = Literal["kvm", "tcg"]

PROGRAM = "qemu-system-x86_64"
KERNEL_LIMIT_S = 5.0
"""A kernel with hardware acceleration needs about one second, one without it about five."""
DISK_LIMIT_S = 20.0
"""Firmware and boot loader come first, and may wait for a key."""
SLOW_VERDICT_VALID_S = 3600.0
"""A kernel that did not come up in time may have been starved: that is asked again."""

# What a kernel prints first; for whole disks, whose later output is not ours to choose.
_BANNER = b"Linux version "


class NoAcceleration(InfrastructureError):
    """Hardware acceleration was asked for, and it does not work here."""


@dataclass(frozen=True, kw_only=True)
class Acceleration:
    """The accelerator to use, how, and why it was chosen."""

    accelerator: Accelerator
    cpu_model: str
    machine: str = "pc"
    thread: str = ""
    reason: str

    @property
    def words(self) -> str:
        """For people who wait: what it is, and why."""
        how = "with KVM" if self.accelerator == "kvm" else "emulated (tcg), several times slower"
        return f"machines run {how}: {self.reason}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """QEMU's words for it."""
        accel = self.accelerator + (f",thread={self.thread}" if self.thread else "")
        return ("-accel", accel, "-cpu", self.cpu_model)


@dataclass(frozen=True, kw_only=True)
class Host:
    """What of the host decides: the device, the emulator, where kernels are, and its boot."""

    device: Path = Path("/dev/kvm")
    program: str = PROGRAM
    boot_directory: Path = Path("/boot")
    boot_id: str = ""
    release: str = ""
    kernel_limit_s: float = KERNEL_LIMIT_S
    disk_limit_s: float = DISK_LIMIT_S

    @classmethod
    def this(cls) -> "Host":
        """The host we are on."""
        boot_id = ""
        with suppress(OSError):
            boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return cls(boot_id=boot_id, release=os.uname().release)


def kvm(reason: str) -> Acceleration:
    """Hardware acceleration with the host's own processor."""
    return Acceleration(accelerator="kvm", cpu_model="host", reason=reason)


def tcg(reason: str) -> Acceleration:
    """Emulation, which works everywhere, of a processor that costs little to emulate.

    It is x86-64-v2, which current distributions ask for. What `max` adds is slower than doing
    without: a guest with Docker boots in two thirds of the time (docs/adr/0008).
    """
    model = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt"
    return Acceleration(accelerator="tcg", cpu_model=model, thread="multi", reason=reason)


def probe(
    settings: Settings,
    cancellation: Cancellation,
    *,
    host: Host | None = None,
    may_boot: bool = True,
) -> Acceleration:
    """The accelerator for this host; `qemu.acceleration` asks for one.

    Takes seconds the first time and is then read from the cache, until the host is booted again or
    QEMU changes; without `may_boot` nothing is started. Raises NoAcceleration when KVM is asked for
    and does not work; MissingProgram, Interrupted or TimeLimitExceeded.
    """
    wanted = settings.qemu.acceleration
    source = f"set by {settings.source_of('qemu.acceleration')}"
    if wanted == "tcg":
        return tcg(source)
    found = _look(settings, host or Host.this(), cancellation, may_boot)
    if wanted == "auto":
        return found or tcg("there is no kernel on this host yet to try KVM with")
    if found is None:
        return kvm(source)
    if found.accelerator != "kvm":
        raise NoAcceleration(
            f"KVM does not work on this host, and qemu.acceleration asks for it ({source}).",
            details=found.reason,
            resolution="set qemu.acceleration to auto (or OSQUAL_ACCELERATION=auto), which takes "
            "what works; or mend KVM: `osqual doctor` says what was tried",
        )
    return found


def _look(
    settings: Settings, host: Host, cancellation: Cancellation, may_boot: bool
) -> Acceleration | None:
    """What works here; None when that could not be tried."""
    if not host.device.exists():
        return tcg(f"this host has no {host.device}")
    if not os.access(host.device, os.R_OK | os.W_OK):
        return tcg(f"you may not use {host.device}; add yourself to its group: usermod -aG kvm")
    record = settings.directories.cache / "acceleration.json"
    key = _host_key(host)
    known = _read_verdict(record, key)
    if known is not None or not may_boot:
        return known
    return _probe_now(settings, host, record, key, cancellation)


def _probe_now(
    settings: Settings, host: Host, record: Path, key: str, cancellation: Cancellation
) -> Acceleration | None:
    bases = settings.directories.cache / "bases"
    evidence = next(_kernels(bases, host), None) or next(_disks(bases), None)
    if evidence is None:
        return None
    with tempfile.TemporaryDirectory(prefix="osqual-kvm-") as directory:
        outcome = _boot(evidence, host, Path(directory), cancellation)
    if outcome.up:
        chosen = kvm(f"{_name(evidence)} came up under KVM in {outcome.seconds:.1f} s")
    else:
        chosen = tcg(f"{_name(evidence)} did not come up under KVM: {outcome.problem}")
    valid_s = SLOW_VERDICT_VALID_S if outcome.slow else None
    _write_verdict(record, key, chosen, valid_s)
    return chosen


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What a trial boot gave; `slow` means that it was ended for time."""

    up: bool
    seconds: float
    problem: str = ""
    slow: bool = False


def _kernels(bases: Path, host: Host) -> Iterator[Path]:
    """Kernels that can be read: those beside our own bases, then the host's."""
    candidates = sorted(bases.glob("*.kernel"), key=_age)
    running = host.boot_directory / f"vmlinuz-{host.release}"
    candidates += [running, *sorted(host.boot_directory.glob("vmlinuz-*"), key=_age)]
    yield from (path for path in candidates if path.is_file() and os.access(path, os.R_OK))


def _disks(bases: Path) -> Iterator[Path]:
    """Fetched images, to try as a whole where there is no kernel outside of one."""
    yield from sorted(bases.glob("*.qcow2"), key=_age)


def _name(evidence: Path) -> str:
    if evidence.suffix == ".kernel":
        return "the kernel of a base image"
    return f"the base image {evidence.name}" if evidence.suffix == ".qcow2" else str(evidence)


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _boot(evidence: Path, host: Host, directory: Path, cancellation: Cancellation) -> _Outcome:
    console = directory / "console"
    if evidence.suffix == ".qcow2":
        expected, limit_s = _BANNER, host.disk_limit_s
        what = ["-drive", f"file={_escape(evidence)},if=virtio,snapshot=on"]
    else:
        expected, limit_s = MARKER, host.kernel_limit_s
        (directory / "initrd").write_bytes(tiny_initrd())
        what = ["-kernel", str(evidence), "-initrd", str(directory / "initrd")]
        what += ["-append", "console=ttyS0 panic=-1"]
    argv = [
        *(find_program(host.program), "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "pc", *kvm("").arguments, "-m", "256", "-smp", "2", "-no-reboot"),
        *("-serial", f"file:{console}", *what),
    ]
    started = time.monotonic()
    job = Job.start(directory / "job", argv)
    try:
        while True:
            elapsed = time.monotonic() - started
            alive = job.state() is JobState.RUNNING
            if console.is_file() and expected in console.read_bytes():
                return _Outcome(up=True, seconds=elapsed)
            if not alive:
                problem = job.tail(1) or "QEMU ended"
                return _Outcome(up=False, seconds=elapsed, problem=problem)
            if elapsed > limit_s:
                problem = f"nothing of it within {limit_s:.0f} s"
                return _Outcome(up=False, seconds=elapsed, problem=problem, slow=True)
            cancellation.sleep(0.05)
    finally:
        job.end(grace_s=1.0)


def _host_key(host: Host) -> str:
    """A verdict holds for one boot of the host and one build of QEMU."""
    program = Path(find_program(host.program))
    status = program.stat()
    parts = (host.boot_id, host.release, str(program), str(status.st_mtime_ns), str(status.st_size))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _read_verdict(record: Path, key: str) -> Acceleration | None:
    try:
        verdict = json.loads(record.read_text(encoding="utf-8"))
        valid_until = verdict["valid_until"]
        if verdict["key"] != key or (valid_until is not None and time.time() > valid_until):
            return None
        reason = str(verdict["reason"])
        return {"kvm": kvm, "tcg": tcg}[verdict["accelerator"]](reason)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_verdict(record: Path, key: str, chosen: Acceleration, valid_s: float | None) -> None:
    verdict = {
        "key": key,
        "accelerator": chosen.accelerator,
        "reason": chosen.reason,
        "valid_until": None if valid_s is None else time.time() + valid_s,
    }
    # A cache that cannot be written only means that the next run asks again.
    with suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(record, json.dumps(verdict, indent=2) + "\n")


def _escape(path: Path) -> str:
    return str(path).replace(",", ",,")
