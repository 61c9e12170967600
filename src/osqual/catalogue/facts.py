"""What is published for each configuration: its images, and what the evidence says of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.filters import Filters, newest_first
from osqual.catalogue.published import Record, parse_history, parse_images, parse_record
from osqual.catalogue.tree import reachable
from osqual.conventions import FileNames
from osqual.errors import InvalidFile
from osqual.formats.documents import read_document
from osqual.formats.times import iso
from osqual.model import Verdict

T = TypeVar("T")


class Standing(StrEnum):
    """How a configuration stands. Best first."""

    QUALIFIED = "qualified"
    UNPROVEN = "published without evidence"
    INCONCLUSIVE = "inconclusive"
    REJECTED = "rejected"
    NO_IMAGE = "no image"


class Facts(NamedTuple):  # there are many: a frozen dataclass takes four times as long to make
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
    """The facts of the configurations that match, newest first, and the files that are broken.

    A broken file counts as absent for its own configuration only.
    """
    asked = _Asked(catalogue=catalogue, filters=filters or Filters())
    if not asked.from_index():
        asked.from_tree()
    return asked.found, asked.problems


def facts_of(
    catalogue: Catalogue, path: str, dimensions: Mapping[str, str]
) -> tuple[Facts, list[InvalidFile]]:
    """One configuration's facts, and which of its published files are broken."""
    reader = _Reader(
        root=catalogue.root, path=path, names=catalogue.scan(path).listings[path].names
    )
    return reader.facts(catalogue.conventions.files, dimensions), reader.problems


@dataclass(kw_only=True)
class _Asked:
    """One question: which configurations, and what was found so far."""

    catalogue: Catalogue
    filters: Filters
    found: list[Facts] = field(default_factory=list)
    problems: list[InvalidFile] = field(default_factory=list)

    def from_index(self) -> bool:
        """Answer from what is remembered; False when a directory changed since."""
        catalogue, filters = self.catalogue, self.filters
        layout, index = catalogue.layout, catalogue.index
        reach = partial(reachable, layout=layout, wanted=filters.may_match)
        rows = index.unchanged_rows(reach if filters.conditions else None)
        if rows is None:
            return False
        for path, values in rows:
            if values:
                facts = _recall(path, values.split("\t"), layout.dimensions)
                if not filters.conditions or filters.matches(facts.dimensions):
                    self.found.append(facts)
            elif filters.matches(dimensions := layout.match(path) or {}):
                self._read(path, dimensions, catalogue.scan(path).listings[path].names)
        index.save(complete=True)
        return True

    def from_tree(self) -> None:
        """Walk, and read what is not remembered; remember it for the next time."""
        catalogue, filters = self.catalogue, self.filters
        everything = not filters.conditions
        tree = catalogue.tree if everything else catalogue.scan(wanted=filters.may_match)
        self.problems += tree.problems
        for path, dimensions in tree.configurations(catalogue.conventions.files):
            if filters.matches(dimensions):
                self._read(path, dimensions, tree.listings[path].names)
        self.found = _newest_first(self.found, catalogue.layout.dimensions)
        if everything:
            catalogue.index.retain(tree.listings, [facts.path for facts in self.found])
        catalogue.index.save(complete=everything and not tree.problems)

    def _read(self, path: str, dimensions: Mapping[str, str], names: frozenset[str]) -> None:
        index, files = self.catalogue.index, self.catalogue.conventions.files
        order = self.catalogue.layout.dimensions
        published = [name for name in files.published if name in names]
        remembered = index.values(path, published)
        if remembered is not None:
            self.found.append(_recall(path, remembered, order))
            return
        stamps = index.stamps(path, published)  # before reading: a change meanwhile is not missed
        reader = _Reader(root=self.catalogue.root, path=path, names=names)
        facts = reader.facts(files, dimensions)
        self.found.append(facts)
        self.problems += reader.problems
        kept = "" if reader.problems else stamps
        index.remember_row(path, published, reader.read, kept, _values(facts, order))


def _newest_first(facts: Sequence[Facts], order: Sequence[str]) -> list[Facts]:
    ranks = newest_first([item.dimensions for item in facts], order)
    ranked = sorted(zip(ranks, (item.path for item in facts), facts, strict=True))
    return [item for _, _, item in ranked]  # a path is there once, so that it decides


def _values(facts: Facts, order: Sequence[str]) -> list[str]:
    """Facts as a row of texts."""
    images = [part for pair in facts.images.items() for part in pair]
    dimensions = [facts.dimensions.get(name, "") for name in order]
    return [*dimensions, facts.standing.value, facts.when, *images]


def _recall(path: str, values: Sequence[str], order: Sequence[str]) -> Facts:
    """The facts that `_values` made a row of."""
    count = len(order)
    dimensions = dict(zip(order, values, strict=False))
    if "" in values[:count]:
        dimensions = {name: value for name, value in dimensions.items() if value}
    images = iter(values[count + 2 :])
    return Facts(
        path,
        dimensions,
        dict(zip(images, images, strict=True)),  # a region, its image, the next region, …
        _STANDINGS[values[count]],
        values[count + 1],
    )


_STANDINGS: Mapping[str, Standing] = {standing.value: standing for standing in Standing}


@dataclass(kw_only=True)
class _Reader:
    """Reads the files of one directory and keeps what is wrong with them."""

    root: Path
    path: str
    names: frozenset[str]
    problems: list[InvalidFile] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def facts(self, files: FileNames, dimensions: Mapping[str, str]) -> Facts:
        """Read and judge them all."""
        images = self.parsed(files.images, parse_images) or {}
        record = self.parsed(files.record, parse_record)
        when = record.ended_at if record is not None else ""
        if not when:
            builds = self.parsed(files.history, parse_history)
            when = iso(builds[-1].time) if builds else ""
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
        self.read.add(name)
        source = f"{self.path}/{name}"
        try:
            return parse(read_document(self.root, source), source)
        except InvalidFile as error:
            self.problems.append(error)
            return None
