"""The exchangeable parts a run is made of: builders, platforms, suite kinds, nodes, programs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osqual.bases.debian.build import BASE
from osqual.builders.base import Builder
from osqual.builders.layers import LAYER
from osqual.builders.packer_ami import CLOUD
from osqual.builders.registry import BUILDERS
from osqual.cancellation import Cancellation
from osqual.model import Node, SshIdentity
from osqual.platforms.base import Platform
from osqual.platforms.registry import PLATFORMS
from osqual.platforms.terraform_teardown import TERRAFORM
from osqual.processes.programs import FoundProgram, inspect_programs
from osqual.ssh.machine import Machine
from osqual.suites.base import SuiteKind
from osqual.suites.registry import SUITE_KINDS
from osqual.teardown import LOCAL_KINDS, Kinds

OpenMachine = Callable[[Node, SshIdentity, Path, Cancellation], Machine]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Each part by the name under which configurations and products ask for it."""

    builders: Mapping[str, Builder]
    platforms: Mapping[str, Platform]
    suite_kinds: Mapping[str, SuiteKind]
    open_machine: OpenMachine
    inspect_programs: Callable[[], Sequence[FoundProgram]]
    kinds: Kinds
    """How to end each kind of resource that they make."""


BUILT_IN = Parts(
    builders=BUILDERS,
    platforms=PLATFORMS,
    suite_kinds=SUITE_KINDS,
    open_machine=Machine,
    inspect_programs=inspect_programs,
    kinds={**LOCAL_KINDS, "terraform": TERRAFORM, "cloud": CLOUD, "base": BASE, "layer": LAYER},
)
"""What osqual ships."""
