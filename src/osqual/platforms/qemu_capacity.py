"""Whether this host has the memory and disk that a topology of QEMU nodes asks for."""

import os
from dataclasses import dataclass
from pathlib import Path

from osqual.errors import InfrastructureError, OsqualError
from osqual.settings import Qemu

# Measured per machine: QEMU itself, its translation cache under TCG after a boot and an install.
OVERHEAD_MB = {"kvm": 100, "tcg": 600}
# What an installed product typically adds to a copy-on-write disk.
DISK_PER_NODE_MB = 1024


class NotEnoughRoom(InfrastructureError):
    """This host has too little memory or disk for the cluster that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What is free on the host, in MB."""

    memory_mb: int
    disk_mb: int


def measure_room(directory: Path) -> Room:
    """Available memory (`MemAvailable`, proc(5)) and free disk for an ordinary user."""
    place = next(path for path in (directory, *directory.parents) if path.exists())
    found = os.statvfs(place)
    memory_kb = _mem_available_kb(Path("/proc/meminfo").read_text())
    return Room(memory_mb=memory_kb // 1024, disk_mb=found.f_bavail * found.f_frsize >> 20)


def _mem_available_kb(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    raise InfrastructureError("The kernel does not say how much memory is available.")


def available_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def cpus_per_node(*, nodes: int, qemu: Qemu, accelerator: str, host_cpus: int) -> int:
    """The setting, or two; emulated ones beyond the host's would wait for each other's locks."""
    if qemu.cpus is not None:
        return qemu.cpus
    return 2 if accelerator == "kvm" else max(1, min(2, host_cpus // nodes))


def check_room(
    *, nodes: int, qemu: Qemu, accelerator: str, room: Room, directory: Path
) -> OsqualError | None:
    """What is missing, as an error with the numbers; None when everything fits."""
    overhead_mb = OVERHEAD_MB[accelerator]
    memory_mb = nodes * (qemu.memory_mb + overhead_mb)
    disk_mb = nodes * DISK_PER_NODE_MB
    if memory_mb > room.memory_mb:
        return NotEnoughRoom(
            f"There is not enough memory for {nodes} nodes.",
            details=f"needed: {nodes} × ({qemu.memory_mb} + {overhead_mb}) MB = {memory_mb} MB "
            f"(the second number is what QEMU itself takes)\navailable: {room.memory_mb} MB",
            resolution="lower qemu.memory_mb in osqual.yaml, ask for fewer nodes in the cluster "
            "profile, or free memory",
        )
    if disk_mb > room.disk_mb:
        return NotEnoughRoom(
            f"There is not enough disk space for {nodes} nodes.",
            details=f"needed: {nodes} × {DISK_PER_NODE_MB} MB = {disk_mb} MB in {directory}\n"
            f"available: {room.disk_mb} MB",
            resolution="free space there, or set OSQUAL_STATE_DIR to a larger file system",
        )
    return None
