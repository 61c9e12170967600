"""The qualification record: what was qualified, with which result. Small; evidence is elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osqual.model import Configuration, Image, Judgement, Outcome, Recipe, SuiteResult, Topology

SCHEMA = "osqual/qualification/v1"
FAILING = (Outcome.FAIL, Outcome.ERROR)


@dataclass(frozen=True, kw_only=True)
class Qualification:
    """Everything the record is made from."""

    run_id: str
    configuration: Configuration
    recipe: Recipe
    inputs: Mapping[str, str]
    """Every input of the qualification by name, as sha256: what `plan` compares later."""
    image: Image
    topology: Topology
    suites: Sequence[SuiteResult]
    judgement: Judgement
    tools: Mapping[str, str]
    nodes: Sequence[Mapping[str, str]]
    step_seconds: Mapping[str, float]
    retries: Mapping[str, int]
    """Step -> how often something in it failed for infrastructure and was tried again."""
    started_at: str
    ended_at: str


def record_of(facts: Qualification) -> dict[str, Any]:
    """The record as a JSON document; keys in reading order."""
    return {
        "schema": SCHEMA,
        "configuration": facts.configuration.path,
        "dimensions": dict(facts.configuration.dimensions),
        "verdict": facts.judgement.verdict.value,
        "reasons": list(facts.judgement.reasons),
        "images": dict(sorted(facts.image.ids.items())),
        "recipe": {
            "digest": facts.recipe.digest,
            "inputs": dict(sorted(facts.recipe.inputs.items())),
        },
        "inputs": dict(sorted(facts.inputs.items())),
        "topology": {
            "masters": facts.topology.masters,
            "private_agents": facts.topology.private_agents,
            "public_agents": facts.topology.public_agents,
        },
        "suites": [_suite(suite) for suite in facts.suites],
        "nodes": [dict(node) for node in facts.nodes],
        "run": facts.run_id,
        "started_at": facts.started_at,
        "ended_at": facts.ended_at,
        "step_seconds": {name: round(seconds, 1) for name, seconds in facts.step_seconds.items()},
        **({"retries": dict(facts.retries)} if facts.retries else {}),
        "tools": dict(sorted(facts.tools.items())),
    }


def _suite(suite: SuiteResult) -> dict[str, Any]:
    totals: dict[str, int] = {}
    for result in suite.results:
        totals[result.outcome.value] = totals.get(result.outcome.value, 0) + 1
    document: dict[str, Any] = {
        "name": suite.suite,
        "totals": totals,
        "failing": [result.test_id for result in suite.results if result.outcome in FAILING],
        "seconds": round(suite.duration_s, 1),
    }
    if suite.problem:
        document["problem"] = suite.problem
    if suite.skipped:
        document["skipped"] = suite.skipped
    return document
