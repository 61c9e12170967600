"""The orchestrator is killed with -9 at every boundary of a run; then everything must come right.

The boundaries are those that an undisturbed run passes, so a new one is covered without anyone
remembering. Machines are stood in for by other processes; `test_qemu.py` has the real ones.
"""

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from osqual.catalogue.published import parse_history, parse_images, parse_record
from osqual.failpoints import number_boundaries
from osqual.store.database import Row
from tests.durable import IMAGE_ID, DurableWorld, in_child, memory_directory

pytestmark = pytest.mark.timeout(3600)

PROGRAMS = ("sh", "sleep", "cat", "mv", "setpriv", "ssh")
PUBLISHED = {
    "dcos_images.yaml": parse_images,
    "packer_build_history.json": parse_history,
    "qualification.json": parse_record,
}
PARTS = 6
"""The boundaries are dealt out to so many tests, which run side by side."""
parts = pytest.mark.parametrize("part", range(PARTS))
MADE_AGAIN = {"provision", "install"}
"""Steps that may run a second time: when what they made is gone, or was cut off in the middle."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DurableWorld]:
    root = memory_directory()
    programs = root / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            (programs / name).symlink_to(found)
    before = os.environ["PATH"]
    os.environ["PATH"] = str(programs)  # the versions of few programs are asked for: quicker
    template = DurableWorld.make(root / "template")
    gc.freeze()  # a child that collects garbage need not copy all that the tests have loaded
    yield template
    gc.unfreeze()
    os.environ["PATH"] = before
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def boundaries(template: DurableWorld) -> list[str]:
    trace = template.root.parent / "trace"
    world = template.copy(template.root.parent / "undisturbed")
    assert in_child(world.run, trace=trace) == 0
    found = number_boundaries(trace.read_text())
    assert len(found) > 150
    return found


def each(
    boundaries: Sequence[str],
    template: DurableWorld,
    afterwards: Callable[[DurableWorld], str],
    what: str,
) -> None:
    """Kill a run at each boundary, do what comes afterwards, and gather all that is wrong."""
    wrong = []
    verdicts: dict[str, int] = {}
    for boundary in boundaries:
        root = template.root.parent / "world"
        world = template.copy(root)
        try:
            killed = in_child(world.run, trace=root / "trace", fault=boundary)
            assert killed == -9, f"the run was not killed: {killed}"
            verdict = afterwards(world)
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            assert in_child(world.reap) == 0
            assert_nothing_left(world)
        except AssertionError as error:
            wrong.append(f"{boundary}: {error}")
        finally:
            world.kill_machines()
            shutil.rmtree(root)
    report(what, len(boundaries), verdicts, len(wrong))
    assert not wrong, "\n".join(wrong)


def report(what: str, tried: int, verdicts: dict[str, int], wrong: int) -> None:
    """A part of a line of the table in docs/explanation/durability.md, if a file was asked for."""
    line = {"fault": what, "tried": tried, "verdicts": verdicts, "wrong": wrong}
    print(json.dumps(line))
    if path := os.environ.get("OSQUAL_FAULT_REPORT"):
        with Path(path).open("a") as stream:
            stream.write(json.dumps(line) + "\n")


def assert_nothing_left(world: DurableWorld) -> None:
    store = world.store()
    try:
        assert store.resources() == []
        assert [run["id"] for run in store.runs(unfinished_only=True)] == []
    finally:
        store.close()
    assert world.processes() == []
    for pattern in ("**/*.qcow2", "**/id_ed25519", "**/seed", "sockets"):
        assert list((world.state / "runs").glob(f"*/{pattern}")) == []
    assert not list(world.catalogue.rglob("*.tmp"))
    for name, parse in PUBLISHED.items():
        path = world.leaf / name
        if path.exists():
            parse(path.read_text(), name)
            assert IMAGE_ID in path.read_text()


def the_run(world: DurableWorld) -> tuple[Row | None, list[Row]]:
    store = world.store()
    try:
        runs = store.runs()
        return (runs[0], store.steps(runs[0]["id"])) if runs else (None, [])
    finally:
        store.close()


def check_verdict(world: DurableWorld, *allowed: str) -> str:
    run, _ = the_run(world)
    if run is None:
        return "never begun"
    assert run["status"] == "ended"
    assert run["verdict"] in allowed, run["reasons"]
    if run["verdict"] == "qualified":
        assert set(PUBLISHED) <= {path.name for path in world.leaf.iterdir()}
    else:
        assert run["reasons"]
    return str(run["verdict"])


def resume_and_check(world: DurableWorld) -> str:
    """Steps that had ended do not run again, and the run ends as it would have."""
    _, before = the_run(world)
    code = in_child(world.resume)
    _, after = the_run(world)
    cut_off = {step["name"] for step in before if step["status"] == "running"}
    for old, new in zip(before, after, strict=True):
        if old["status"] == "done" and (old["name"] not in MADE_AGAIN or not cut_off & MADE_AGAIN):
            assert new["begun"] == old["begun"], f"{old['name']} ran again"
    assert code == 0
    executions = world.executions()
    assert len(executions) == len(set(executions)), f"a suite ran twice: {executions}"
    return check_verdict(world, "qualified")


@parts
def test_killed_anywhere_a_run_is_resumed_to_its_verdict(
    boundaries: list[str], template: DurableWorld, part: int
) -> None:
    each(boundaries[part::PARTS], template, resume_and_check, "kill -9, then resume")


@parts
def test_killed_anywhere_a_run_that_is_not_resumed_leaves_nothing(
    boundaries: list[str], template: DurableWorld, part: int
) -> None:
    def nothing(world: DurableWorld) -> str:
        in_child(world.reap)
        return check_verdict(world, "inconclusive", "qualified")

    each(boundaries[part::PARTS], template, nothing, "kill -9, then reap")


@parts
def test_killed_anywhere_together_with_its_machines_a_run_comes_right(
    boundaries: list[str], template: DurableWorld, part: int
) -> None:
    """As after a restart of the host: what is gone is made again."""

    def restart(world: DurableWorld) -> str:
        world.kill_machines()
        _, before = the_run(world)
        in_child(world.resume)
        _, after = the_run(world)
        for old, new in zip(before, after, strict=True):
            if old["status"] == "done" and old["name"] not in MADE_AGAIN:
                assert new["begun"] == old["begun"], f"{old['name']} ran again"
        return check_verdict(world, "qualified", "inconclusive")

    what = "kill -9 and a restart of the host, then resume"
    each(boundaries[part::PARTS], template, restart, what)
