"""The same with real machines: osqual is killed with -9 at boundaries spread over a whole run.

`OSQUAL_FAULTS=40` tries that many, evenly spread (default 2); `OSQUAL_FAULTS=all` every one.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.failpoints import FAULT, TRACE, number_boundaries
from osqual.processes.running import marked_processes
from tests.integration.conftest import TINY, Workshop, wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.minutes(8), pytest.mark.timeout(6 * 3600)]

REPEATABLE = ("store:", "write", "start")
"""Kinds of boundaries whose number does not depend on how quick machines are."""

CUT_OFF = """

def test_that_is_cut_off_once():
    import pathlib, time

    mark = pathlib.Path({mark!r})
    if not mark.exists():
        mark.touch()
        time.sleep(600)
"""
"""Keeps the step in which osqual is to be killed from ending first."""


@pytest.fixture
def tiny(workshop: Workshop) -> Iterator[Path]:
    workshop.reset_catalogue(TINY)
    yield workshop.tiny
    workshop.reset_catalogue()


def make_it_build(leaf: Path, number: int) -> None:
    """Change the last script: the build runs, and continues from the layer before."""
    script = leaf / "last.sh"
    script.write_text(f"{script.read_text()}echo fault {number}\n")


@pytest.fixture
def boundaries(workshop: Workshop, tiny: Path, tmp_path: Path) -> list[str]:
    """Those to try, from a run that nothing disturbs."""
    trace = tmp_path / "trace"
    make_it_build(tiny, 0)
    done = workshop.osqual("run", TINY, **{TRACE: str(trace)})
    assert done.returncode == 0, done.stderr
    workshop.reset_catalogue(TINY)
    found = [
        name
        for name in number_boundaries(trace.read_text())
        if name.split()[1].startswith(REPEATABLE)
    ]
    wanted = os.environ.get("OSQUAL_FAULTS", "2")
    count = len(found) if wanted == "all" else min(int(wanted), len(found))
    # The middle of each part: at the very first boundary there is no run yet.
    return [found[(2 * index + 1) * len(found) // (2 * count)] for index in range(count)]


def test_killed_anywhere_a_run_on_real_machines_comes_right(
    workshop: Workshop, tiny: Path, boundaries: list[str], tmp_path: Path
) -> None:
    wrong, verdicts = [], dict[str, int]()
    for number, boundary in enumerate(boundaries, start=1):
        try:
            verdict = kill_and_resume(workshop, boundary, number, tmp_path / f"trace-{number}")
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
        except AssertionError as error:
            wrong.append(f"{boundary}: {error}")
        workshop.reset_catalogue(TINY)
    print(json.dumps({"tried": len(boundaries), "verdicts": verdicts, "wrong": len(wrong)}))
    assert not wrong, "\n".join(wrong)
    assert set(verdicts) != {"never begun"}, "it was killed too early each time"


def kill_and_resume(workshop: Workshop, boundary: str, number: int, trace: Path) -> str:
    make_it_build(workshop.tiny, number)
    before = runs(workshop)
    killed = workshop.osqual("run", TINY, **{TRACE: str(trace), FAULT: boundary})
    assert killed.returncode == -signal.SIGKILL, f"not killed: {killed.returncode}"
    resumed = workshop.osqual("resume", "--json")
    assert resumed.returncode in (0, 3), resumed.stderr
    assert workshop.osqual("reap").returncode == 0
    assert workshop.osqual("resources", "--json").stdout.strip() == "[]"
    assert [each for each in marked_processes() if each.job.is_relative_to(workshop.state)] == []
    new = [run for run in runs(workshop) if run not in before]
    if not new:
        return "never begun"
    workshop.assert_nothing_left(new[0])
    verdict = str(workshop.stored(new[0])["verdict"])
    assert verdict in ("qualified", "inconclusive")
    return verdict


def runs(workshop: Workshop) -> list[str]:
    return [run["id"] for run in json.loads(workshop.osqual("runs", "--json").stdout or "[]")]


def test_a_machine_killed_with_osqual_is_made_again(
    workshop: Workshop, tiny: Path, tmp_path: Path
) -> None:
    workshop.run(leaf=TINY)  # the image is there now
    workshop.reset_catalogue(TINY)
    tests = workshop.catalogue / "products/hello/tests/test_hello.py"
    mark = tmp_path / "mark"
    tests.write_text(tests.read_text() + CUT_OFF.format(mark=str(mark)))
    child = workshop.start("run", TINY)
    run = ""

    def tests_run() -> bool:
        nonlocal run
        assert child.poll() is None, child.communicate()
        run = runs(workshop)[0]
        steps = {step["name"]: step["status"] for step in workshop.stored(run)["steps"]}
        return bool(steps["test"] == "running" and mark.exists())

    wait_until(tests_run, limit_s=900, what="the tests to begin")
    child.kill()
    child.communicate()
    for process in marked_processes():
        if process.job.is_relative_to(workshop.state):
            os.kill(process.pid, signal.SIGKILL)
    resumed = workshop.osqual("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "made again" in resumed.stderr
    stored = workshop.stored(run)
    assert stored["verdict"] == "qualified"
    begun = {step["name"]: step["begun"] for step in stored["steps"]}
    assert (begun["build"], begun["provision"]) == (1, 2)
    workshop.assert_nothing_left(run)


def test_another_terminal_cancels_a_run(workshop: Workshop, tiny: Path) -> None:
    before = runs(workshop)
    child = workshop.start("run", TINY, "--json")
    wait_until(
        lambda: [run for run in runs(workshop) if run not in before], limit_s=60, what="the run"
    )
    assert workshop.osqual("cancel", "latest", "--wait").returncode == 0
    stdout, _ = child.communicate(timeout=300)
    assert child.returncode == 130
    (result,) = json.loads(stdout)
    assert result["verdict"] == "inconclusive"
    workshop.assert_nothing_left(result["run"])
