"""The controller's command line, and a cluster that each test finds idle."""

from collections.abc import Iterator

import pytest
from slurm import Slurm, wait_for

from osqual.model import Node
from osqual.suites.plugin import Machines


@pytest.fixture
def slurm(nodes: tuple[Node, ...], machine: Machines) -> Iterator[Slurm]:
    """Slurm with nothing to do; what a test leaves behind is cancelled."""
    slurm = Slurm(machine(nodes[0]))
    yield slurm
    slurm.run("scancel", "--me", check=False)
    wait_for("idle nodes", lambda: set(slurm.node_states().values()) <= {"idle"})
