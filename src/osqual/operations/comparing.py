"""Whether forks of a cluster are as good as new clusters: the same suites both ways, compared."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from osqual.catalogue.catalogue import Catalogue
from osqual.errors import ExitCode
from osqual.events import Subscriber
from osqual.model import Configuration, Isolation
from osqual.pipeline.workflow import Engine, qualify
from osqual.results.node_checks import SUITE as CHECKS
from osqual.run.context import RunOptions

WAYS = (Isolation.FORK, Isolation.COLD)
Outcomes = dict[tuple[str, str], str]
"""Of one run: the outcome by suite and test."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One order of the tests, both ways: run ids, verdicts, and the outcome of every test."""

    seed: int
    runs: tuple[str, ...]
    verdicts: tuple[str, ...]
    outcomes: tuple[Outcomes, ...]

    @property
    def complete(self) -> bool:
        """Whether there is anything to compare: each way has results, and said what they mean."""
        return all(self.outcomes) and "inconclusive" not in self.verdicts


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every round."""

    rounds: tuple[Round, ...]

    def different(self) -> dict[tuple[str, str], list[str]]:
        """Tests that did not come out the same in every round and both ways, with all outcomes."""
        runs = [outcomes for each in self.rounds for outcomes in each.outcomes]
        tests = dict.fromkeys(test for outcomes in runs for test in outcomes)
        seen = {test: [outcomes.get(test, "missing") for outcomes in runs] for test in tests}
        return {test: found for test, found in seen.items() if len(set(found)) > 1}

    @property
    def exit_code(self) -> ExitCode:
        """What could not be compared counts more than what differs."""
        if not all(each.complete for each in self.rounds):
            return ExitCode.INCONCLUSIVE
        return ExitCode.REJECTED if self.different() else ExitCode.OK

    def document(self) -> dict[str, Any]:
        """As JSON."""
        ways = [way.value for way in WAYS]
        return {
            "rounds": [
                {
                    "seed": each.seed,
                    "runs": dict(zip(ways, each.runs, strict=True)),
                    "verdicts": dict(zip(ways, each.verdicts, strict=True)),
                }
                for each in self.rounds
            ],
            "different": [
                {"suite": suite, "test": test, "outcomes": found}
                for (suite, test), found in self.different().items()
            ],
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = []
        for each in self.rounds:
            ways = zip(WAYS, each.verdicts, each.runs, strict=True)
            told = ", ".join(f"{way.value} {verdict} ({run})" for way, verdict, run in ways)
            lines.append(f"order {each.seed}: {told}")
        for (suite, test), found in self.different().items():
            lines.append(f"different: {suite}: {test}: {', '.join(found)}")
        count = len(self.rounds[0].outcomes[0]) if self.rounds else 0
        if self.exit_code is ExitCode.OK:
            lines.append(f"{count} tests came out the same on forks and on new clusters.")
        elif self.exit_code is ExitCode.INCONCLUSIVE:
            lines.append("Not every run has results that can be compared.")
        return lines


def compare_rounds(
    catalogue: Catalogue,
    configuration: Configuration,
    engine: Engine,
    *,
    seeds: Sequence[int],
    shown: Callable[[], AbstractContextManager[Subscriber]],
) -> Comparison:
    """Run everything both ways for each seed, one run after the other."""

    def run(way: Isolation, seed: int) -> tuple[str, str, Outcomes]:
        options = RunOptions(isolation=way, shuffle=seed, publish="none")
        with shown() as subscriber:
            watched = replace(engine, subscribers=(*engine.subscribers, subscriber))
            result = qualify(catalogue, configuration, options, watched)
        rows = engine.store.results(result.run_id)
        # What the nodes' own checks find has to do with where and how long they ran.
        outcomes = {(r["suite"], r["test_id"]): r["outcome"] for r in rows if r["suite"] != CHECKS}
        return result.run_id, result.judgement.verdict.value, outcomes

    rounds = []
    for seed in seeds:
        engine.cancellation.check()
        runs, verdicts, outcomes = zip(*(run(way, seed) for way in WAYS), strict=True)
        rounds.append(Round(seed=seed, runs=runs, verdicts=verdicts, outcomes=outcomes))
    return Comparison(rounds=tuple(rounds))
