"""What the page of one configuration shows."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from osqual.catalogue.describe import Description, tests_in_words
from osqual.catalogue.published import Build, parse_history
from osqual.catalogue.withdrawn import Withdrawn
from osqual.errors import InvalidFile
from osqual.formats.documents import read_document
from osqual.mutes.inventory import MutedTest
from osqual.plan.plan import Step
from osqual.report.plain import plain_line, plain_text
from osqual.site.numbered import LETTERS, Numbered
from osqual.site.past_runs import PastRun
from osqual.site.writer import without_nothing

MAX_SHARED = 200


def configuration_document(
    found: Description,
    *,
    numbered: Numbered,
    step: Step | None,
    runs: Sequence[PastRun],
    muted: Sequence[int],
    withdrawn: Mapping[str, Withdrawn],
) -> dict[str, Any]:
    """One configuration; `muted` are places in the site's list of mutes."""
    return without_nothing(
        {
            "dimensions": [
                [name, plain_line(value), same] for name, value, same in found.dimensions
            ],
            "files": [
                [plain_line(name), plain_line(place or found.absent[name])]
                for name, place in found.files
            ],
            "base": sorted(found.base_images.items()),
            "cluster": dict(found.cluster),
            "tests": {
                name: plain_line(value, 4000)
                for name, value in tests_in_words(found.config).items()
            },
            "recipe": found.recipe,
            "recipeProblem": plain_line(found.recipe_problem),
            "shared": numbered.of(found.shared_with)[:MAX_SHARED],
            "sharedCount": len(found.shared_with),
            "images": [
                [plain_line(region), plain_line(image)]
                for region, image in sorted(found.facts.images.items())
            ],
            "withdrawn": {
                image: plain_line(str(withdrawn[image]))
                for image in found.facts.images.values()
                if image in withdrawn
            },
            "when": found.facts.when,
            "reasons": [plain_text(reason) for reason in found.record.reasons]
            if found.record
            else [],
            "next": [plain_text(reason) for reason in step.reasons] if step else [],
            "nextAction": step.action.value if step else "",
            "muted": list(muted),
            "builds": [build_document(build) for build in builds_in(found, numbered)],
            "problems": [plain_line(str(problem)) for problem in found.problems],
            "runs": [run_line(run) for run in runs],
        }
    )


def builds_in(found: Description, numbered: Numbered) -> tuple[Build, ...]:
    """The builds that the history file lists, oldest first; a broken one is told as a problem."""
    catalogue = numbered.catalogue
    source = f"{found.configuration.path}/{catalogue.conventions.files.history}"
    if not (catalogue.root / source).exists():
        return ()
    try:
        return parse_history(read_document(catalogue.root, source), source)
    except InvalidFile:
        return ()


def build_document(build: Build) -> dict[str, Any]:
    """One build of the history."""
    return {
        "time": build.time.isoformat(),
        "builder": plain_line(build.builder_type),
        "images": [[plain_line(k), plain_line(v)] for k, v in sorted(build.images.items())],
    }


def run_line(run: PastRun) -> dict[str, Any]:
    """A run in a list of runs."""
    return without_nothing(
        {
            "id": plain_line(run.run_id),
            "configuration": run.configuration,
            "state": LETTERS.get(run.state, "i"),
            "started": round(run.started_at),
            "seconds": round(run.seconds),
            "totals": run.totals,
            "marked": [[suite, test, outcome] for suite, test, outcome, _ in run.marked[:50]],
            "cost": run.cost_usd,
            "file": run.file,
        }
    )


def mute_document(mute: MutedTest, numbered: Numbered, today: date) -> dict[str, Any]:
    """One mute, with the numbers of its configurations."""
    return without_nothing(
        {
            "test": plain_line(mute.test),
            "how": mute.how.value,
            "source": mute.source,
            "line": mute.line,
            "reason": plain_line(mute.reason),
            "ticket": plain_line(mute.ticket),
            "owner": plain_line(mute.owner),
            "until": mute.until.isoformat() if mute.until else "",
            "since": mute.since.date().isoformat() if mute.since else "",
            "expired": mute.expired(today),
            "hides": [plain_line(name) for name in mute.also_hides],
            "leftOut": [plain_line(name) for name in mute.left_out],
            "configurations": numbered.of([item.path for item in mute.configurations]),
        }
    )
