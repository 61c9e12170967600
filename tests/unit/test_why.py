"""`osqual why` and `osqual rerun`: what is known of a failure, and trying it once more."""

import json
from pathlib import Path

import pytest

from osqual.errors import ExitCode
from osqual.model import Outcome, Verdict
from osqual.pipeline.workflow import RunResult
from osqual.report.why import Explained, explain
from osqual.store.database import Row
from tests.fixtures.command import osqual
from tests.unit.test_workflow import LEAF, World

GOOD, BAD = "test_net.py::test_good", "test_net.py::test_bad"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.suites.tests = {GOOD: (Outcome.PASS, ""), BAD: (Outcome.PASS, "")}
    world.platform.consoles = tmp_path / "consoles"
    world.platform.consoles.mkdir()
    (world.platform.consoles / "master-1").write_text("".join(f"line {n}\r\n" for n in range(80)))
    return world


def breaks(world: World, message: str = "no route to 10.0.0.1") -> RunResult:
    world.suites.tests[BAD] = (Outcome.FAIL, message)
    return world.run(publish="none")


def why(world: World, result: RunResult) -> Explained:
    (found,) = explain(world.store.run(result.run_id), world.store)
    return found


def test_a_failure_is_new_until_it_was_seen_before(world: World) -> None:
    first = breaks(world)
    assert why(world, first).is_new
    second = breaks(world, "no route to 10.77.0.9")
    found = why(world, second)
    assert not found.is_new
    assert found.first_seen is not None
    assert found.first_seen.run_id == first.run_id
    assert why(world, breaks(world, "the disk is full")).is_new


def test_what_changed_since_the_test_was_good(world: World) -> None:
    assert why(world, breaks(world)).last_good is None
    world.suites.tests[BAD] = (Outcome.PASS, "")
    good = world.run(publish="none")
    found = why(world, breaks(world))
    assert found.last_good is not None
    assert (found.last_good["id"], found.changes) == (good.run_id, ())
    (world.leaf / "install.sh").write_text("#!/bin/sh\necho new\n")
    (world.root / "catalogue/products/thing/load.sh").write_text("#!/bin/sh\nexit 0\n")
    found = why(world, breaks(world))
    assert found.changes == ("install.sh changed", "the product definition changed")


def test_it_is_told_where_else_it_was_seen(world: World) -> None:
    world.suites.tests[GOOD] = (Outcome.FAIL, "no route to 10.0.0.2")
    result = breaks(world)
    found = explain(world.store.run(result.run_id), world.store)
    assert [[seen.test_id for seen in each.elsewhere] for each in found] == [[BAD], [GOOD]]


def test_the_consoles_of_that_moment_are_kept(world: World) -> None:
    found = why(world, breaks(world))
    assert found.consoles["master-1"] == [f"line {n}" for n in range(30, 80)]


def test_why_for_people_and_for_scripts(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.stand_in(monkeypatch)
    breaks(world, "no \x1b[31mroute")
    assert osqual("why") == 0
    out = capsys.readouterr().out
    assert "rejected" in out.splitlines()[0]
    for words in (f"integration: {BAD}", "1 of 1 attempts failed", "in this run", "line 79"):
        assert words in out
    assert "\x1b[31m" not in out
    assert osqual("why", "latest", "--json", "--no-console") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["failures"][0]["test_id"] == BAD
    assert document["configuration"] == LEAF


def test_a_run_without_failures_has_nothing_to_explain(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.stand_in(monkeypatch)
    world.run()
    assert osqual("why") == 0
    assert "No test failed." in capsys.readouterr().out
    assert osqual("rerun", "--failed") == ExitCode.USAGE


def failed_tests(world: World, run: Row) -> tuple[tuple[str, str], ...]:
    rows = world.store.results(run["id"])
    return tuple((row["suite"], row["test_id"]) for row in rows if row["outcome"] == "fail")


def test_only_what_failed_is_run_again_on_the_same_image(world: World) -> None:
    first = breaks(world)
    (world.leaf / "install.sh").write_text("#!/bin/sh\necho new\n")
    built = len(world.builder.built)
    only = failed_tests(world, world.store.run(first.run_id))
    result = world.run(image_of=first.run_id, only=only, publish="worktree")
    assert len(world.builder.built) == built
    assert result.image_ids == first.image_ids
    assert [row["test_id"] for row in world.store.results(result.run_id)] == [BAD]
    assert result.judgement.verdict is Verdict.REJECTED
    world.suites.tests[BAD] = (Outcome.PASS, "")
    result = world.run(image_of=first.run_id, only=only)
    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert any("Only tests that somebody chose" in r for r in result.judgement.reasons)
    assert world.published() == set()


def test_a_run_without_an_image_cannot_be_the_source_of_one(world: World) -> None:
    first = world.run(publish="none")
    world.store.forget_steps(first.run_id, ["build"])
    result = world.run(image_of=first.run_id)
    assert result.exit_code is ExitCode.USAGE
    assert "has no image" in result.errors[0].brief
