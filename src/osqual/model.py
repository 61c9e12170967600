"""The nouns of qualification, as frozen values. No I/O, no behaviour beyond derivation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Role(StrEnum):
    """What a node of a cluster is for."""

    MASTER = "master"
    PRIVATE_AGENT = "private_agent"
    PUBLIC_AGENT = "public_agent"


def node_name(role: Role, number: int) -> str:
    """What the nodes of a role are called, counted from 1: private-agent-1."""
    return f"{role.value.replace('_', '-')}-{number}"


class Outcome(StrEnum):
    """The outcome of one test."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"
    FLAKY = "flaky"
    MUTED = "muted"


class Verdict(StrEnum):
    """The verdict of one run. Never optimistic: what did not run did not pass."""

    QUALIFIED = "qualified"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"


class PublishPoint(StrEnum):
    """`publish_dcos_images_after`: the point of the pipeline that must be passed to publish."""

    PACKER_BUILD = "packer_build"
    DCOS_INSTALLATION = "dcos_installation"
    INTEGRATION_TESTS = "integration_tests"
    NEVER = "never"


class KeepPolicy(StrEnum):
    """When the cluster is left running after the run."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class Isolation(StrEnum):
    """What keeps the tests of a suite from each other on the cluster."""

    SHARED = "shared"
    REBOOT = "reboot"
    FORK = "fork"
    COLD = "cold"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One directory of the catalogue that matches the whole layout.

    `path` is relative to `root`, with forward slashes: the configuration's name everywhere.
    `dimensions` maps each dimension of the layout (os, os_version, platform, product, release,
    docker, variant) to the value in the directory's name; an absent optional one is missing.
    """

    root: Path
    path: str
    dimensions: Mapping[str, str]

    @property
    def directory(self) -> Path:
        """The configuration's own directory, absolute."""
        return self.root / self.path


@dataclass(frozen=True, kw_only=True)
class PublishAndTest:
    """`publish_and_test_config.yaml`; a missing file means all defaults."""

    publish_after: PublishPoint = PublishPoint.DCOS_INSTALLATION
    tests_to_run: tuple[str, ...] = ()
    run_integration_tests: bool = True
    run_framework_tests: bool = True


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Node counts by role."""

    masters: int = 1
    private_agents: int = 1
    public_agents: int = 1

    @property
    def total(self) -> int:
        """Number of machines."""
        return self.masters + self.private_agents + self.public_agents

    def names(self) -> tuple[tuple[str, Role], ...]:
        """Every node's name and role, masters first: master-1, private-agent-1, …"""
        counts = (
            (Role.MASTER, self.masters),
            (Role.PRIVATE_AGENT, self.private_agents),
            (Role.PUBLIC_AGENT, self.public_agents),
        )
        return tuple(
            (node_name(role, n), role) for role, count in counts for n in range(1, count + 1)
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines a built image, as a digest of its listed inputs.

    `inputs` maps a name (`base`, `template`, `file:install.sh`) to the sha256 of its content, so
    that two recipes can be compared and the difference named. The product release is not in it.
    """

    digest: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Image:
    """A built or published image: one id per region.

    On QEMU the region is `local`, the id is `sha256:<hex>` of the qcow2 and `file` is where it is.
    """

    ids: Mapping[str, str]
    file: Path | None = None
    reused: bool = False
    build_record: Mapping[str, Any] | None = None
    """The build that made it, as an entry of Packer's manifest: of an earlier run when `reused`.
    None for a published image, whose build is in the history already.
    """
    inventory: Path | None = None
    """What was found in it when it was built; None for an image that was made elsewhere."""
    base_inventory: Path | None = None
    """The same of its base image, before anything was done to it."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine of a cluster, as ssh and the product's scripts see it."""

    name: str
    role: Role
    ssh_host: str
    ssh_port: int
    ssh_user: str
    private_address: str
    public_address: str
    console: Path | None = None
    ssh_proxy: str = ""
    """What carries connections to it, as ssh's `ProxyCommand`; empty: it is reached directly."""


@dataclass(frozen=True, kw_only=True)
class SshIdentity:
    """The one-run key pair and the pinned host keys of a run's nodes."""

    private_key: Path
    public_key: Path
    known_hosts: Path


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Machines booted from one image, with the keys to them."""

    nodes: tuple[Node, ...]
    identity: SshIdentity

    def by_role(self, role: Role) -> tuple[Node, ...]:
        """The nodes of one role, in order."""
        return tuple(node for node in self.nodes if node.role is role)

    def node(self, name: str) -> Node | None:
        """The node of that name."""
        return next((node for node in self.nodes if node.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What a suite needs, so that running it can mean something. Empty and zero: anything."""

    platforms: tuple[str, ...] = ()
    nodes: Mapping[Role, int] = field(default_factory=dict)
    memory_mb: int = 0
    """Of each node."""
    architectures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """Files of nodes that are fetched when a suite has ended; `nodes` as in an installation."""

    path: str
    """Absolute, and may be a glob."""
    nodes: str = "all"


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One suite of a product definition.

    `stage` is what `run_integration_tests` and `run_framework_tests` switch; `path` is the file or
    directory that the kind runs, absolute, on the controller.
    """

    name: str
    stage: str
    kind: str
    path: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 3600.0
    reruns: int = 0
    """How often a test that failed is run again, on its own."""
    shards: int = 1
    """In how many parts its tests are run at the same time."""
    isolation: Isolation = Isolation.SHARED
    isolation_by: str = "test"
    """What is isolated: each `test`, or each `module`."""
    requires: Requirements = Requirements()
    artefacts: tuple[Artefact, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which tests of a suite to run.

    `arguments` are `tests_to_run` split into words, handed to the test command as they are;
    `keywords` are the command line's -k: only tests whose name contains one of them.
    """

    arguments: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    """Patterns of tests that are muted: not to be run, where the kind can leave tests out."""
    only: tuple[str, ...] = ()
    """Ids: just these tests and no other, muted or not."""

    @property
    def partial(self) -> bool:
        """Whether a person narrowed this run; such a run is never published."""
        return bool(self.keywords)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One of several equal parts of a suite, counted from 1."""

    number: int
    of: int

    def take(self, tests: Sequence[T]) -> list[T]:
        """The tests of this part."""
        return list(tests[self.number - 1 :: self.of])


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """One test's outcome, with its evidence."""

    __test__ = False  # not a pytest class

    suite: str
    test_id: str
    outcome: Outcome
    duration_s: float = 0.0
    message: str = ""
    details: str = ""
    signature: str = ""
    """Of a failure: the same for the same failure in another run."""
    attempts: int = 1
    failures: int = 0
    """How many of the attempts failed."""
    mute: str = ""
    """The mute, by its digest, that keeps it from counting."""
    shadow: Outcome | None = None
    """What a muted test gave; None when it was not run."""


@dataclass(frozen=True, kw_only=True)
class SuiteResult:
    """What running one suite gave.

    `problem` is set when the suite cannot be believed (died, collected nothing, left no readable
    report); the verdict is then inconclusive whatever `results` holds.
    """

    suite: str
    results: tuple[TestResult, ...] = ()
    exit_status: int | None = None
    duration_s: float = 0.0
    problem: str = ""
    skipped: str = ""
    """Why the suite was not run on purpose (`run_framework_tests: false`); empty when it ran."""
    artefacts: tuple[Path, ...] = field(default=())
    left_out: tuple[str, ...] = ()
    """Ids of the tests that were not run because they are muted."""
    only_against: bool = False
    """Whether its results can speak against a run and never for it: the checks of the nodes."""
    remarks: tuple[str, ...] = ()
    """Sentences that decide nothing and that a reader of the verdict has to know."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict and every reason for it, most important first."""

    verdict: Verdict
    reasons: tuple[str, ...]
    totals: Mapping[str, int]
