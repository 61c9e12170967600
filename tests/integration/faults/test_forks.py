"""Killed with -9 at every boundary at which suites have forks of the cluster: nothing stays."""

import shutil
from collections.abc import Iterator

import pytest

from osqual.failpoints import number_boundaries
from tests.durable import PRODUCT, DurableWorld, in_child, memory_directory
from tests.integration.faults.test_boundaries import check_verdict, each, the_run

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def forking() -> Iterator[DurableWorld]:
    root = memory_directory()
    world = DurableWorld.make(root / "template")
    product = world.catalogue / "products" / "thing" / "product.yaml"
    product.write_text(PRODUCT.replace("suite.sh}", "suite.sh, isolation: fork}"))
    yield world
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def boundaries(forking: DurableWorld) -> list[str]:
    """Those from the first fork to the verdict."""
    trace = forking.root.parent / "trace"
    world = forking.copy(forking.root.parent / "undisturbed")
    assert in_child(world.run, trace=trace) == 0
    assert world.executions() == ["integration", "framework"]
    names = number_boundaries(trace.read_text())
    shared = forking.copy(forking.root.parent / "shared")
    product = shared.catalogue / "products" / "thing" / "product.yaml"
    product.write_text(PRODUCT)
    assert in_child(shared.run, trace=forking.root.parent / "trace-shared") == 0
    others = set(number_boundaries((forking.root.parent / "trace-shared").read_text()))
    own = [name for name in names if name not in others]
    assert len(own) > 40, "forks have boundaries of their own"
    first = next(n for n, name in enumerate(names) if name in own)
    return names[first - 10 : first + len(own)]


def test_killed_anywhere_forks_leave_nothing(boundaries: list[str], forking: DurableWorld) -> None:
    def nothing(world: DurableWorld) -> str:
        in_child(world.reap)
        return check_verdict(world, "inconclusive", "qualified")

    each(boundaries[::2], forking, nothing, "kill -9 among forks, then reap")


def test_killed_anywhere_a_run_with_forks_is_resumed_to_its_verdict(
    boundaries: list[str], forking: DurableWorld
) -> None:
    def resumed(world: DurableWorld) -> str:
        _, before = the_run(world)
        assert in_child(world.resume) == 0
        _, after = the_run(world)
        for old, new in zip(before, after, strict=True):
            if old["status"] == "done":
                assert new["begun"] == old["begun"], f"{old['name']} ran again"
        assert {*world.executions()} == {"integration", "framework"}
        return check_verdict(world, "qualified")

    each(boundaries[1::6], forking, resumed, "kill -9 among forks, then resume")
