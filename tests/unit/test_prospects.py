"""In which order runs begin, and what they take of the limits in osqual.yaml."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import InvalidInput
from osqual.operations.prospects import Prospect, check_claims, claims_of, in_order, prospects_of
from osqual.pipeline.workflow import Engine, RunResult
from osqual.room import Room
from osqual.run.context import RunOptions
from osqual.settings import Limit
from osqual.store.limits import Claim
from tests.durable import LEAF, DurableWorld
from tests.fakes import FakeBuilder, FakePlatform, FakeSuites, fake_parts

AWS = "centos/7.6/aws/DCOS-2.0.0/docker-18.09.9-ce"


def never(engine: Engine, claims: Sequence[Claim]) -> RunResult:
    raise AssertionError


def named(name: str, recipe: str = "", took: float | None = None) -> Prospect:
    steps = {} if took is None else {"test": took}
    return Prospect(configuration=name, start=never, recipe=recipe, steps_s=steps)


def order(*prospects: Prospect) -> str:
    return " ".join(prospect.configuration for prospect in in_order(prospects))


def test_one_of_each_recipe_begins_first_then_what_takes_longest() -> None:
    found = order(
        named("a1", "a", 10),
        named("b1", "b", 10),
        named("b2", "b", 90),
        named("b3", "b", 50),
        named("alone", took=70),
    )
    assert found == "b2 a1 alone b3 b1"


def test_without_history_the_recipe_that_most_wait_for_begins() -> None:
    found = order(named("a1", "a"), named("b1", "b"), named("b2", "b"), named("b3", "b"))
    assert found == "b1 a1 b2 b3"


def test_what_is_not_known_counts_as_usual() -> None:
    assert order(named("short", took=1), named("new"), named("long", took=99)) == "long new short"


def test_limits_count_runs_or_machines_where_their_paths_say() -> None:
    limits = {
        "clusters": Limit(at_most=4, paths=("**/aws/**",)),
        "machines": Limit(at_most=20, counts="machines", paths=("**/aws/**",)),
        "everything": Limit(at_most=9),
    }
    amounts = {"runs": 1, "machines": 5}
    assert claims_of(AWS, amounts, limits) == (
        Claim(name="clusters", amount=1, at_most=4),
        Claim(name="everything", amount=1, at_most=9),
        Claim(name="machines", amount=5, at_most=20),
    )
    assert [each.name for each in claims_of(LEAF, amounts, limits)] == ["everything"]


def test_a_run_that_no_waiting_helps_is_refused() -> None:
    with pytest.raises(InvalidInput, match="needs 5 of the limit machines, which is 3"):
        check_claims([Claim(name="machines", amount=5, at_most=3)])


@pytest.fixture
def world(tmp_path: Path) -> DurableWorld:
    made = DurableWorld.make(tmp_path / "world")
    settings = made.catalogue / "osqual.yaml"
    limits = "limits: {machines: {at_most: 4, counts: machines}}\n"
    settings.write_text(settings.read_text() + limits)
    return made


def test_a_run_takes_what_its_widest_part_does(world: DurableWorld) -> None:
    builder = FakeBuilder(takes=Room(memory_mb=900, cores=2))
    platform = FakePlatform(takes=Room(memory_mb=3000, cores=1, disk_mb=50))
    store = world.store()
    engine = Engine(
        settings=world.settings,
        store=store,
        cancellation=Cancellation(),
        environ={},
        parts=fake_parts(builder, platform, FakeSuites()),
    )
    catalogue = open_catalogue(world.catalogue)
    (found,) = prospects_of(catalogue, catalogue.configurations(), RunOptions(), engine)
    assert found.needs.room == Room(memory_mb=3000, cores=2, disk_mb=50)
    assert found.needs.claims == (Claim(name="machines", amount=2, at_most=4),)
    assert len(found.recipe) == 64
    (cold,) = prospects_of(catalogue, catalogue.configurations(), RunOptions(cold=True), engine)
    assert cold.recipe == ""
    (world.leaf / "cluster_profile.tfvars").write_text("num_of_masters = [")
    (broken,) = prospects_of(catalogue, catalogue.configurations(), RunOptions(), engine)
    assert broken.needs.claims == (), "the run itself says what is wrong"
    store.close()
