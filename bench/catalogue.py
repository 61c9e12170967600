"""How fast the catalogue's commands are: `python bench/catalogue.py [--sizes 400,4000,40000]`.

Writes catalogues of the original's shape into a directory (kept for the next time) and runs each
command as a user would, without its index (cold) and with it (warm). The page cache is warm. CPU
seconds, user and system, because they are the same on a busy machine.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.fixtures.catalogue_synthetic import write_catalogue  # noqa: E402

OSQUAL = [str(Path(sys.executable).with_name("osqual"))]
IMPORT_CLICK = [sys.executable, "-c", "import click"]
PUBLISHED = ("dcos_images.yaml", "packer_build_history.json", "qualification.json")
# Command line, and what a plain reader would read to answer: published files, or every file.
COMMANDS = {
    "find one": (
        ["find", "--os", "centos", "--os-version", "7.6", "--release", ">=1.13"],
        "published",
    ),
    "find all": (["find", "--id-only", "--region", "us-west-2"], "published"),
    "matrix": (["matrix", "--json"], "published"),
    "recipes": (["recipes"], "all"),
    "plan": (["plan"], "all"),
    "lint": (["lint"], "all"),
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of a command."""

    wall_s: float
    cpu_s: float
    memory_mb: float
    exit_status: int


def measure(argv: Sequence[str], environ: dict[str, str], cwd: Path = ROOT) -> Measured:
    started = time.perf_counter()
    child = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ, cwd=cwd
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    return Measured(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        memory_mb=usage.ru_maxrss / 1024,
        exit_status=child.returncode,
    )


def median(runs: Sequence[Measured]) -> Measured:
    return sorted(runs, key=lambda run: run.cpu_s)[len(runs) // 2]


def read_plainly(directory: Path, which: str) -> None:
    """The yardstick: the same bytes with plain json and CSafeLoader, and nothing done with them."""
    import yaml

    for folder, _, names in os.walk(directory):
        for name in names:
            if which == "published" and name not in PUBLISHED:
                continue
            with open(f"{folder}/{name}", encoding="utf-8") as stream:  # noqa: PTH123
                text = stream.read()
            if name.endswith(".json"):
                json.loads(text)
            elif name.endswith(".yaml"):
                yaml.load(text, Loader=yaml.CSafeLoader)


def catalogue_of(size: int, directory: Path) -> Path:
    root = directory / f"catalogue-{size}"
    if not (root / ".complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        print(f"writing {size} configurations to {root} …", file=sys.stderr)
        write_catalogue(root, size)
        (root / ".complete").touch()
        time.sleep(2.5)  # what changed a moment ago is not trusted to the index
    return root


Times = dict[str, tuple[float, float]]
"""Command -> CPU seconds cold and warm."""


def run_size(
    size: int, directory: Path, rounds: int, click_s: float, commands: Sequence[str]
) -> Times:
    root = catalogue_of(size, directory)
    cache = directory / f"cache-{size}"
    environ = {**os.environ, "OSQUAL_CACHE_DIR": str(cache)}
    environ["OSQUAL_STATE_DIR"] = str(directory / "state")
    plain = {
        which: median(
            [
                measure([sys.executable, __file__, "--read", which, str(root)], environ)
                for _ in range(rounds)
            ]
        )
        for which in ("published", "all")
    }
    print(
        f"\n{size} configurations (plain reading: published {plain['published'].cpu_s:.2f} s, "
        f"all {plain['all'].cpu_s:.2f} s)"
    )
    print(
        f"{'command':<10}{'cold s':>9}{'warm s':>9}{'warm wall':>11}{'conf./s':>10}{'MB':>7}"
        f"{'÷ plain':>9}{'÷ click':>9}"
    )
    times: Times = {}
    for name in commands:
        arguments, which = COMMANDS[name]
        argv = [*OSQUAL, *arguments, "-C", str(root)]
        cold_runs = []
        for _ in range(rounds):
            shutil.rmtree(cache, ignore_errors=True)
            cold_runs.append(measure(argv, environ))
        cold = median(cold_runs)
        if cold.exit_status not in (0, 1):
            print(f"{name:<10} not available (exit {cold.exit_status})")
            continue
        warm = median([measure(argv, environ) for _ in range(rounds)])
        print(
            f"{name:<10}{cold.cpu_s:>9.2f}{warm.cpu_s:>9.2f}{warm.wall_s:>11.2f}"
            f"{size / warm.cpu_s:>10.0f}{warm.memory_mb:>7.0f}"
            f"{cold.cpu_s / plain[which].cpu_s:>9.2f}{warm.cpu_s / click_s:>9.1f}",
            flush=True,
        )
        times[name] = (cold.cpu_s, warm.cpu_s)
    return times


def print_growth(found: dict[int, Times]) -> None:
    small, large = min(found), max(found)
    print(
        f"\n{large} configurations take, compared with {small} ({large / small:.0f} times as many)"
    )
    for name, (cold_s, warm_s) in found[large].items():
        cold, warm = found[small][name]
        print(f"{name:<10}{cold_s / cold:>9.1f} times cold{warm_s / warm:>9.1f} times warm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="400,4000", help="configurations, with commas")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each; the median counts")
    parser.add_argument(
        "--only", action="append", choices=COMMANDS, metavar="COMMAND", help="may be repeated"
    )
    parser.add_argument(
        "--directory", type=Path, default=Path(tempfile.gettempdir()) / "osqual-bench"
    )
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("catalogue", nargs="?", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_plainly(options.catalogue, options.read)
        return
    options.directory.mkdir(parents=True, exist_ok=True)
    # Compiled modules are kept, as an installation has them, whatever the caller's environment.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(options.directory / "pycache")
    environ = dict(os.environ)
    click_s = statistics.median(measure(IMPORT_CLICK, environ).cpu_s for _ in range(7))
    help_s = statistics.median(measure([*OSQUAL, "--help"], environ).cpu_s for _ in range(7))
    ratio = help_s / click_s
    print(f"python -c 'import click': {click_s:.3f} s; osqual --help: {ratio:.2f} times that")
    found = {
        size: run_size(
            size, options.directory, options.rounds, click_s, options.only or list(COMMANDS)
        )
        for size in map(int, options.sizes.split(","))
    }
    if len(found) > 1:
        print_growth(found)


if __name__ == "__main__":
    main()
