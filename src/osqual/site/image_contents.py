"""What the image of a run holds: how it differs from its base, and its packages to search in."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osqual.inventory.kept import DIRECTORY, SBOM
from osqual.report.plain import plain_line
from osqual.site.writer import SiteWriter

MAX_BYTES = 64 * 1024 * 1024
Package = tuple[str, str, str]
"""Name, version, and what it is of: `deb`, `rpm`."""


@dataclass(kw_only=True)
class PackageLists:
    """Writes the packages of each image once: runs of one image share the file."""

    writer: SiteWriter
    _written: dict[str, int] = field(default_factory=dict)

    def of(self, run_directory: Path) -> dict[str, Any]:
        """Which file has the packages of a run's image, and how many; nothing where it has none."""
        text = _read(run_directory / DIRECTORY / SBOM)
        if not text:
            return {}
        name = f"packages/{hashlib.sha256(text).hexdigest()[:16]}"
        if name not in self._written:
            found = sorted(packages_in(text))
            self._written[name] = len(found)
            if found:
                self.writer.data(name, found)
        count = self._written[name]
        return {"packages": name, "packageCount": count} if count else {}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
    except OSError:
        return b""  # the directory is gone, or the image was not looked at


def packages_in(text: bytes) -> Iterator[Package]:
    """The packages that a CycloneDX document names; none where it cannot be read."""
    try:
        components = json.loads(text)["components"]
        for component in components:
            if component.get("purl"):
                kind = str(component["purl"]).removeprefix("pkg:").partition("/")[0]
                version = plain_line(str(component.get("version", "")))
                yield plain_line(str(component["name"])), version, plain_line(kind)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
