"""Who runs on this machine: processes that cannot be mistaken, and found by marks.

A mark is a variable in the environment (environ in proc(5)), which children inherit: it outlives
pid files, process groups and the process that set it.
"""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

JOB = "OSQUAL_JOB"
"""The directory of the job that a process belongs to."""
OWNER = "OSQUAL_JOB_OWNER"
"""The process that started the job, as `owner_token` writes it."""


def process_start(pid: int) -> str | None:
    """A token that tells one process from a later one with the same pid; None when it is gone.

    Field 22 of /proc/PID/stat (start time in clock ticks since boot; proc(5)) and the boot id. A
    zombie counts as gone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def owner_token() -> str:
    """This process as `pid:start@host`, which no other process can be mistaken for."""
    return f"{os.getpid()}:{process_start(os.getpid())}@{platform.node()}"


def owner_alive(token: str) -> bool | None:
    """Whether the process that a token names still runs; None when it is one of another host."""
    process, _, host = token.partition("@")
    if host and host != platform.node():
        return None
    pid, _, start = process.partition(":")
    return pid.isdigit() and process_start(int(pid)) == start


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A process that belongs to a job."""

    pid: int
    job: Path
    owner: str
    command: tuple[str, ...]


def marked_processes(job: Path | None = None) -> Iterator[Marked]:
    """Processes of a job, or of any job, that this user may look at; zombies are none."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or entry.name == str(os.getpid()):
            continue
        try:
            environ = _environ((entry / "environ").read_bytes())
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue  # somebody else's, or gone by now
        directory = environ.get(JOB)
        if directory is None or not command or (job is not None and directory != str(job)):
            continue
        yield Marked(
            pid=int(entry.name),
            job=Path(directory),
            owner=environ.get(OWNER, ""),
            command=tuple(word.decode(errors="replace") for word in command.split(b"\0")[:-1]),
        )


def _environ(content: bytes) -> dict[str, str]:
    pairs = (entry.partition(b"=") for entry in content.split(b"\0"))
    wanted = (JOB.encode(), OWNER.encode())
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs if name in wanted}
