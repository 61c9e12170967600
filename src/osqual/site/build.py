"""`osqual site build`: reads a catalogue and its runs once, and writes the whole site."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osqual import __version__
from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.describe import Describer
from osqual.catalogue.facts import read_facts
from osqual.catalogue.git import GitTree
from osqual.catalogue.withdrawn import Withdrawn, read_withdrawn
from osqual.errors import InvalidFile, InvalidInput
from osqual.formats.times import iso
from osqual.model import Configuration
from osqual.mutes.inventory import Inventory, read_inventory
from osqual.plan.plan import Step, make_plan
from osqual.report.plain import plain_line
from osqual.report.run_report import RunReport
from osqual.site.configuration_data import configuration_document, mute_document, run_line
from osqual.site.duration_data import durations_document
from osqual.site.image_contents import PackageLists
from osqual.site.image_data import images_document
from osqual.site.numbered import LETTERS, Numbered, matrix_document
from osqual.site.pages import Additions, write_pages
from osqual.site.past_runs import (
    PastRun,
    batches,
    earlier_runs,
    joined,
    recorded_runs,
    stored_runs,
)
from osqual.site.run_data import complete, run_document
from osqual.site.test_data import TestHistories, list_document, test_document
from osqual.site.writer import SiteWriter, run_file
from osqual.store.store import Store

HISTORY = 20
"""How many states the history strip of the matrix has."""
RECENT = 300
PARTS = ("steps", "suites", "results", "resources")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a site is made of. `store` None: from the catalogue alone."""

    catalogue: Catalogue
    title: str
    store: Store | None = None
    only_here: bool = True
    """Whether only runs of this very directory are its own: not so where machines share a store."""
    runs_each: int = 20
    additions: Additions = field(default_factory=Additions)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True, kw_only=True)
class Built:
    """What was written, and which files of the catalogue are broken."""

    configurations: int
    runs: int
    tests: int
    mutes: int
    problems: tuple[InvalidFile, ...]


def build_site(wish: Wish, writer: SiteWriter) -> Built:
    """Write every page and all data. Raises OSError where nothing can be written."""
    catalogue = wish.catalogue
    facts, problems = read_facts(catalogue)
    writer.forget_data()
    numbered = Numbered(catalogue=catalogue, facts=sorted(facts, key=lambda item: item.path))
    configurations = catalogue.configurations()
    inventory = read_inventory(catalogue, configurations)
    withdrawn = _withdrawn(catalogue, problems)
    runs = _runs(wish, numbered)
    tests = _write_runs(wish, runs, writer)
    by_place = _by_place(runs)
    muted = _muted(inventory, numbered)
    describer = Describer(catalogue=catalogue)
    _write_configurations(
        configurations, describer, numbered, by_place, muted, withdrawn, writer, problems
    )
    writer.data("catalogue", _catalogue_document(wish, numbered, by_place, muted, len(runs)))
    writer.data("images", images_document(describer.all_built, numbered, withdrawn))
    today = wish.now().date()
    writer.data("mutes", [mute_document(item, numbered, today) for item in inventory.muted])
    ordered = tests.ordered()
    writer.data("tests", list_document(ordered))
    for number, test in enumerate(ordered):
        writer.data(f"tests/{number}", test_document(test))
    writer.data("durations", durations_document(runs, ordered))
    writer.data("runs", [run_line(run) for run in runs[-RECENT:][::-1]])
    write_pages(writer, wish.title, __version__, wish.additions)
    return Built(
        configurations=len(configurations),
        runs=len(runs),
        tests=len(ordered),
        mutes=len(inventory.muted),
        problems=tuple(dict.fromkeys([*problems, *inventory.problems])),
    )


def _withdrawn(catalogue: Catalogue, problems: list[InvalidFile]) -> Mapping[str, Withdrawn]:
    try:
        return read_withdrawn(catalogue.root)
    except InvalidFile as error:
        problems.append(error)
        return {}


def _runs(wish: Wish, numbered: Numbered) -> list[PastRun]:
    """Every run that is told of, oldest first, each with the number of its file."""
    recorded = [
        *recorded_runs(wish.catalogue, numbered.paths),
        *earlier_runs(wish.catalogue, numbered.numbers, wish.runs_each),
    ]
    stored: list[PastRun] = []
    if wish.store is not None:
        places = [str(wish.catalogue.root)] if wish.only_here else []
        stored = list(stored_runs(wish.store, numbered.numbers, places, wish.runs_each))
    runs = joined(recorded, stored)
    for number, run in enumerate(runs):
        run.file = number
    return runs


def _write_runs(wish: Wish, runs: Sequence[PastRun], writer: SiteWriter) -> TestHistories:
    """Each run's details, and from them what becomes of each test."""
    tests = TestHistories()
    packages = PackageLists(writer=writer)
    for group in batches(runs):
        stored = [run.run_id for run in group if run.row is not None]
        rows = {
            name: wish.store.rows_of(name, stored) if wish.store is not None else {}
            for name in PARTS
        }
        for run in group:
            report: RunReport | None = complete(run, rows) if run.row is not None else None
            tests.add(run, report)
            document = run_document(run, report)
            if run.row is not None:
                document |= packages.of(Path(run.row["directory"]))
            writer.data(run_file(run.file or 0), document)
    return tests


def _by_place(runs: Sequence[PastRun]) -> Mapping[int, list[PastRun]]:
    """Configuration -> its runs, oldest first."""
    found: dict[int, list[PastRun]] = {}
    for run in runs:
        found.setdefault(run.configuration, []).append(run)
    return found


def _muted(inventory: Inventory, numbered: Numbered) -> Mapping[int, list[int]]:
    """Configuration -> places in the list of mutes."""
    found: dict[int, list[int]] = {}
    for place, mute in enumerate(inventory.muted):
        for number in numbered.of([item.path for item in mute.configurations]):
            found.setdefault(number, []).append(place)
    return found


def _write_configurations(
    configurations: Sequence[Configuration],
    describer: Describer,
    numbered: Numbered,
    by_place: Mapping[int, Sequence[PastRun]],
    muted: Mapping[int, Sequence[int]],
    withdrawn: Mapping[str, Withdrawn],
    writer: SiteWriter,
    problems: list[InvalidFile],
) -> None:
    steps = _steps(describer.catalogue, configurations)
    for configuration in configurations:
        number = numbered.numbers[configuration.path]
        found = describer.describe(configuration)
        problems.extend(found.problems)
        document = configuration_document(
            found,
            numbered=numbered,
            step=steps.get(configuration.path),
            runs=by_place.get(number, ()),
            muted=muted.get(number, ()),
            withdrawn=withdrawn,
        )
        writer.data(f"configurations/{number}", document)


def _steps(catalogue: Catalogue, configurations: Sequence[Configuration]) -> Mapping[str, Step]:
    """What would run next, and why; nothing where a file of the whole catalogue is broken."""
    try:
        planned = make_plan(catalogue, configurations)
    except InvalidInput:
        return {}
    return {step.configuration.path: step for step in planned.steps}


def _catalogue_document(
    wish: Wish,
    numbered: Numbered,
    by_place: Mapping[int, Sequence[PastRun]],
    muted: Mapping[int, Sequence[int]],
    runs: int,
) -> dict[str, Any]:
    history = {
        number: "".join(LETTERS.get(run.state, "i") for run in found[-HISTORY:])
        for number, found in by_place.items()
    }
    mutes = {number: len(places) for number, places in muted.items()}
    return {
        "title": plain_line(wish.title),
        "made": iso(wish.now()),
        "version": __version__,
        "commit": _commit(wish.catalogue),
        "runs": runs,
        **matrix_document(numbered, mutes, history),
    }


def _commit(catalogue: Catalogue) -> str:
    git = GitTree(root=catalogue.root)
    commits = git.commits_of(["."])
    return commits[-1].id if commits else ""
