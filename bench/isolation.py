"""Forks of a cluster beside new ones, and ssh on many nodes beside one, in one run.

    python bench/isolation.py [--repeat 3] [--cache DIR] [--only fork,ssh]

A new cluster is booted here and nothing is installed on it: what an installation takes comes on top
of it, and not of a fork. Figures are medians; ratios matter, seconds depend on the machine. Exit
code 1 when a goal was missed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cluster
from local import mark

from osqual.bases.resolve import resolve_base
from osqual.cluster_file import CLUSTER_DIRECTORY, FORKS_DIRECTORY
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.model import Cluster, Configuration, Image, Topology
from osqual.platforms.base import ProvisionRequest
from osqual.platforms.qemu import QemuPlatform
from osqual.ssh.machine import Machine

PARTS = ("fork", "ssh")
FORK_GOAL = 5.0
SSH_GOAL = 2.0
COMMANDS = 10


def seconds(action: Callable[[], object]) -> float:
    """Wall time."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def boot(image: Path, topology: Topology, scope: RunScope) -> Cluster:
    """A cluster of the base image, ready."""
    request = ProvisionRequest(
        configuration=Configuration(root=scope.directory, path="bench", dimensions={}),
        topology=topology,
        ssh_user=cluster.USER,
        variables={},
    )
    return QemuPlatform().provision(request, Image(ids={"local": "bench"}, file=image), scope)


def fork(name: str, scope: RunScope) -> RunScope:
    """A fork of the cluster, ready."""
    part = scope.inside(name, scope.directory / FORKS_DIRECTORY / name)
    QemuPlatform().fork(scope.directory, part)
    return part


def end(part: RunScope) -> float:
    """End a fork; how long that took."""
    return seconds(lambda: QemuPlatform().destroy(part))


@dataclass(frozen=True, kw_only=True)
class Round:
    """Seconds, and what was saved in bytes."""

    boot_s: float
    save_s: float
    fork_s: float
    two_forks_s: float
    end_s: float
    ram: int
    disk: int


def one_round(image: Path, scope: RunScope) -> Round:
    """Two nodes: booted, saved, forked one at a time and two at a time."""
    platform = QemuPlatform()
    try:
        two = Topology(masters=1, private_agents=1, public_agents=0)
        boot_s = seconds(lambda: boot(image, two, scope))
        save_s = seconds(lambda: platform.hold(scope))
        ram, disk = saved_bytes(scope)
        began = time.monotonic()
        alone = fork("alone", scope)
        fork_s = time.monotonic() - began
        end_s = end(alone)
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(lambda name: fork(name, scope), ("left", "right")))
        two_forks_s = time.monotonic() - began
        for part in parts:
            end(part)
    finally:
        platform.destroy(scope)
    return Round(
        boot_s=boot_s,
        save_s=save_s,
        fork_s=fork_s,
        two_forks_s=two_forks_s,
        end_s=end_s,
        ram=ram,
        disk=disk,
    )


def measure_forks(image: Path, work: Path, cache: Path, repeat: int) -> bool:
    """New clusters, and forks of them."""
    rounds = []
    for _ in range(repeat):
        rounds.append(one_round(image, cluster.make_scope(work, cache)))
        print(rounds[-1], file=sys.stderr)

    def median(name: str) -> float:
        values: list[float] = [getattr(each, name) for each in rounds]
        return statistics.median(values)

    booted, single, pair = median("boot_s"), median("fork_s"), median("two_forks_s")
    ram, disk = rounds[-1].ram >> 20, rounds[-1].disk >> 20
    reached = booted >= FORK_GOAL * single
    print(
        "| two nodes | seconds | beside a new cluster | goal |",
        "|---|---|---|---|",
        f"| a new cluster, ready; nothing installed | {booted:.1f} | 1 | |",
        f"| saved, once: {ram} MB of memory, {disk} MB of disk | {median('save_s'):.1f} | | |",
        f"| a fork, ready | {single:.1f} | 1/{booted / single:.1f} | "
        f"1/{FORK_GOAL:.0f}: {mark(reached)} |",
        f"| two forks side by side, ready | {pair:.1f} | 1/{booted / pair:.1f} | |",
        f"| a fork ended | {median('end_s'):.1f} | | |\n",
        sep="\n",
    )
    return reached


def saved_bytes(scope: RunScope) -> tuple[int, int]:
    """What saving keeps of memory, and what the nodes have written to their disks until then."""
    nodes = scope.directory / CLUSTER_DIRECTORY
    ram = sum(path.stat().st_blocks * 512 for path in nodes.glob("*/ram-1"))
    return ram, sum(path.stat().st_blocks * 512 for path in nodes.glob("*/disk.qcow2"))


def measure_ssh(image: Path, work: Path, cache: Path, repeat: int) -> bool:
    """A command on each of three nodes at once, beside the same on one."""
    scope = cluster.make_scope(work, cache)
    try:
        nodes = boot(image, Topology(masters=1, private_agents=1, public_agents=1), scope)
        machines = [
            Machine(node, nodes.identity, socket_directory(scope), scope.cancellation)
            for node in nodes.nodes
        ]
        ones, threes = [], []
        with ThreadPoolExecutor(len(machines)) as pool:
            list(pool.map(lambda machine: machine.run(["true"]), machines))
            for _ in range(repeat * COMMANDS):
                ones.append(seconds(lambda: machines[0].run(["true"])))
                threes.append(
                    seconds(lambda: list(pool.map(lambda machine: machine.run(["true"]), machines)))
                )
    finally:
        QemuPlatform().destroy(scope)
    one, three = statistics.median(ones), statistics.median(threes)
    reached = three < SSH_GOAL * one
    print(
        "| a command over ssh | one node | three at once | ratio | goal |",
        "|---|---|---|---|---|",
        f"| wall clock | {1000 * one:.0f} ms | {1000 * three:.0f} ms | {three / one:.2f} "
        f"| {SSH_GOAL:.0f}: {mark(reached)} |\n",
        sep="\n",
    )
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--only", default=",".join(PARTS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="osqual-bench-") as directory:
        work = Path(directory)
        cache = options.cache or work / "cache"
        scope = cluster.make_scope(work, cache)
        image = resolve_base(cluster.BASE, relative_to=work, scope=scope).path
        measures = {"fork": measure_forks, "ssh": measure_ssh}
        ends = [
            measures[name](image, work, cache, options.repeat) for name in options.only.split(",")
        ]
    return 0 if all(ends) else 1


if __name__ == "__main__":
    sys.exit(main())
