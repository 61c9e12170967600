"""What a run does with suites: repetitions, shards, requirements, parameters, files of nodes."""

from pathlib import Path
from typing import Any

import pytest

from osqual.errors import ExitCode
from osqual.model import Outcome, Verdict
from osqual.pipeline.workflow import RunResult
from osqual.results.flakiness import Flakiness
from osqual.settings import Settings, load_settings
from tests.unit.test_workflow import PRODUCT, World

GOOD, BAD = "test_net.py::test_good", "test_net.py::test_bad"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.suites.tests = {GOOD: (Outcome.PASS, ""), BAD: (Outcome.FAIL, "no route")}
    return world


def define(world: World, more: str) -> None:
    """More keys of the integration suite."""
    text = PRODUCT.replace("path: tests}", f"path: tests, {more}}}")
    (world.root / "catalogue/products/thing/product.yaml").write_text(text)


def settings(world: World, text: str) -> None:
    (world.root / "catalogue/osqual.yaml").write_text(text)
    environ = {f"OSQUAL_{n.upper()}_DIR": str(world.root / n) for n in ("state", "cache", "data")}
    world.settings = load_settings(world.root / "catalogue", environ)


def row(world: World, result: RunResult, test: str = BAD) -> dict[str, Any]:
    return next(dict(r) for r in world.store.results(result.run_id) if r["test_id"] == test)


def test_failed_tests_are_run_again_on_their_own(world: World) -> None:
    define(world, "reruns: 3")
    world.suites.good_again = {BAD: 3}
    result = world.run()
    assert result.judgement.verdict is Verdict.QUALIFIED
    found = row(world, result)
    assert (found["outcome"], found["attempts"], found["failures"]) == ("flaky", 3, 2)
    assert found["message"] == "no route"
    assert found["signature"]
    again = [r.selection.only for r in world.suites.ran if r.part.startswith("rerun")]
    assert again == [(BAD,), (BAD,)]
    assert any(
        f"1 test passed only when repeated: integration: {BAD} (1 of 1 first attempts failed" in r
        for r in result.judgement.reasons
    )


def test_what_fails_every_time_is_a_failure(world: World) -> None:
    define(world, "reruns: 2")
    result = world.run()
    assert result.judgement.verdict is Verdict.REJECTED
    found = row(world, result)
    assert (found["outcome"], found["attempts"], found["failures"]) == ("fail", 3, 3)


def test_a_repetition_that_dies_changes_nothing(world: World) -> None:
    define(world, "reruns: 2")
    world.suites.good_again = {BAD: 2}
    world.suites.dying.add("integrationrerun-1")
    result = world.run()
    assert result.judgement.verdict is Verdict.REJECTED
    assert any("were run again" in reason for reason in result.judgement.reasons)


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ("accept", Verdict.QUALIFIED),
        ("reject", Verdict.REJECTED),
        ("{accept_below: 0.05}", Verdict.REJECTED),
        ("{accept_below: 0.999}", Verdict.REJECTED),
    ],
)
def test_the_policy_decides_about_flaky_tests(world: World, policy: str, verdict: Verdict) -> None:
    define(world, "reruns: 1")
    settings(world, f"products: products\npolicy: {{flaky: {policy}}}\n")
    world.suites.good_again = {BAD: 2}
    assert world.run().judgement.verdict is verdict


def test_a_history_of_passes_makes_a_flake_acceptable(world: World) -> None:
    define(world, "reruns: 1")
    settings(world, "products: products\npolicy: {flaky: {accept_below: 0.6}}\n")
    world.suites.tests[BAD] = (Outcome.PASS, "")
    for _ in range(8):
        world.run(publish="none")
    world.suites.tests[BAD] = (Outcome.FAIL, "no route")
    world.suites.good_again = {BAD: 2}
    result = world.run(publish="none")
    assert result.judgement.verdict is Verdict.QUALIFIED
    assert any("1 of 9 first attempts failed, 11%" in r for r in result.judgement.reasons)


@pytest.mark.parametrize(
    ("failed", "runs", "low", "high"),
    [(1, 1, 0.207, 1.0), (1, 10, 0.018, 0.404), (1, 110, 0.002, 0.050), (5, 10, 0.237, 0.763)],
)
def test_the_interval_is_wilsons(failed: int, runs: int, low: float, high: float) -> None:
    found = Flakiness(failed=failed, runs=runs).interval
    assert found == pytest.approx((low, high), abs=0.001)


@pytest.mark.parametrize(
    "policy", ["maybe", "{accept_below: 0}", "{accept_below: 2}", "{below: 1}"]
)
def test_a_policy_that_means_nothing_is_refused(policy: str) -> None:
    with pytest.raises(ValueError, match="policy"):
        Settings.model_validate({"policy": {"flaky": policy}})


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ("{platform: [aws]}", "it requires the platform aws"),
        ("{private_agents: 3}", "it requires 3 private agents, and the cluster has 1"),
        ("{platform: [aws, qemu], masters: 1}", ""),
        ("{arch: [riscv64]}", "it requires riscv64, and master-1 is 6.1.0"),
        ("{memory_mb: 4096}", "it requires 4096 MB of memory, and master-1 has 0"),
    ],
)
def test_a_suite_whose_requirements_are_not_met_is_skipped(
    world: World, requires: str, reason: str
) -> None:
    define(world, f"requires: {requires}")
    world.suites.tests[BAD] = (Outcome.PASS, "")
    result = world.run()
    assert ("integration" in [r.suite.name for r in world.suites.ran]) is not bool(reason)
    assert any(reason and reason in r for r in result.judgement.reasons) is bool(reason)


def test_shards_are_run_side_by_side_and_make_one_suite(world: World) -> None:
    define(world, "shards: 2, reruns: 1")
    world.suites.good_again = {BAD: 2}
    result = world.run()
    assert result.judgement.verdict is Verdict.QUALIFIED
    integration = [r for r in world.suites.ran if r.suite.name == "integration"]
    assert sorted(r.part for r in integration) == ["rerun-1", "shard-1", "shard-2"]
    told = {r.part: r.suite.environment.get("OSQUAL_SHARD") for r in integration}
    assert told == {"shard-1": "1", "shard-2": "2", "rerun-1": None}
    assert {r["test_id"] for r in world.store.results(result.run_id)} >= {GOOD, BAD}


def test_one_shard_that_dies_makes_the_suite_a_problem(world: World) -> None:
    define(world, "shards: 2")
    world.suites.tests[BAD] = (Outcome.PASS, "")
    world.suites.dying.add("integrationshard-2")
    result = world.run()
    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert any("part 2: it died" in reason for reason in result.judgement.reasons)


def test_parameters_reach_the_suite_and_settings_win(world: World) -> None:
    define(world, "parameters: {size: 3, name: plain}")
    settings(
        world, "products: products\nsuite_parameters: {thing: {integration: {size: [1, 2]}}}\n"
    )
    world.run()
    told = world.suites.ran[0].suite.environment
    assert (told["OSQUAL_PARAMETER_SIZE"], told["OSQUAL_PARAMETER_NAME"]) == ("[1, 2]", "plain")


@pytest.mark.parametrize("chosen", ["{integration: {colour: red}}", "{other: {}}"])
def test_a_parameter_that_nobody_declared_is_refused(world: World, chosen: str) -> None:
    settings(world, f"products: products\nsuite_parameters: {{thing: {chosen}}}\n")
    result = world.run()
    assert result.exit_code is ExitCode.USAGE
    assert "suite_parameters: thing has no suite" in result.errors[0].brief


def test_files_of_nodes_are_fetched_and_what_is_missing_is_told(world: World) -> None:
    define(world, "artefacts: [{path: '/var/log/*.log', nodes: first_master}]")
    result = world.run()
    # The fake node lists two names, and has the content of one.
    kept = result.directory / "suites/integration/artefacts/master-1"
    assert [path.name for path in kept.rglob("*") if path.is_file()] == ["6.1.0"]
    assert any(
        "/var/log/*.log of master-1" in reason and "could not be fetched: no" in reason
        for reason in result.judgement.reasons
    )
