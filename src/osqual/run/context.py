"""What a run knows: the options it was started with and what its steps have found so far."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from osqual.builders.base import Builder
from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.inputs import ConfigurationInputs
from osqual.effects.scope import RunScope
from osqual.errors import OsqualError
from osqual.inventory.checks import SUITE as HYGIENE
from osqual.model import (
    Cluster,
    Configuration,
    Image,
    Isolation,
    Judgement,
    KeepPolicy,
    Outcome,
    PublishPoint,
    SuiteResult,
)
from osqual.mutes.applying import MutesOfRun
from osqual.mutes.mute import Mute
from osqual.platforms.base import Platform
from osqual.products.definition import Product
from osqual.results.node_checks import Finding
from osqual.run.parts import Parts
from osqual.ssh.machine import Machine
from osqual.store.store import Store


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a person asked for on the command line."""

    keywords: tuple[str, ...] = ()
    keep: KeepPolicy = KeepPolicy.NEVER
    builder: str | None = None
    publish: str = "worktree"
    cold: bool = False
    image_of: str | None = None
    """An earlier run, whose image is used."""
    only: tuple[tuple[str, str], ...] = ()
    """Tests, each by suite and id: these and no other."""
    reuse: bool = False
    """Take over the verdict of an earlier run when nothing that it rests on has changed."""
    audit: float = 0.0
    """The share of such runs that are done all the same."""
    isolation: Isolation | None = None
    """How tests are kept from each other, whatever their suites say."""
    shuffle: int | None = None
    """What decides the order of isolated tests; None leaves it to the suite."""
    max_cost_usd: float | None = None
    """What one run may cost by estimate; None does not look."""

    @property
    def narrowed(self) -> bool:
        """Whether a person chose single tests; such a run is no qualification."""
        return bool(self.keywords or self.only)

    def document(self) -> dict[str, Any]:
        """The options as JSON, for the store."""
        return {
            "keywords": list(self.keywords),
            "keep": self.keep.value,
            "builder": self.builder,
            "publish": self.publish,
            "cold": self.cold,
            "image_of": self.image_of,
            "only": [list(test) for test in self.only],
            "reuse": self.reuse,
            "audit": self.audit,
            "isolation": self.isolation,
            "shuffle": self.shuffle,
            "max_cost_usd": self.max_cost_usd,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "RunOptions":
        """What `document` wrote. Raises KeyError, ValueError or TypeError for anything else."""
        return cls(
            keywords=tuple(document["keywords"]),
            keep=KeepPolicy(document["keep"]),
            builder=document["builder"],
            publish=document["publish"],
            cold=document["cold"],
            image_of=document.get("image_of"),
            only=tuple((suite, test) for suite, test in document.get("only", ())),
            reuse=document.get("reuse", False),
            audit=document.get("audit", 0.0),
            isolation=Isolation(document["isolation"]) if document.get("isolation") else None,
            shuffle=document.get("shuffle"),
            max_cost_usd=document.get("max_cost_usd"),
        )


@dataclass(frozen=True, kw_only=True)
class Note:
    """How a step ended well: what to say, and whether there was nothing to do.

    `found` is JSON: what a later process needs to go on behind this step.
    """

    message: str = ""
    skipped: bool = False
    found: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """An earlier run that came to a verdict on the same; `audited` when it is tried again."""

    run_id: str
    ended_at: float
    judgement: Judgement
    audited: bool = False

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.ended_at, UTC).strftime("%Y-%m-%d")
        return f"{self.run_id} of {when}"


@dataclass
class Failures:
    """What went wrong in a run: the first failure decides, later ones are told as well."""

    run: list[OsqualError] = field(default_factory=list)
    bug: Exception | None = None

    def add(self, error: Exception) -> None:
        """Keep an error; what nobody expected is kept apart, to be raised when all is cleaned."""
        if isinstance(error, OsqualError):
            self.run.append(error)
        else:
            self.bug = self.bug or error

    def __bool__(self) -> bool:
        return bool(self.run) or self.bug is not None


@dataclass(kw_only=True)
class RunContext:
    """Everything a run knows so far; the one mutable object of a run, owned by `workflow`."""

    scope: RunScope
    store: Store
    parts: Parts
    catalogue: Catalogue
    configuration: Configuration
    options: RunOptions
    cancellation: Cancellation
    """The whole run's: `scope` has the step's, which ends with the step's time limit."""
    environ: Mapping[str, str]
    started_at: float = field(default_factory=time.time)
    whole: Path | None = None
    """The run's directory where the scope is only a part of it: a fork."""
    on_failure: Callable[[str], None] | None = None
    """Told of a test that has failed before it cleans up, where a suite's kind can tell."""
    inputs: ConfigurationInputs | None = None
    inputs_mutes: tuple[Mute, ...] | None = None
    """What is muted for the configuration, whatever its image."""
    mutes: MutesOfRun = field(default_factory=MutesOfRun)
    """What is muted in this run."""
    builder: Builder | None = None
    platform: Platform | None = None
    product: Product | None = None
    image: Image | None = None
    cluster: Cluster | None = None
    machines: dict[str, Machine] = field(default_factory=dict)
    node_facts: list[dict[str, Any]] = field(default_factory=list)
    used: bool = False
    """Tests have run on the cluster since it was made."""
    findings: list[Finding] = field(default_factory=list)
    """What was found on nodes of forks, which are gone when the run's own nodes are looked at."""
    suites: list[SuiteResult] = field(default_factory=list)
    failures: Failures = field(default_factory=Failures)
    unfinished: list[str] = field(default_factory=list)
    step_seconds: dict[str, float] = field(default_factory=dict)
    ended_well: set[str] = field(default_factory=set)
    judgement: Judgement | None = None
    reuse: Reuse | None = None
    """The earlier run of the same qualification, when there is one to be looked at."""
    published: list[Path] = field(default_factory=list)
    released: bool = False
    """The images were let go: their publish gate has passed."""
    kept: bool = False
    interrupted: bool = False

    @property
    def run_directory(self) -> Path:
        """The run's own, also while the scope is a part of it."""
        return self.scope.directory if self.whole is None else self.whole

    @property
    def takes_over(self) -> Reuse | None:
        """The run whose verdict is taken over: then there is no cluster and no test."""
        return None if self.reuse is None or self.reuse.audited else self.reuse

    @property
    def today(self) -> date:
        """The day of the run: the one on which it began, also when it is resumed later."""
        return datetime.fromtimestamp(self.started_at, UTC).date()

    @property
    def publish_point(self) -> PublishPoint:
        """Where in the pipeline this configuration publishes."""
        return need(self.inputs).publish_and_test.publish_after

    @property
    def image_faults(self) -> tuple[str, ...]:
        """Faults of the image that keep it from being published; muted ones do not."""
        return tuple(
            result.test_id
            for suite in self.suites
            if suite.suite == HYGIENE
            for result in suite.results
            if result.outcome is Outcome.FAIL
        )

    @property
    def may_publish(self) -> bool:
        """Whether this run may write published files at all."""
        return (
            self.inputs is not None
            and self.options.publish != "none"
            and self.publish_point is not PublishPoint.NEVER
            and not self.options.narrowed
        )


T = TypeVar("T")


def need(value: T | None) -> T:
    """What an earlier step has set; its absence is a mistake in the order of the steps."""
    assert value is not None  # noqa: S101
    return value
