"""The qualification record: what was qualified, with which result. Small; evidence is elsewhere.

The models below are its published schema: `osqual schema qualification`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from osqual.model import (
    Configuration,
    Image,
    Judgement,
    Outcome,
    Recipe,
    SuiteResult,
    Topology,
    Verdict,
)

SCHEMA: Literal["osqual/qualification/v2"] = "osqual/qualification/v2"
FAILING = (Outcome.FAIL, Outcome.ERROR)


class _Part(BaseModel):
    """A later osqual may add keys; it changes none without another version of the schema."""

    model_config = ConfigDict(frozen=True, extra="allow")


class RecipeEntry(_Part):
    """What determined the image."""

    digest: str
    inputs: Mapping[str, str]
    """Input to sha256."""


class TopologyEntry(_Part):
    """How many nodes of each role."""

    masters: int = Field(ge=0)
    private_agents: int = Field(ge=0)
    public_agents: int = Field(ge=0)


class SuiteEntry(_Part):
    """One suite: counts by outcome, and the ids of the tests that a reader asks for."""

    name: str
    totals: Mapping[str, int]
    failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    seconds: float = Field(ge=0)
    problem: str | None = None
    """Why its results cannot be relied on."""
    skipped: str | None = None
    """Why it was not run."""
    reports: Mapping[str, str] | None = None
    """The JUnit files of the run directory, each with its sha256."""


class MuteEntry(_Part):
    """A mute that was in force, as it is written, and what its tests gave all the same."""

    test: str
    scope: Mapping[str, tuple[str, ...]] | None = None
    reason: str | None = None
    ticket: str | None = None
    owner: str | None = None
    until: str | None = None
    run: str | None = None
    signature: tuple[str, ...] | None = None
    file: str
    line: int
    tests: Mapping[str, str]
    """`suite: test` to its outcome, or `not run`."""


class NodeEntry(_Part):
    """One machine, as it told of itself."""

    name: str
    role: str
    kernel: str = ""
    os: str = ""
    versions: Mapping[str, str] = Field(default_factory=dict)
    """What the product's definition has nodes asked for, such as the version of an engine."""


class SourceEntry(_Part):
    """The commit of the catalogue that was qualified."""

    commit: str
    repository: str | None = None


class CostEntry(_Part):
    """An estimate from the price table of the settings."""

    usd: float = Field(ge=0)
    hours: float = Field(ge=0)
    unknown: tuple[str, ...] = ()
    """Instance types without a price, which are not counted."""


class QualificationRecord(_Part):
    """qualification.json: one run's verdict about the images beside it."""

    schema_: Literal["osqual/qualification/v2"] = Field(default=SCHEMA, alias="schema")
    configuration: str
    dimensions: Mapping[str, str]
    verdict: Verdict
    reasons: tuple[str, ...]
    images: Mapping[str, str]
    """Region to image id; on this machine (`local`) the id is the sha256 of the disk image."""
    recipe: RecipeEntry
    inputs: Mapping[str, str]
    """Every input of the qualification by name, as sha256: what `plan` compares later."""
    topology: TopologyEntry
    suites: tuple[SuiteEntry, ...]
    mutes: tuple[MuteEntry, ...] | None = None
    """Every mute that was in force."""
    nodes: tuple[NodeEntry, ...]
    accelerator: str | None = None
    """How the machines' processors were made: `kvm`, or `tcg` for emulation."""
    run: str
    reused: str | None = None
    """The run whose verdict this one has taken over, as nothing that it rests on has changed."""
    run_url: str | None = None
    source: SourceEntry | None = None
    started_at: str
    ended_at: str
    step_seconds: Mapping[str, float]
    retries: Mapping[str, int] | None = None
    """Step to how often something in it failed for infrastructure and was tried again."""
    cost: CostEntry | None = None
    evidence: Mapping[str, str] | None = None
    """Files of the run directory about the image, each with its sha256: what it holds, how that
    differs from its base, and its packages as CycloneDX."""
    tools: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Qualification:
    """Everything the record is made from."""

    run_id: str
    configuration: Configuration
    recipe: Recipe
    inputs: Mapping[str, str]
    image: Image
    topology: Topology
    suites: Sequence[SuiteResult]
    reports: Mapping[str, Mapping[str, str]]
    """Suite to the JUnit files that it left, each with its sha256."""
    judgement: Judgement
    mutes: Sequence[Mapping[str, Any]]
    """Every mute in force, and the tests that it kept from counting."""
    tools: Mapping[str, str]
    nodes: Sequence[Mapping[str, Any]]
    step_seconds: Mapping[str, float]
    retries: Mapping[str, int]
    started_at: str
    ended_at: str
    accelerator: str = ""
    reused: str = ""
    run_url: str = ""
    source: SourceEntry | None = None
    cost: CostEntry | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)


def record_of(facts: Qualification) -> dict[str, Any]:
    """The record as a JSON document; keys in reading order, without what is not known."""
    record = QualificationRecord(
        configuration=facts.configuration.path,
        dimensions=dict(facts.configuration.dimensions),
        verdict=facts.judgement.verdict,
        reasons=tuple(facts.judgement.reasons),
        images=dict(sorted(facts.image.ids.items())),
        recipe=RecipeEntry(
            digest=facts.recipe.digest, inputs=dict(sorted(facts.recipe.inputs.items()))
        ),
        inputs=dict(sorted(facts.inputs.items())),
        topology=TopologyEntry(**vars(facts.topology)),
        suites=tuple(_suite(suite, facts.reports.get(suite.suite)) for suite in facts.suites),
        mutes=tuple(MuteEntry(**mute) for mute in facts.mutes) or None,
        nodes=tuple(NodeEntry(**node) for node in facts.nodes),
        accelerator=facts.accelerator or None,
        run=facts.run_id,
        reused=facts.reused or None,
        run_url=facts.run_url or None,
        source=facts.source,
        started_at=facts.started_at,
        ended_at=facts.ended_at,
        step_seconds={name: round(seconds, 1) for name, seconds in facts.step_seconds.items()},
        retries=dict(facts.retries) or None,
        cost=facts.cost,
        evidence=dict(facts.evidence) or None,
        tools=dict(sorted(facts.tools.items())),
    )
    return record.model_dump(mode="json", by_alias=True, exclude_none=True)


def record_schema() -> dict[str, Any]:
    """JSON Schema of the record."""
    return QualificationRecord.model_json_schema(by_alias=True)


def _suite(suite: SuiteResult, reports: Mapping[str, str] | None) -> SuiteEntry:
    totals: dict[str, int] = {}
    for result in suite.results:
        totals[result.outcome.value] = totals.get(result.outcome.value, 0) + 1
    return SuiteEntry(
        name=suite.suite,
        totals=totals,
        failing=_ids(suite, FAILING),
        flaky=_ids(suite, (Outcome.FLAKY,)),
        muted=_ids(suite, (Outcome.MUTED,)),
        seconds=round(suite.duration_s, 1),
        problem=suite.problem or None,
        skipped=suite.skipped or None,
        reports=reports or None,
    )


def _ids(suite: SuiteResult, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return tuple(result.test_id for result in suite.results if result.outcome in outcomes)
