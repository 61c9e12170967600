"""A suite as a product definition writes it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from osqual.model import Artefact, Isolation, Requirements, Role, Suite
from osqual.products.node_set import NodeSet

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_VALUE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,79}")
RESERVED_PREFIX = "OSQUAL_"
# Values of these would change how the script itself is found, loaded or run.
_RESERVED = frozenset({"PATH", "HOME", "IFS", "ENV", "BASH_ENV", "SHELL", "USER", "PWD"})


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Count = Annotated[int, Field(ge=0)]
_Parameter = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Requires(_Section):
    """What a suite needs; it is skipped, with the reason, where that is not there."""

    platform: tuple[str, ...] = ()
    masters: _Count = 0
    private_agents: _Count = 0
    public_agents: _Count = 0
    memory_mb: _Count = 0
    """Of each node."""
    arch: tuple[str, ...] = ()
    """As `uname -m` says it."""


class Fetch(_Section):
    """Files of nodes that are fetched when the suite has ended, for the run directory."""

    path: Annotated[str, Field(pattern=r"^/[^\n]*$")]
    nodes: NodeSet = NodeSet.ALL


class SuiteEntry(_Section):
    """One entry of `suites`."""

    name: str
    stage: Literal["integration", "framework"]
    kind: str
    path: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = Field(default_factory=dict)
    timeout: float = Field(default=3600, gt=0)
    reruns: int = Field(default=0, ge=0, le=20)
    shards: int = Field(default=1, ge=1, le=64)
    isolation: Isolation = Isolation.SHARED
    isolation_by: Literal["test", "module"] = "test"
    requires: Requires = Requires()
    artefacts: tuple[Fetch, ...] = ()
    parameters: Mapping[_Parameter, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return check_name(value)

    def suite_in(self, directory: Path) -> Suite:
        """The suite, its path absolute."""
        requires = self.requires
        counts = {
            Role.MASTER: requires.masters,
            Role.PRIVATE_AGENT: requires.private_agents,
            Role.PUBLIC_AGENT: requires.public_agents,
        }
        return Suite(
            name=self.name,
            stage=self.stage,
            kind=self.kind,
            path=directory / self.path,
            arguments=self.arguments,
            environment=self.environment,
            timeout_s=self.timeout,
            reruns=self.reruns,
            shards=self.shards,
            isolation=self.isolation,
            isolation_by=self.isolation_by,
            requires=Requirements(
                platforms=requires.platform,
                nodes={role: count for role, count in counts.items() if count},
                memory_mb=requires.memory_mb,
                architectures=requires.arch,
            ),
            artefacts=tuple(Artefact(path=f.path, nodes=f.nodes.value) for f in self.artefacts),
            parameters=self.parameters,
        )


def check_name(value: str) -> str:
    """A name of a suite or a step. Raises ValueError."""
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a name: lower-case letters, digits, '-' and '_', a letter first"
        )
    return value


def check_variable(value: str) -> None:
    """Refuse a variable that is none, or that would change how scripts run. Raises ValueError."""
    if not _VALUE_NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a variable's name: capitals, digits and '_', a letter first"
        )
    if value.startswith(RESERVED_PREFIX) or value in _RESERVED:
        raise ValueError(f"{value!r} is taken; choose another name")
