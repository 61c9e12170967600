"""Suites whose tests are kept apart: on forks, restarted nodes, new clusters; saved failures."""

import json
from pathlib import Path
from typing import Any

import pytest

from osqual.errors import ExitCode, InfrastructureError, NotFound, OsqualError
from osqual.model import Isolation, KeepPolicy, Outcome, Verdict
from osqual.operations.comparing import Comparison, Round, compare_rounds
from osqual.operations.debugging import enter_failure, find_failure
from osqual.operations.reap import find_dead
from osqual.pipeline.workflow import RunResult, end_resources
from osqual.run.context import RunOptions
from osqual.testing.forks import saved_failures
from tests.fakes import FakePlatform, ForkingFakePlatform, ListingFakeSuites
from tests.unit.test_workflow import PRODUCT, World

GOOD, BAD, LAST = "test_a.py::test_good", "test_a.py::test_bad", "test_b.py::test_last"


@pytest.fixture
def platform() -> ForkingFakePlatform:
    return ForkingFakePlatform()


@pytest.fixture
def suites() -> ListingFakeSuites:
    return ListingFakeSuites(
        tests={GOOD: (Outcome.PASS, ""), BAD: (Outcome.FAIL, "no route"), LAST: (Outcome.PASS, "")}
    )


@pytest.fixture
def world(tmp_path: Path, platform: ForkingFakePlatform, suites: ListingFakeSuites) -> World:
    world = World(tmp_path, platform=platform, suites=suites)
    world.config("run_framework_tests: false\n")
    return world


def define(world: World, more: str) -> None:
    text = PRODUCT.replace("path: tests}", f"path: tests, {more}}}")
    (world.root / "catalogue/products/thing/product.yaml").write_text(text)


def results(world: World, result: RunResult) -> dict[str, str]:
    return {row["test_id"]: row["outcome"] for row in world.store.results(result.run_id)}


def test_each_test_has_a_fork_of_its_own_while_the_cluster_is_held(
    world: World, platform: ForkingFakePlatform, suites: ListingFakeSuites
) -> None:
    define(world, "isolation: fork")
    result = world.run()
    assert suites.clusters == {GOOD: "fork-1", BAD: "fork-2", LAST: "fork-3"}
    assert platform.story == ["hold", "begin fork-1", "begin fork-2", "begin fork-3", "go on run"]
    assert results(world, result) == {GOOD: "pass", BAD: "fail", LAST: "pass"}
    assert result.judgement.verdict is Verdict.REJECTED
    assert world.store.resources(run_id=result.run_id) == []


def test_a_fork_ends_with_its_test(world: World, platform: ForkingFakePlatform) -> None:
    define(world, "isolation: fork")
    seen: list[set[str]] = []
    begin = platform.fork

    def look(source: Path, scope: Any) -> Any:
        cluster = begin(source, scope)
        seen.append({name for name in platform.running if name.startswith("fork")})
        return cluster

    platform.fork = look  # type: ignore[method-assign]
    world.run()
    assert seen == [{"fork-1"}, {"fork-2"}, {"fork-3"}]


def test_forks_are_of_the_cluster_as_it_was_installed(
    world: World, platform: ForkingFakePlatform, suites: ListingFakeSuites
) -> None:
    """Also when another suite has shared it before."""
    world.config("run_framework_tests: true\n")
    text = PRODUCT.replace("path: load.sh}", "path: load.sh, isolation: fork}")
    (world.root / "catalogue/products/thing/product.yaml").write_text(text)
    world.run()
    assert platform.story[:2] == ["hold", "go on run"]
    assert suites.ran[0].suite.name == "integration"


def test_the_tests_of_a_module_can_share_a_fork(world: World, suites: ListingFakeSuites) -> None:
    define(world, "isolation: fork, isolation_by: module")
    world.run()
    assert suites.clusters == {GOOD: "fork-1", BAD: "fork-1", LAST: "fork-2"}


def test_repeated_tests_have_new_forks(world: World, suites: ListingFakeSuites) -> None:
    define(world, "isolation: fork, reruns: 1")
    suites.good_again = {BAD: 1}
    suites.tests[BAD] = (Outcome.FAIL, "no route")
    world.run()
    suites.good_again = {}
    world.run()
    assert suites.clusters[BAD] == "fork-4"


def test_shards_are_forks_side_by_side(world: World, suites: ListingFakeSuites) -> None:
    define(world, "isolation: fork, shards: 3")
    result = world.run()
    assert len(set(suites.clusters.values())) == 3
    assert set(results(world, result)) == {GOOD, BAD, LAST}


def test_a_fork_that_cannot_be_had_makes_the_run_inconclusive(
    world: World, platform: ForkingFakePlatform
) -> None:
    define(world, "isolation: fork")
    platform.fork_failure = InfrastructureError("no memory")
    result = world.run()
    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert any("no memory" in reason for reason in result.judgement.reasons)
    assert world.store.resources(run_id=result.run_id) == []


def test_tests_that_cannot_be_listed_are_not_run(world: World, suites: ListingFakeSuites) -> None:
    define(world, "isolation: fork")
    suites.unlistable = "its tests could not be loaded"
    result = world.run()
    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert suites.clusters == {}


def test_where_nothing_can_be_forked_nodes_are_restarted_and_that_is_said(
    tmp_path: Path, suites: ListingFakeSuites
) -> None:
    world = World(tmp_path, platform=FakePlatform(), suites=suites)
    define(world, "isolation: fork")
    suites.tests[BAD] = (Outcome.PASS, "")
    result = world.run(keep=KeepPolicy.ALWAYS)
    boots = (result.directory / "sockets" / "master-1.boots").read_text().splitlines()
    assert len(boots) == 2, "before the second and the third test: the first finds a new cluster"
    assert any("cannot fork a cluster" in reason for reason in result.judgement.reasons)


def test_cold_makes_a_cluster_for_each_test_and_the_option_wins(
    world: World, platform: ForkingFakePlatform, suites: ListingFakeSuites
) -> None:
    define(world, "isolation: fork")
    result = world.run(isolation=Isolation.COLD)
    assert platform.story == []
    assert any("--isolation cold; its own is fork" in r for r in result.judgement.reasons)
    assert platform.destroyed == 3, "before the second and the third test, and at the end"
    assert results(world, result) == {GOOD: "pass", BAD: "fail", LAST: "pass"}


def test_the_order_is_that_of_the_seed(world: World, suites: ListingFakeSuites) -> None:
    define(world, "isolation: fork")
    orders = []
    for seed in (1, 1, 2, 3, 4):
        suites.ran.clear()
        world.run(shuffle=seed, publish="none")
        orders.append(tuple(request.selection.only for request in suites.ran))
    assert orders[0] == orders[1]
    assert len(set(orders)) > 1


def test_a_failure_is_saved_before_the_test_cleans_up_and_can_be_entered(
    world: World, platform: ForkingFakePlatform
) -> None:
    define(world, "isolation: fork")
    result = world.run(keep=KeepPolicy.ON_FAILURE)
    assert result.kept
    story = platform.story
    assert story[story.index("save fork-2") + 1] == "go on fork-2", "its fixtures clean up"
    (saved,) = saved_failures(result.directory)
    assert (saved.suite, saved.tests) == ("integration", (BAD,))
    assert not any(name.startswith("fork") for name in platform.running)
    run = world.store.run(result.run_id)
    fork, _ = enter_failure(run, find_failure(run, "test_bad"), world.engine())
    assert fork == "debug-1"
    assert "debug-1" in platform.running
    assert list(find_dead(world.engine())) == [], "it is kept on purpose"
    end_resources(result.run_id, result.directory, world.engine())
    assert platform.running == set()
    assert not list(result.directory.rglob("ram"))


def test_a_failed_entry_leaves_nothing(world: World, platform: ForkingFakePlatform) -> None:
    define(world, "isolation: fork")
    result = world.run(keep=KeepPolicy.ON_FAILURE)
    run = world.store.run(result.run_id)
    platform.fork_failure = InfrastructureError("no memory")
    with pytest.raises(OsqualError, match="no memory"):
        enter_failure(run, find_failure(run, BAD), world.engine())
    assert not any(name.startswith("debug") for name in platform.running)


@pytest.mark.parametrize("test", ["test_good", "test_b.py"])
def test_what_was_not_saved_cannot_be_entered(world: World, test: str) -> None:
    define(world, "isolation: fork")
    result = world.run(keep=KeepPolicy.ON_FAILURE)
    with pytest.raises(NotFound, match="no test fits"):
        find_failure(world.store.run(result.run_id), test)


def test_without_keeping_nothing_is_saved(world: World, platform: ForkingFakePlatform) -> None:
    define(world, "isolation: fork")
    result = world.run()
    assert saved_failures(result.directory) == []
    with pytest.raises(NotFound, match="has saved no cluster"):
        find_failure(world.store.run(result.run_id), BAD)


def test_a_run_isolated_by_hand_is_another_qualification(world: World) -> None:
    define(world, "isolation: shared")
    world.run()
    again = world.run(reuse=True, isolation=Isolation.FORK)
    assert not any("is reused" in reason for reason in again.judgement.reasons)


def test_options_survive_a_restart() -> None:
    options = RunOptions(isolation=Isolation.COLD, shuffle=7)
    assert RunOptions.from_document(json.loads(json.dumps(options.document()))) == options


def test_both_ways_are_compared_in_the_same_order(
    world: World, platform: ForkingFakePlatform, suites: ListingFakeSuites
) -> None:
    from contextlib import nullcontext

    from osqual.catalogue.catalogue import open_catalogue

    catalogue = open_catalogue(world.root / "catalogue")
    found = compare_rounds(
        catalogue,
        catalogue.configuration(world.leaf),
        world.engine(),
        seeds=(1, 2),
        shown=lambda: nullcontext(lambda _event: None),
    )
    assert found.exit_code is ExitCode.OK
    assert found.lines()[-1] == "3 tests came out the same on forks and on new clusters."
    orders = [r.selection.only for r in suites.ran]
    assert orders[0:3] == orders[3:6]
    assert platform.story.count("hold") == 2


def test_what_differs_is_named() -> None:
    def one(last: str, verdict: str = "rejected") -> Comparison:
        outcomes = (
            {("s", "a"): "pass", ("s", "b"): "pass"},
            {("s", "a"): "pass", ("s", "b"): last},
        )
        verdicts = ("qualified", verdict)
        return Comparison(
            rounds=(Round(seed=1, runs=("r1", "r2"), verdicts=verdicts, outcomes=outcomes),)
        )

    assert one("fail").exit_code is ExitCode.REJECTED
    assert "different: s: b: pass, fail" in one("fail").lines()
    assert one("pass").exit_code is ExitCode.OK
    assert one("pass", "inconclusive").exit_code is ExitCode.INCONCLUSIVE
