"""The mutes files of a catalogue: which ones concern a configuration, each read once."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import read
from osqual.catalogue.tree import upwards
from osqual.model import Configuration
from osqual.mutes.entries import mutes_in_scope, parse_mutes
from osqual.mutes.mute import Mute
from osqual.recipe import digest_of


class MutesFiles:
    """Every mutes file from the root down to a configuration applies to it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._read: dict[str, tuple[Mute, ...]] = {}

    def sources(self, path: str) -> Iterator[str]:
        """The files above and in a configuration, nearest first, relative to the root."""
        name = self._catalogue.conventions.files.mutes
        listings = self._catalogue.tree.listings
        for directory in upwards(path):
            if directory in listings and name in listings[directory].names:
                yield f"{directory}/{name}".lstrip("/")

    def read(self, source: str) -> tuple[Mute, ...]:
        """The entries of a file. Raises InvalidFile."""
        if source not in self._read:
            catalogue = self._catalogue
            text, _ = read(catalogue, catalogue.root / source)
            aliases = catalogue.conventions.aliases
            self._read[source] = parse_mutes(text, source, catalogue.layout.dimensions, aliases)
        return self._read[source]

    def in_force(self, configuration: Configuration, today: date) -> tuple[Mute, ...]:
        """What is muted for a configuration on a day, whatever its image. Raises InvalidFile."""
        found = [mute for source in self.sources(configuration.path) for mute in self.read(source)]
        scoped = mutes_in_scope(found, configuration.path, configuration.dimensions)
        return tuple(mute for mute in scoped if mute.in_force(today))

    def digest(self, configuration: Configuration, today: date) -> str | None:
        """What the mutes in force say, as sha256; None without any. Raises InvalidFile."""
        found = sorted(mute.digest for mute in self.in_force(configuration, today))
        return digest_of(found) if found else None


def mute_document(mute: Mute) -> dict[str, Any]:
    """A mute as JSON, with what is written in it and where."""
    document: dict[str, Any] = {
        "test": mute.test,
        "scope": {name: list(values) for name, values in mute.written_scope.items()},
        "reason": mute.reason,
        "ticket": mute.ticket,
        "owner": mute.owner,
        "until": mute.until.isoformat() if mute.until else "",
        "run": "" if mute.runs else "never",
        "signature": list(mute.signatures),
    }
    written = {name: value for name, value in document.items() if value}
    return {**written, "file": mute.source, "line": mute.line}
