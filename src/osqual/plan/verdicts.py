"""Whether all that a change concerns is qualified as it now is: by digests, not by history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.facts import Facts, Standing, facts_of
from osqual.plan.plan import Action, Plan


@dataclass(frozen=True, kw_only=True)
class Concerned:
    """A configuration that a change concerns. `verdict` is empty where none holds for it."""

    configuration: str
    verdict: str
    reasons: tuple[str, ...]
    by_run: bool = False
    """It publishes never, so that only the run itself can tell."""


def concerned_by(catalogue: Catalogue, plan: Plan) -> list[Concerned]:
    """Each configuration that the plan looked at, with the verdict about its present inputs."""
    found = []
    for step in plan.steps:
        if step.action is Action.SKIP and step.recipe is None:
            continue  # nothing that it uses was changed
        if not step.builds:
            found.append(
                Concerned(
                    configuration=step.configuration.path,
                    verdict="",
                    reasons=("it publishes nothing: its run tells",),
                    by_run=True,
                )
            )
            continue
        verdict = ""
        if step.action is Action.SKIP:
            verdict = verdict_of(
                facts_of(catalogue, step.configuration.path, step.configuration.dimensions)[0]
            )
        found.append(
            Concerned(configuration=step.configuration.path, verdict=verdict, reasons=step.reasons)
        )
    return found


def verdict_of_all(found: Sequence[Concerned]) -> str:
    """Rejected when any is, qualified when all are, else inconclusive."""
    verdicts = {item.verdict for item in found if not item.by_run}
    if "rejected" in verdicts:
        return "rejected"
    return "qualified" if verdicts <= {"qualified"} else "inconclusive"


def verdict_of(facts: Facts) -> str:
    """The verdict that a record gives the published images; empty when there is none."""
    known: Mapping[Standing, str] = {
        Standing.QUALIFIED: "qualified",
        Standing.REJECTED: "rejected",
        Standing.INCONCLUSIVE: "inconclusive",
    }
    return known.get(facts.standing, "")
