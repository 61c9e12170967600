"""What a topology of QEMU nodes takes of this host, and whether the host has it."""

from pathlib import Path

from osqual.errors import InfrastructureError, OsqualError
from osqual.qemu.footprint import DISK_MB, OVERHEAD_MB, machines_room
from osqual.room import Room
from osqual.settings import Qemu


class NotEnoughRoom(InfrastructureError):
    """This host has too little memory or disk for the cluster that was asked for."""


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
    wanted = machines_room(count=nodes, memory_mb=qemu.memory_mb, accelerator=accelerator)
    if wanted.memory_mb > room.memory_mb:
        return NotEnoughRoom(
            f"There is not enough memory for {nodes} nodes.",
            details=f"needed: {nodes} × ({qemu.memory_mb} + {overhead_mb}) MB = "
            f"{wanted.memory_mb} MB (the second number is what QEMU itself takes)\n"
            f"available: {room.memory_mb} MB",
            resolution="lower qemu.memory_mb in osqual.yaml, ask for fewer nodes in the cluster "
            "profile, or free memory",
        )
    if wanted.disk_mb > room.disk_mb:
        return NotEnoughRoom(
            f"There is not enough disk space for {nodes} nodes.",
            details=f"needed: {nodes} × {DISK_MB} MB = {wanted.disk_mb} MB in {directory}\n"
            f"available: {room.disk_mb} MB",
            resolution="free space there, or set OSQUAL_STATE_DIR to a larger file system",
        )
    return None
