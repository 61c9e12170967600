"""Benchmarks go with the program: what they stand in for has what the pipeline asks of it."""

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def test_simulated_configurations_are_qualified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    sys.modules.pop("simulation", None)
    from simulation import make_world, qualify_all

    world = make_world(tmp_path / "catalogue", recipes=2, configurations=3, scale_s=0.01)
    assert qualify_all(world, tmp_path / "state", slots=2) >= world.lower_bound_s(2)
