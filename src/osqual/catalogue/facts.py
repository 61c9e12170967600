"""What is published for each configuration: its images, and what the evidence says of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.filters import Filters
from osqual.conventions import FileNames
from osqual.documents import read_document
from osqual.errors import InvalidFile
from osqual.model import Verdict
from osqual.published import Record, parse_history, parse_images, parse_record

T = TypeVar("T")


class Standing(StrEnum):
    """How a configuration stands. Best first."""

    QUALIFIED = "qualified"
    UNPROVEN = "published without evidence"
    INCONCLUSIVE = "inconclusive"
    REJECTED = "rejected"
    NO_IMAGE = "no image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The published facts of one configuration. `when` is ISO 8601, empty when nothing tells."""

    path: str
    dimensions: Mapping[str, str]
    images: Mapping[str, str]
    standing: Standing
    when: str


def standing_of(images: Mapping[str, str], record: Record | None) -> Standing:
    """How images and record together stand. Evidence for other images proves nothing.

    A run that was rejected or remained inconclusive tells so, also where nothing was published.
    """
    if record is not None:
        same = record.images == images
        if record.verdict is Verdict.QUALIFIED:
            if images and same:
                return Standing.QUALIFIED
        elif same or not images or not record.images:
            return Standing(record.verdict.value)
    return Standing.UNPROVEN if images else Standing.NO_IMAGE


def read_facts(
    catalogue: Catalogue, filters: Filters | None = None
) -> tuple[list[Facts], list[InvalidFile]]:
    """The facts of the configurations that match, sorted by path, and the files that are broken.

    A broken file counts as absent for its own configuration only.
    """
    if filters is None or not filters.conditions:
        tree, filters = catalogue.tree, Filters()
    else:
        tree = catalogue.scan(wanted=filters.may_match)
    found: list[Facts] = []
    problems: list[InvalidFile] = list(tree.problems)
    for path, dimensions in tree.configurations(catalogue.conventions.files):
        if filters.matches(dimensions):
            names = tree.listings[path].names
            facts, broken = _facts_of(catalogue, path, dimensions, names)
            found.append(facts)
            problems += broken
    catalogue.index.save()
    return found, problems


def facts_of(
    catalogue: Catalogue, path: str, dimensions: Mapping[str, str]
) -> tuple[Facts, list[InvalidFile]]:
    """One configuration's facts, and which of its published files are broken."""
    names = catalogue.scan(path).listings[path].names
    return _facts_of(catalogue, path, dimensions, names)


def _facts_of(
    catalogue: Catalogue, path: str, dimensions: Mapping[str, str], names: frozenset[str]
) -> tuple[Facts, list[InvalidFile]]:
    files, index = catalogue.conventions.files, catalogue.index
    stamps = index.stamps([f"{path}/{name}" for name in files.published if name in names])
    remembered = index.facts(path, stamps) if stamps is not None else None
    if remembered is not None:
        standing, when, *images = remembered
        return Facts(
            path=path,
            dimensions=dimensions,
            images=dict(zip(images[::2], images[1::2], strict=True)),
            standing=Standing(standing),
            when=when,
        ), []
    reader = _Reader(root=catalogue.root, path=path, names=names)
    facts = reader.facts(files, dimensions)
    if stamps is not None and not reader.problems:
        images = [part for pair in facts.images.items() for part in pair]
        index.remember_facts(path, stamps, [facts.standing.value, facts.when, *images])
    return facts, reader.problems


@dataclass(kw_only=True)
class _Reader:
    """Reads the files of one directory and keeps what is wrong with them."""

    root: Path
    path: str
    names: frozenset[str]
    problems: list[InvalidFile] = field(default_factory=list)

    def facts(self, files: FileNames, dimensions: Mapping[str, str]) -> Facts:
        """Read and judge them all."""
        images = self.parsed(files.images, parse_images) or {}
        record = self.parsed(files.record, parse_record)
        when = record.ended_at if record is not None else ""
        if not when:
            builds = self.parsed(files.history, parse_history)
            when = builds[-1].time.isoformat().replace("+00:00", "Z") if builds else ""
        return Facts(
            path=self.path,
            dimensions=dimensions,
            images=images,
            standing=standing_of(images, record),
            when=when,
        )

    def parsed(self, name: str, parse: Callable[[str, str], T]) -> T | None:
        """The file's content; None when it is absent or broken."""
        if name not in self.names:
            return None
        source = f"{self.path}/{name}"
        try:
            return parse(read_document(self.root, source), source)
        except InvalidFile as error:
            self.problems.append(error)
            return None
