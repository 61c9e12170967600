"""Room on this machine: how much is free, what a run takes, and who may take it now."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from osqual.errors import InfrastructureError


@dataclass(frozen=True, kw_only=True)
class Room:
    """An amount of memory, disk and processors: what is free, or what somebody takes."""

    memory_mb: int = 0
    disk_mb: int = 0
    cores: float = 0

    def __add__(self, other: "Room") -> "Room":
        return Room(
            memory_mb=self.memory_mb + other.memory_mb,
            disk_mb=self.disk_mb + other.disk_mb,
            cores=self.cores + other.cores,
        )

    def widest(self, other: "Room") -> "Room":
        """Enough for either of two that are taken one after the other."""
        return Room(
            memory_mb=max(self.memory_mb, other.memory_mb),
            disk_mb=max(self.disk_mb, other.disk_mb),
            cores=max(self.cores, other.cores),
        )

    def lacks(self, wanted: "Room") -> tuple[str, ...]:
        """What there is too little of; empty when all that is wanted fits."""
        names = {"memory_mb": "memory", "disk_mb": "disk", "cores": "cores"}
        return tuple(
            word for name, word in names.items() if getattr(wanted, name) > getattr(self, name)
        )


def measure_room(directory: Path) -> Room:
    """Available memory (`MemAvailable`, proc(5)), free disk for an ordinary user, processors."""
    place = next(path for path in (directory, *directory.parents) if path.exists())
    found = os.statvfs(place)
    memory_kb = _mem_available_kb(Path("/proc/meminfo").read_text())
    memory_mb = min([memory_kb // 1024, *container_mb(Path("/sys/fs/cgroup"))])
    return Room(
        memory_mb=memory_mb,
        disk_mb=found.f_bavail * found.f_frsize >> 20,
        cores=available_cpus(),
    )


def available_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def container_mb(group: Path) -> list[int]:
    """What a container's limit leaves (memory.max, cgroups(7)); empty without one."""
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):  # there is no such file, or it says "max"
        return []
    return [max(0, limit - used) >> 20]


def _mem_available_kb(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    raise InfrastructureError("The kernel does not say how much memory is available.")


class Admission:
    """Lets runs in while there is room for them; safe to share between threads.

    Two things must hold. What was let in and is not over fits together into what was free at the
    start: a machine takes its memory only some time after it was let in. And it fits into what is
    free now: others work on this machine too. Whoever comes when nobody is in may always enter;
    its own checks say whether it can work at all.
    """

    def __init__(self, measure: Callable[[], Room]) -> None:
        self._measure = measure
        self._whole = measure()
        self._inside: list[Room] = []
        self._lock = threading.Lock()

    def enter(self, wanted: Room) -> tuple[str, ...]:
        """Let it in, or say what there is too little of; `leave` has to follow an empty answer."""
        with self._lock:
            if self._inside:
                together = sum(self._inside, wanted)
                free = self._measure()
                now = Room(memory_mb=free.memory_mb, disk_mb=free.disk_mb, cores=wanted.cores)
                lacking = dict.fromkeys((*self._whole.lacks(together), *now.lacks(wanted)))
                if lacking:
                    return tuple(lacking)
            self._inside.append(wanted)
            return ()

    def leave(self, wanted: Room) -> None:
        """Give back what was let in."""
        with self._lock:
            self._inside.remove(wanted)
