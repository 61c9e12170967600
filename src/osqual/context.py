"""What a run knows: the options it was started with and what its steps have found so far."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from osqual.builders.base import Builder
from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.inputs import ConfigurationInputs
from osqual.machine import Machine
from osqual.model import (
    Cluster,
    Configuration,
    Image,
    Judgement,
    KeepPolicy,
    PublishPoint,
    SuiteResult,
)
from osqual.parts import Parts
from osqual.platforms.base import Platform
from osqual.products import Product
from osqual.scope import RunScope
from osqual.store.store import Store


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a person asked for on the command line."""

    keywords: tuple[str, ...] = ()
    keep: KeepPolicy = KeepPolicy.NEVER
    builder: str | None = None
    publish: str = "worktree"
    cold: bool = False

    def document(self) -> dict[str, Any]:
        """The options as JSON, for the store."""
        return {
            "keywords": list(self.keywords),
            "keep": self.keep.value,
            "builder": self.builder,
            "publish": self.publish,
            "cold": self.cold,
        }


@dataclass(frozen=True, kw_only=True)
class Note:
    """How a step ended well: what to say, and whether there was nothing to do."""

    message: str = ""
    skipped: bool = False


@dataclass(kw_only=True)
class RunContext:
    """Everything a run knows so far; the one mutable object of a run, owned by `workflow`."""

    scope: RunScope
    store: Store
    parts: Parts
    catalogue: Catalogue
    configuration: Configuration
    options: RunOptions
    environ: Mapping[str, str]
    started_at: float = field(default_factory=time.time)
    inputs: ConfigurationInputs | None = None
    builder: Builder | None = None
    platform: Platform | None = None
    product: Product | None = None
    image: Image | None = None
    cluster: Cluster | None = None
    machines: dict[str, Machine] = field(default_factory=dict)
    node_facts: list[dict[str, str]] = field(default_factory=list)
    suites: list[SuiteResult] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    step_seconds: dict[str, float] = field(default_factory=dict)
    ended_well: set[str] = field(default_factory=set)
    judgement: Judgement | None = None
    published: list[Path] = field(default_factory=list)
    kept: bool = False
    interrupted: bool = False

    @property
    def publish_point(self) -> PublishPoint:
        """Where in the pipeline this configuration publishes."""
        return need(self.inputs).publish_and_test.publish_after

    @property
    def may_publish(self) -> bool:
        """Whether this run may write published files at all."""
        return (
            self.options.publish != "none"
            and self.publish_point is not PublishPoint.NEVER
            and not self.options.keywords
        )


T = TypeVar("T")


def need(value: T | None) -> T:
    """What an earlier step has set; its absence is a mistake in the order of the steps."""
    assert value is not None  # noqa: S101
    return value
