"""How long a cluster of three takes until every node answers ssh, beside bare QEMU processes.

    python bench/cluster.py [--image FILE] [--repeat 3] [--cache DIR]

`measure_clusters` is what bench/local.py calls. The bare processes get the same image, processor,
memory and disk cache, are started at once, and are asked over ssh until each has answered.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from build import BenchJournal

from osqual.bases.resolve import resolve_base
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.events import EventBus
from osqual.model import Configuration, Image, Topology
from osqual.platforms.base import ProvisionRequest
from osqual.platforms.qemu import QemuPlatform
from osqual.platforms.qemu_capacity import cpus_per_node
from osqual.qemu.acceleration import probe
from osqual.qemu.disk import create_overlay
from osqual.qemu.ports import reserved_ports
from osqual.qemu.seed import NodeIdentity, write_seed
from osqual.room import available_cpus
from osqual.settings import Directories, Settings
from osqual.ssh.keys import make_key_pair

BASE = "debian:bookworm"
USER = "admin"
NODES = 3
GOAL = 1.15
LIMIT_S = 1800


@dataclass(frozen=True, kw_only=True)
class ClusterTimes:
    """Medians in seconds; `processor` times are what all of QEMU used, which noise hardly moves."""

    bare_s: float
    osqual_s: float
    bare_processor_s: float
    osqual_processor_s: float

    @property
    def ratio(self) -> float:
        """How much longer osqual takes; the goal is 1.15."""
        return self.osqual_s / self.bare_s


def make_scope(work: Path, cache: Path) -> RunScope:
    directory = work / "runs" / uuid.uuid4().hex[:8]
    directory.mkdir(parents=True)
    return RunScope(
        run_id=directory.name,
        directory=directory,
        settings=Settings(
            directories=Directories(state=work / "state", cache=cache, data=work / "data")
        ),
        journal=BenchJournal(),
        bus=EventBus(),
        cancellation=Cancellation(),
        step="provision",
    )


def time_osqual(image: Path, scope: RunScope) -> tuple[float, float]:
    """Seconds until `provision` returns: every node answers and reaches the others."""
    platform = QemuPlatform()
    request = ProvisionRequest(
        configuration=Configuration(root=scope.directory, path="bench", dimensions={}),
        topology=Topology(masters=1, private_agents=1, public_agents=1),
        ssh_user=USER,
        variables={},
    )
    began = time.monotonic()
    try:
        platform.provision(request, Image(ids={"local": "bench"}, file=image), scope)
        seconds = time.monotonic() - began
        pids = [int(path.read_text()) for path in scope.directory.glob("cluster/*/vm/qemu.pid")]
        return seconds, sum(processor_seconds(pid) for pid in pids)
    finally:
        platform.destroy(scope)


def time_bare(image: Path, scope: RunScope) -> tuple[float, float]:
    """Seconds until three plain processes have each answered a command over ssh."""
    key = scope.directory / "key"
    make_key_pair(key, "bench", scope.cancellation)
    children: list[subprocess.Popen[bytes]] = []
    began = time.monotonic()
    try:
        with reserved_ports(NODES) as ports:
            for port in ports:
                argv = bare_argv(image, scope, key, port)
                children.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
            with ThreadPoolExecutor(NODES) as pool:
                list(pool.map(lambda port: wait_ssh(key, port), ports))
            seconds = time.monotonic() - began
            return seconds, sum(processor_seconds(child.pid) for child in children)
    finally:
        for child in children:
            child.kill()
            child.wait()


def bare_argv(image: Path, scope: RunScope, key: Path, port: int) -> list[str]:
    directory = scope.directory / f"bare-{port}"
    directory.mkdir()
    create_overlay(directory / "disk.qcow2", image)
    host = make_key_pair(directory / "host", "bench", scope.cancellation)
    identity = NodeIdentity(
        hostname=f"bare-{port}",
        user=USER,
        authorized_key=key.with_name("key.pub").read_text(),
        host_private_key=(directory / "host").read_text(),
        host_public_key=host.read_text(),
    )
    seed = write_seed(directory / "seed", identity)
    qemu = scope.settings.qemu
    acceleration = probe(scope.settings, scope.cancellation)
    cpus = cpus_per_node(
        nodes=NODES,
        qemu=qemu,
        accelerator=acceleration.accelerator,
        host_cpus=available_cpus(),
    )
    return [
        "qemu-system-x86_64",
        *acceleration.arguments,
        *("-m", str(qemu.memory_mb), "-smp", str(cpus), "-display", "none"),
        *("-drive", f"file={directory / 'disk.qcow2'},if=virtio,cache=unsafe"),
        *("-drive", f"file={seed.iso},if=virtio,format=raw,readonly=on"),
        *(
            word
            for name, path in seed.fw_cfg.items()
            for word in ("-fw_cfg", f"{name},file={path}")
        ),
        *("-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-serial", f"file:{directory / 'console.log'}"),
    ]


def wait_ssh(key: Path, port: int) -> None:
    """What one would write in a script: ask once a second until it works."""
    options = ("-F", "none", "-i", str(key), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR")
    trust = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    argv = ["ssh", *options, *trust, "-o", "ConnectTimeout=30", "-p", str(port)]
    give_up = time.monotonic() + LIMIT_S
    while time.monotonic() < give_up:
        done = subprocess.run([*argv, f"{USER}@127.0.0.1", "true"], capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(1)
    raise TimeoutError(f"no ssh on port {port}")


def processor_seconds(pid: int) -> float:
    """What a process has used so far, in and for itself (fields 14 and 15 of proc(5) stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measure_clusters(
    image: Path, work: Path, cache: Path, *, repeat: int = 3, say: Callable[[str], None] = print
) -> ClusterTimes:
    """Medians of `repeat` rounds; each round runs both ways, one after the other."""
    bare: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    for _ in range(repeat):
        for name, times, action in (("bare", bare, time_bare), ("osqual", ours, time_osqual)):
            scope = make_scope(work, cache)
            times.append(action(image, scope))
            shutil.rmtree(scope.directory)
            say(f"{name}: {times[-1][0]:.1f} s, {times[-1][1]:.1f} s of processor")
    return ClusterTimes(
        bare_s=statistics.median(wall for wall, _ in bare),
        osqual_s=statistics.median(wall for wall, _ in ours),
        bare_processor_s=statistics.median(processor for _, processor in bare),
        osqual_processor_s=statistics.median(processor for _, processor in ours),
    )


def table(times: ClusterTimes) -> str:
    """The result as a Markdown table."""
    mark = "reached" if times.ratio <= GOAL else "missed"
    return "\n".join(
        (
            "| cluster of 3 answering ssh | three bare QEMU | osqual | ratio | goal |",
            "|---|---|---|---|---|",
            f"| wall clock | {times.bare_s:.1f} s | {times.osqual_s:.1f} s "
            f"| {times.ratio:.2f} | {GOAL}: {mark} |",
            f"| processor | {times.bare_processor_s:.1f} s | {times.osqual_processor_s:.1f} s "
            f"| {times.osqual_processor_s / times.bare_processor_s:.2f} | |",
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, help="a disk image; default: the Debian base")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Settings().directories.cache)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="osqual-bench-") as work:
        image = options.image
        if image is None:
            scope = make_scope(Path(work), options.cache)
            image = resolve_base(BASE, relative_to=Path.cwd(), scope=scope).path
        times = measure_clusters(image, Path(work), options.cache, repeat=options.repeat)
    print(table(times))
    return 0 if times.ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
