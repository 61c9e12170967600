"""The runs of a catalogue: those that the store remembers, and those that records tell of."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pydantic import ValidationError

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import read
from osqual.catalogue.git import GitTree
from osqual.catalogue.published import parse_record
from osqual.errors import InvalidInput
from osqual.formats.times import epoch
from osqual.publish.record import QualificationRecord
from osqual.report.runs import run_state
from osqual.store.database import Row
from osqual.store.store import Store

BATCH = 200
MAX_COMMITS = 5_000
"""So far back records are looked for in git."""
Marked = tuple[str, str, str, float]
"""Suite, test, outcome and seconds of one test in one run."""


@dataclass(kw_only=True)
class PastRun:
    """One run. What the store has of it is in `row`, what was published of it in `record`."""

    run_id: str
    configuration: int
    state: str
    started_at: float
    seconds: float
    reasons: Sequence[str] = ()
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    row: Row | None = None
    record: QualificationRecord | None = None
    totals: dict[str, int] = field(default_factory=dict)
    marked: Sequence[Marked] = ()
    """Tests that did not plainly pass."""
    file: int | None = None
    """The number of the file that has its details."""

    @property
    def cost_usd(self) -> float | None:
        """What its cluster cost, by estimate."""
        cost = self.record.cost if self.record is not None else None
        return cost.usd if cost is not None else None


def recorded_runs(catalogue: Catalogue, paths: Sequence[str]) -> Iterator[PastRun]:
    """The run of each published record. One that is broken tells of none: `lint` names it."""
    name = catalogue.conventions.files.record
    for number, path in enumerate(paths):
        file = catalogue.root / path / name
        if file.exists():
            try:
                yield from _recorded(*read(catalogue, file), number)
            except InvalidInput:
                continue


def earlier_runs(
    catalogue: Catalogue, numbers: Mapping[str, int], at_most: int
) -> Iterator[PastRun]:
    """The runs of records that newer ones have replaced, from git."""
    git = GitTree(root=catalogue.root)
    name = catalogue.conventions.files.record
    seen: dict[str, int] = {}
    wanted = []
    for commit, path in git.versions_of(name, MAX_COMMITS):
        place = path.removesuffix(f"/{name}")
        if place in numbers and seen.get(place, 0) < at_most:
            seen[place] = seen.get(place, 0) + 1
            wanted.append((f"{commit}:./{path}", place))
    contents = git.contents(blob for blob, _ in wanted)
    for blob, place in wanted:
        try:
            yield from _recorded((contents[blob] or b"").decode(), blob, numbers[place])
        except (InvalidInput, UnicodeDecodeError):
            continue


def _recorded(text: str, source: str, number: int) -> Iterator[PastRun]:
    record = parse_record(text, source)
    try:
        whole = QualificationRecord.model_validate_json(text)
    except ValidationError:
        whole = None  # of an earlier version: what every version has is enough
    ended = epoch(record.ended_at)
    started = epoch(whole.started_at) if whole else ended
    run = PastRun(
        run_id=record.run_id or f"record of {record.ended_at}",
        configuration=number,
        state=record.verdict.value,
        started_at=started or ended,
        seconds=max(0.0, ended - started) if started else 0.0,
        reasons=record.reasons,
        record=whole,
    )
    if whole is not None:
        run.step_seconds = whole.step_seconds
        run.marked = tuple(_marked_in(whole))
        for suite in whole.suites:
            for outcome, count in suite.totals.items():
                run.totals[outcome] = run.totals.get(outcome, 0) + count
    yield run


def _marked_in(record: QualificationRecord) -> Iterator[Marked]:
    for suite in record.suites:
        for outcome, names in (
            ("fail", suite.failing),
            ("flaky", suite.flaky),
            ("muted", suite.muted),
        ):
            for name in names:
                yield suite.name, name, outcome, 0.0


def stored_runs(
    store: Store, numbers: Mapping[str, int], catalogues: Collection[str], at_most: int
) -> Iterator[PastRun]:
    """The newest runs of each configuration, newest first; of these catalogues, or of any."""
    seen: dict[str, int] = {}
    for row in store.runs():
        path = row["configuration"]
        ours = path in numbers and (not catalogues or row["catalogue"] in catalogues)
        if not ours or seen.get(path, 0) >= at_most:
            continue
        seen[path] = seen.get(path, 0) + 1
        yield PastRun(
            run_id=row["id"],
            configuration=numbers[path],
            state=run_state(row),
            started_at=row["started_at"],
            seconds=max(0.0, (row["ended_at"] or row["started_at"]) - row["started_at"]),
            reasons=tuple(row["reasons"]),
            row=row,
        )


def joined(recorded: Iterable[PastRun], stored: Iterable[PastRun]) -> list[PastRun]:
    """All runs once, oldest first: one that is in both knows what both tell."""
    known = {run.run_id: run for run in stored}
    for run in recorded:
        other = known.setdefault(run.run_id, run)
        if other is not run:
            other.record = run.record
            other.step_seconds = run.step_seconds
    return sorted(known.values(), key=lambda run: (run.started_at, run.run_id))


def batches(runs: Iterable[PastRun]) -> Iterator[list[PastRun]]:
    """Runs in groups that are read from the store together."""
    remaining = iter(runs)
    while group := list(islice(remaining, BATCH)):
        yield group
