"""osqual is killed with -9 at boundaries spread over a run whose cluster real Terraform makes.

`OSQUAL_FAULTS=40` tries that many, evenly spread (default 3); `OSQUAL_FAULTS=all` every one.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from osqual.failpoints import FAULT, TRACE, number_boundaries
from osqual.processes.running import marked_processes
from tests.integration.aws.conftest import LEAF, NETWORK, World

pytestmark = [pytest.mark.aws, pytest.mark.timeout(6 * 3600)]


def boundaries(world: World, trace: Path) -> list[str]:
    """Those to try, from a run that nothing disturbs."""
    tracing: dict[str, Any] = {TRACE: str(trace)}
    world.run(**tracing)
    world.forget_published()
    found = number_boundaries(trace.read_text())
    wanted = os.environ.get("OSQUAL_FAULTS", "3")
    count = len(found) if wanted == "all" else min(int(wanted), len(found))
    # The middle of each part: at the very first boundary there is no run yet.
    return [found[(2 * index + 1) * len(found) // (2 * count)] for index in range(count)]


def kill_and_resume(world: World, boundary: str, trace: Path) -> str:
    before = runs(world)
    killed = world.osqual("run", LEAF, **{TRACE: str(trace), FAULT: boundary})
    assert killed.returncode == -signal.SIGKILL, f"not killed: {killed.returncode}"
    resumed = world.osqual("resume", "--json")
    assert resumed.returncode in (0, 3), resumed.stderr
    assert world.osqual("reap").returncode == 0
    assert world.osqual("resources", "--json").stdout.strip() == "[]"
    assert world.cloud.left() == {}
    assert [each for each in marked_processes() if each.job.is_relative_to(world.root)] == []
    new = [run for run in runs(world) if run not in before]
    if not new:
        return "never begun"
    stored = json.loads(world.osqual("runs", new[0], "--json").stdout)
    assert stored["verdict"] in ("qualified", "inconclusive")
    if stored["verdict"] == "qualified":
        assert len(world.published()) == 3
    return str(stored["verdict"])


def runs(world: World) -> list[str]:
    return [run["id"] for run in json.loads(world.osqual("runs", "--json").stdout or "[]")]


def test_killed_anywhere_a_run_in_the_cloud_comes_right(world: World, tmp_path: Path) -> None:
    world.without_cluster(NETWORK)
    world.run()  # the image is there now
    world.forget_published()
    wrong, verdicts = [], dict[str, int]()
    tried = boundaries(world, tmp_path / "trace")
    for number, boundary in enumerate(tried, start=1):
        try:
            verdict = kill_and_resume(world, boundary, tmp_path / f"trace-{number}")
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
        except AssertionError as error:
            wrong.append(f"{boundary}: {error}")
        world.forget_published()
    print(json.dumps({"tried": len(tried), "verdicts": verdicts, "wrong": len(wrong)}))
    assert not wrong, "\n".join(wrong)
