"""How long builds take: the layered builder beside stock Packer, on the same template and base.

    python bench/build.py [LEAF] [--repeat 3] [--work DIR]

`measure_builds` is what bench/local.py calls. Packer is measured in its own favour: without the
cleaning, and without the compression and the hash that make its output an image of osqual's.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osqual.bases.resolve import resolve_base
from osqual.builders.base import BuildRequest
from osqual.builders.identity import build_identity
from osqual.builders.layered import LayeredBuilder
from osqual.builders.layers import LayerStore
from osqual.builders.packer import MAC, locate
from osqual.builders.packer_run import build_template
from osqual.builders.packer_template import QemuSurroundings, effective_template, qemu_builder
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.effects.sockets import remove_socket_directory
from osqual.events import EventBus
from osqual.model import Configuration, Recipe
from osqual.qemu.acceleration import probe
from osqual.settings import Directories, Qemu, Settings
from osqual.templates.template import parse_template

EXAMPLE = Path(__file__).parents[1] / "examples/debian/12/qemu/swarm-20.10/docker-20.10"
BASE = "debian:bookworm"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; `goal` is how much faster than Packer, or None with `limit_s`."""

    what: str
    packer_s: float
    osqual_s: float
    goal: float | None = None
    limit_s: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the goal was reached in this run."""
        if self.limit_s is not None:
            return self.osqual_s <= self.limit_s
        return self.packer_s / self.osqual_s >= (self.goal or 0)


@dataclass
class BenchJournal:
    """Resource rows in memory: the benchmark ends what it starts."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def intend(self, kind: str, name: str, details: Mapping[str, Any]) -> int:
        row = {"id": len(self.rows), "kind": kind, "name": name, "details": dict(details)}
        self.rows.append({**row, "ended": False})
        return len(self.rows) - 1

    def created(self, row: int, external_id: str, details: Mapping[str, Any]) -> None:
        self.rows[row]["external_id"] = external_id

    def ended(self, row: int) -> None:
        self.rows[row]["ended"] = True

    def in_step(self, step: str) -> "BenchJournal":
        return self

    def unended(self) -> Sequence[Mapping[str, Any]]:
        return [row for row in self.rows if not row["ended"]]


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """A copy of a configuration and fresh directories; only base images are shared."""

    leaf: Path
    work: Path
    cache: Path
    say: Callable[[str], None]

    def scope(self) -> RunScope:
        directory = self.work / "runs" / uuid.uuid4().hex[:8]
        directory.mkdir(parents=True)
        directories = Directories(
            state=self.work / "state", cache=self.cache, data=self.work / "data"
        )
        return RunScope(
            run_id=directory.name,
            directory=directory,
            settings=Settings(directories=directories, qemu=Qemu()),
            journal=BenchJournal(),
            bus=EventBus(),
            cancellation=Cancellation(),
            step="build",
        )

    def request(self, *, cold: bool = False) -> BuildRequest:
        text = (self.leaf / "packer.json").read_text()
        return BuildRequest(
            configuration=Configuration(root=self.leaf.parent, path=self.leaf.name, dimensions={}),
            template=parse_template(text, "packer.json"),
            recipe=Recipe(digest="", inputs={}),
            base_images={"local": BASE},
            find_file=lambda name: self.leaf / name,
            cold=cold,
        )

    def edit_last(self) -> None:
        """Change the last script of the template, as a person would."""
        provisioners = json.loads((self.leaf / "packer.json").read_text())["provisioners"]
        script = self.leaf / [entry["script"] for entry in provisioners if "script" in entry][-1]
        script.write_text(f"{script.read_text().rstrip()}\ntrue {uuid.uuid4()}\n")

    def timed(self, what: str, action: Callable[[RunScope], object]) -> float:
        scope = self.scope()
        began = time.monotonic()
        try:
            action(scope)
        finally:
            remove_socket_directory(scope)
        seconds = time.monotonic() - began
        self.say(f"{what}: {seconds:.1f} s")
        return seconds


def layered(bench: Workbench, *, cold: bool = False) -> Callable[[RunScope], object]:
    return lambda scope: LayeredBuilder().build(bench.request(cold=cold), scope)


def stock_packer(bench: Workbench, *, same_cpu: bool) -> Callable[[RunScope], object]:
    """The template as Packer builds it by itself, but for the base image and the way in."""

    def build(scope: RunScope) -> None:
        request = bench.request()
        directory = scope.directory / "build"
        directory.mkdir()
        base = resolve_base(BASE, relative_to=bench.leaf, scope=scope)
        named = directory / f"base.{base.format}"
        named.symlink_to(base.path)
        identity = build_identity(scope)
        user = str(request.template.builder["ssh_username"])
        seed = identity.seed(user, MAC, directory / "seed")
        acceleration = probe(scope.settings, scope.cancellation)
        around = QemuSurroundings(
            base=named,
            base_sha256=base.digest,
            accelerator=acceleration.accelerator,
            cpu=acceleration.cpu_model if same_cpu else "",
            private_key=identity.ssh.private_key,
            seed_iso=seed.iso,
            seed_fw_cfg=seed.fw_cfg,
            output_directory=directory / "output",
        )
        manifest = directory / "manifest.json"
        document = effective_template(
            request.template,
            qemu_builder(request.template, around),
            locate=locate(request),
            manifest=manifest,
        )
        (directory / "packer.json").write_text(json.dumps(document))
        build_template(directory / "packer.json", manifest, scope, {})
        shutil.rmtree(around.output_directory)

    return build


def find_again(bench: Workbench) -> float:
    """Nothing changed, in a new process: with the interpreter's start and every import."""
    began = time.monotonic()
    argv = [sys.executable, __file__, str(bench.leaf), "--find", "--work", str(bench.work)]
    subprocess.run([*argv, "--cache", str(bench.cache)], check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    bench.say(f"osqual, nothing changed: {seconds:.1f} s")
    return seconds


def scripts_above(leaf: Path) -> Iterator[Path]:
    """Scripts of the template that a directory above holds: stock Packer looks only beside it."""
    provisioners = json.loads((leaf / "packer.json").read_text())["provisioners"]
    for name in (entry["script"] for entry in provisioners if "script" in entry):
        if not (leaf / name).exists():
            yield next(above / name for above in leaf.parents if (above / name).exists())


def measure_builds(
    leaf: Path, work: Path, *, repeat: int = 3, say: Callable[[str], None] = print
) -> list[Row]:
    """Medians of `repeat` rounds; each round runs all ways side by side, one after the other."""
    copy = work / "leaf"
    shutil.copytree(leaf, copy, dirs_exist_ok=True)
    for script in scripts_above(leaf):
        shutil.copy(script, copy)
    cache = work / "cache"
    bench = Workbench(leaf=copy, work=work, cache=cache, say=say)
    bench.timed("base image", lambda scope: resolve_base(BASE, relative_to=copy, scope=scope))
    times: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        times.setdefault(name, []).append(seconds)

    for _ in range(repeat):
        bench.edit_last()
        note("packer", bench.timed("stock Packer", stock_packer(bench, same_cpu=False)))
        LayerStore(cache).prune()
        note("first", bench.timed("osqual, cold, layers kept", layered(bench)))
        note("same", find_again(bench))
        bench.edit_last()
        note("edit", bench.timed("osqual, last provisioner edited", layered(bench)))
        note("cold", bench.timed("osqual, --cold", layered(bench, cold=True)))
    packer, first, same, edit, cold = (
        statistics.median(times[name]) for name in ("packer", "first", "same", "edit", "cold")
    )
    return [
        Row(what="cold build", packer_s=packer, osqual_s=cold, goal=1.0),
        Row(what="cold build, layers kept", packer_s=packer, osqual_s=first, goal=1.0),
        Row(what="last provisioner edited", packer_s=packer, osqual_s=edit, goal=8.0),
        Row(what="nothing changed", packer_s=packer, osqual_s=same, limit_s=2.0),
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| build | stock Packer | osqual | faster | goal |", "|---|---|---|---|---|"]
    for row in rows:
        goal = f"under {row.limit_s:g} s" if row.limit_s else f"{row.goal:g}×"
        mark = "reached" if row.reached else "missed"
        lines.append(
            f"| {row.what} | {row.packer_s:.1f} s | {row.osqual_s:.1f} s "
            f"| {row.packer_s / row.osqual_s:.1f}× | {goal}: {mark} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("leaf", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--find", action="store_true", help="only find what was built before")
    options = parser.parse_args()
    if options.find:
        bench = Workbench(
            leaf=options.leaf, work=options.work, cache=options.cache, say=lambda _: None
        )
        scope = bench.scope()
        found = LayeredBuilder().build(bench.request(), scope)
        remove_socket_directory(scope)
        return 0 if found.reused else 1
    work = options.work or Path(tempfile.mkdtemp(prefix="osqual-bench-"))
    rows = measure_builds(options.leaf, work, repeat=options.repeat)
    print(table(rows))
    if options.work is None:
        shutil.rmtree(work)
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
