"""The configurations of a catalogue by number: how every file of a site speaks of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.facts import Facts, Standing
from osqual.formats.times import epoch
from osqual.formats.versions import version_key
from osqual.report.plain import plain_line

# One letter a standing or state: 100,000 of them are one string.
LETTERS: Mapping[str, str] = {
    Standing.QUALIFIED.value: "q",
    Standing.UNPROVEN.value: "u",
    Standing.INCONCLUSIVE.value: "i",
    Standing.REJECTED.value: "r",
    Standing.NO_IMAGE.value: "n",
    "running": "b",
    "died": "d",
}
DAY_S = 86_400


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """Every configuration's facts; its place in `facts` is its number."""

    catalogue: Catalogue
    facts: Sequence[Facts]

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Path -> number."""
        return {item.path: number for number, item in enumerate(self.facts)}

    @cached_property
    def paths(self) -> list[str]:
        """Every path, in order."""
        return [item.path for item in self.facts]

    def of(self, paths: Sequence[str]) -> list[int]:
        """The numbers of some paths."""
        return [self.numbers[path] for path in paths if path in self.numbers]


def matrix_document(
    numbered: Numbered, muted: Mapping[int, int], history: Mapping[int, str]
) -> dict[str, Any]:
    """All that the matrix needs, by column: a dimension is a list of values and an index each.

    Values that mean the same (aliases) are one; values are in version order, so that their
    indexes sort as they do.
    """
    aliases = numbered.catalogue.conventions.aliases
    names = numbered.catalogue.layout.dimensions
    columns = {}
    for name in names:
        same = aliases.get(name, {})
        given = [item.dimensions.get(name, "") for item in numbered.facts]
        values = [same.get(value, value) for value in given]
        known = sorted(set(values), key=lambda value: (version_key(value), value))
        places = {value: place for place, value in enumerate(known)}
        columns[name] = {
            "values": [plain_line(value) for value in known],
            "of": [places[value] for value in values],
        }
    count = range(len(numbered.facts))
    return {
        "dimensions": list(names),
        "columns": columns,
        "paths": numbered.paths,
        "standing": "".join(LETTERS[item.standing.value] for item in numbered.facts),
        "when": [day_of(item.when) for item in numbered.facts],
        "images": [len(item.images) for item in numbered.facts],
        "muted": [muted.get(number, 0) for number in count],
        "history": [history.get(number, "") for number in count],
    }


def day_of(when: str) -> int:
    """The day of an ISO 8601 time, counted from 1970; 0 for none."""
    return int(epoch(when) // DAY_S)
