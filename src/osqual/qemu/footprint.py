"""What one machine takes of the host while it runs."""

from osqual.room import Room

# Measured per machine: QEMU itself, its translation cache under TCG after a whole run.
OVERHEAD_MB = {"kvm": 100, "tcg": 780}
# What an installed product typically adds to a copy-on-write disk.
DISK_MB = 1024
# An emulated machine keeps a processor busy; others share them.
CORES = {"kvm": 0.5, "tcg": 1.0}


def machines_room(*, count: int, memory_mb: int, accelerator: str) -> Room:
    """What so many machines with so much memory each take."""
    return Room(
        memory_mb=count * (memory_mb + OVERHEAD_MB[accelerator]),
        disk_mb=count * DISK_MB,
        cores=count * CORES[accelerator],
    )
