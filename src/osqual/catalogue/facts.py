"""What is published for each configuration: its images, and what the evidence says of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from osqual.catalogue.catalogue import Catalogue
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
    catalogue: Catalogue, wanted: Callable[[Mapping[str, str]], bool] = lambda _: True
) -> tuple[list[Facts], list[InvalidFile]]:
    """The facts of the configurations whose dimensions are wanted, and the files that are broken.

    A broken file counts as absent for its own configuration only.
    """
    found: list[Facts] = []
    problems: list[InvalidFile] = list(catalogue.tree.problems)
    for path, dimensions in catalogue.tree.configurations(catalogue.conventions.files):
        if wanted(dimensions):
            facts, broken = facts_of(catalogue, path, dimensions)
            found.append(facts)
            problems += broken
    return found, problems


def facts_of(
    catalogue: Catalogue, path: str, dimensions: Mapping[str, str]
) -> tuple[Facts, list[InvalidFile]]:
    """One configuration's facts, and which of its published files are broken."""
    files = catalogue.conventions.files
    reader = _Reader(root=catalogue.root, path=path, names=catalogue.tree.listings[path].names)
    images = reader.parsed(files.images, parse_images) or {}
    record = reader.parsed(files.record, parse_record)
    when = record.ended_at if record is not None else ""
    if not when:
        builds = reader.parsed(files.history, parse_history)
        when = builds[-1].time.isoformat().replace("+00:00", "Z") if builds else ""
    standing = standing_of(images, record)
    facts = Facts(path=path, dimensions=dimensions, images=images, standing=standing, when=when)
    return facts, reader.problems


@dataclass(kw_only=True)
class _Reader:
    """Reads the files of one directory and keeps what is wrong with them."""

    root: Path
    path: str
    names: frozenset[str]
    problems: list[InvalidFile] = field(default_factory=list)

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
