"""`osqual run` with several configurations, whose machines and suites are real processes."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from osqual.store.database import Row
from tests.durable import LEAF, DurableWorld, in_child

RELEASES = ("1.1", "1.2")
SUITES_S = 60.0


@pytest.fixture
def world(tmp_path: Path) -> DurableWorld:
    made = DurableWorld.make(tmp_path / "world")
    for release in RELEASES:
        made.add_release(release)
    return made


def runs(world: DurableWorld) -> dict[str, Row]:
    store = world.store()
    try:
        return {run["configuration"]: run for run in store.runs()}
    finally:
        store.close()


def nothing_left(world: DurableWorld) -> bool:
    store = world.store()
    try:
        return not store.resources() and not world.processes()
    finally:
        store.close()


def start(action: Callable[[], int]) -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(in_child(action))
    return pid


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SUITES_S
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_all_are_qualified_and_published(
    world: DurableWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    assert in_child(world.run_all) == 0
    found = runs(world)
    assert len(found) == 3
    assert {run["verdict"] for run in found.values()} == {"qualified"}
    assert len(list(world.catalogue.rglob("qualification.json"))) == 3
    assert nothing_left(world)
    shown = capfd.readouterr()
    assert shown.out.count("qualified  debian") == 3
    assert f"{LEAF}  test" in shown.err
    assert "builds the same image" in shown.err
    began = sorted(run["started_at"] for run in found.values())
    ended = sorted(run["ended_at"] for run in found.values())
    assert began[-1] < ended[0] or began[1] < ended[0], "none ran beside another"
    assert in_child(world.run_all) == 0
    assert " left" in capfd.readouterr().err, "the time to come is known from the last time"


def test_one_that_is_broken_stops_no_other(world: DurableWorld) -> None:
    (world.leaf / "packer.json").write_text("{")
    assert in_child(world.run_all) == 2
    verdicts = {path: run["verdict"] for path, run in runs(world).items()}
    assert verdicts.pop(LEAF) == "inconclusive"
    assert set(verdicts.values()) == {"qualified"}
    assert nothing_left(world)


def test_ctrl_c_once_ends_them_all(world: DurableWorld) -> None:
    world.suites_take(30)
    pid = start(world.run_all)
    wait_until(lambda: len(world.executions()) == 3)
    (child,) = (int(word) for word in children(pid))
    os.kill(child, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert {run["verdict"] for run in runs(world).values()} == {"inconclusive"}
    assert nothing_left(world)


def test_killed_in_the_middle_they_are_all_resumed(world: DurableWorld) -> None:
    pid = start(world.run_all)
    wait_until(lambda: len(world.executions()) >= 2)
    for child in children(pid):
        os.kill(int(child), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert in_child(world.resume_all) == 0
    assert in_child(world.run_all) == 0  # those that had not begun
    assert {run["verdict"] for run in runs(world).values()} == {"qualified"}
    assert nothing_left(world)


def test_a_limit_keeps_runs_apart(world: DurableWorld) -> None:
    settings = world.catalogue / "osqual.yaml"
    settings.write_text(settings.read_text() + "limits: {clusters: {at_most: 1}}\n")
    assert in_child(world.run_all) == 0
    found = sorted(runs(world).values(), key=lambda run: run["started_at"])
    assert len(found) == 3
    for before, after in itertools.pairwise(found):
        assert after["started_at"] >= before["ended_at"] - 0.5
    assert nothing_left(world)


def test_a_limit_that_is_too_low_for_one_run_is_named(
    world: DurableWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = world.catalogue / "osqual.yaml"
    limit = "limits: {machines: {at_most: 1, counts: machines}}\n"
    settings.write_text(settings.read_text() + limit)
    assert in_child(world.run_all) == 2
    assert "The run needs 2 of the limit machines, which is 1." in capfd.readouterr().err
    assert runs(world) == {}


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_runs_go_on_when_nobody_reads_what_they_say(world: DurableWorld, log_format: str) -> None:
    """The terminal's program, or a script that read the output, has died."""

    def unread() -> int:
        reader, writer = os.pipe()
        os.close(reader)
        sys.stdout = sys.stderr = os.fdopen(writer, "w", buffering=1)
        return world.run_all(log_format=log_format)

    assert in_child(unread) == 0
    assert [run["verdict"] for run in runs(world).values()] == ["qualified"] * 3
    assert nothing_left(world)
