"""Everything that osqual promises about speed on one machine, side by side in one run.

    python bench/local.py [--repeat 3] [--only build,cluster,run,start] [--bases DIR]

`--bases` names a cache's `bases` directory, to start from base images that are made already.

Prints Markdown tables for the README. Figures are medians; ratios matter, seconds depend on the
machine. Exit code 1 when a goal was missed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import build
import cluster

from osqual.bases.resolve import resolve_base

ROOT = Path(__file__).parents[1]
LEAF = "debian/12/qemu/swarm-20.10/docker-20.10"
PARTS = ("start", "build", "cluster", "run")
ENGINE_GOAL = 0.10
START_GOAL = 1.5


def seconds_of(argv: Sequence[str], environ: dict[str, str] | None = None) -> float:
    """Wall time of one command."""
    began = time.monotonic()
    subprocess.run(
        argv, check=False, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.monotonic() - began


def measure_start(repeat: int) -> bool:
    """`osqual --help` beside the import of its command line library."""
    osqual = [str(Path(sys.executable).with_name("osqual")), "--help"]
    click = [sys.executable, "-c", "import click"]
    pairs = [(seconds_of(click), seconds_of(osqual)) for _ in range(max(repeat, 5) * 2)]
    floor = statistics.median(pair[0] for pair in pairs)
    ours = statistics.median(pair[1] for pair in pairs)
    reached = ours <= START_GOAL * floor
    print(
        "| start | import click | osqual --help | ratio | goal |", "|---|---|---|---|---|", sep="\n"
    )
    print(
        f"| wall clock | {1000 * floor:.0f} ms | {1000 * ours:.0f} ms | {ours / floor:.2f} "
        f"| {START_GOAL}: {mark(reached)} |\n"
    )
    return reached


def measure_run(work: Path, cache: Path, repeat: int) -> bool:
    """A run with its image built: what is not the product's own, with the boot and without."""
    catalogue = work / "catalogue"
    shutil.copytree(ROOT / "examples", catalogue)
    (catalogue / ".git").mkdir()
    environ = {
        **os.environ,
        "OSQUAL_STATE_DIR": str(work / "state"),
        "OSQUAL_DATA_DIR": str(work / "data"),
        "OSQUAL_CACHE_DIR": str(cache),
    }
    argv = [sys.executable, "-m", "osqual", "run", "-C", str(catalogue), LEAF, "--json"]
    whole: list[float] = []
    own: list[float] = []
    boots: list[float] = []
    for number in range(repeat + 1):
        began = time.monotonic()
        done = subprocess.run(argv, check=False, env=environ, stdout=subprocess.PIPE, text=True)
        took = time.monotonic() - began
        (result,) = json.loads(done.stdout)
        if number == 0:
            continue  # this one built the image
        steps = result["step_seconds"]
        product = steps["install"] + steps["test"]
        whole.append(took)
        own.append(took - product)
        boots.append(steps["provision"])
        print(f"run {number}: {took:.1f} s, {result['verdict']}, {steps}", file=sys.stderr)
    total, rest, boot = (statistics.median(times) for times in (whole, own, boots))
    reached = rest <= ENGINE_GOAL * total
    print(
        "| a run, image built before | seconds | share | goal |",
        "|---|---|---|---|",
        f"| from `osqual run` to its end | {total:.1f} | | |",
        f"| without the product's scripts and tests | {rest:.1f} | {100 * rest / total:.1f} % "
        f"| {100 * ENGINE_GOAL:.0f} %: {mark(reached)} |",
        f"| of that, three machines booting | {boot:.1f} | {100 * boot / total:.1f} % | |",
        f"| the engine itself | {rest - boot:.1f} | {100 * (rest - boot) / total:.1f} % | |\n",
        sep="\n",
    )
    return reached


def mark(reached: bool) -> str:
    """A goal's end in a word."""
    return "reached" if reached else "missed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--bases", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="osqual-bench-") as directory:
        work = Path(directory)
        cache = work / "cache"
        if options.bases:
            cache.mkdir()
            (cache / "bases").symlink_to(options.bases.resolve())

        def builds() -> bool:
            rows = build.measure_builds(ROOT / "examples" / LEAF, work, repeat=options.repeat)
            print(build.table(rows) + "\n")
            return all(row.reached for row in rows)

        def clusters() -> bool:
            scope = cluster.make_scope(work, cache)
            image = resolve_base(cluster.BASE, relative_to=work, scope=scope).path
            times = cluster.measure_clusters(image, work, cache, repeat=options.repeat)
            print(cluster.table(times) + "\n")
            return times.ratio <= cluster.GOAL

        measures: dict[str, Callable[[], bool]] = {
            "start": lambda: measure_start(options.repeat),
            "build": builds,
            "cluster": clusters,
            "run": lambda: measure_run(work, cache, options.repeat),
        }
        ends = [measures[name]() for name in options.only.split(",")]
    return 0 if all(ends) else 1


if __name__ == "__main__":
    sys.exit(main())
