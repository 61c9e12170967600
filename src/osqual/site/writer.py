"""The files of a site: data as scripts that register themselves, and whole directories.

A page that was opened as a file may not fetch JSON, but it may load a script from beside it.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SiteWriter:
    """Writes below `root`; what is there already is replaced."""

    root: Path

    def forget_data(self) -> None:
        """Remove the data of an earlier site, so that nothing of it remains; nothing else."""
        data = self.root / "data"
        if (data / "catalogue.js").is_file() and not data.is_symlink():
            shutil.rmtree(data)

    def data(self, name: str, document: Any) -> None:
        """A document that pages load by its name: `tests/12`."""
        text = json.dumps(document, separators=(",", ":"))  # ASCII: valid in every script
        self.text(f"data/{name}.js", f'osqualData("{name}",{text});\n')

    def text(self, name: str, text: str) -> None:
        """Any other file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def bytes(self, name: str, content: bytes) -> None:
        """A file that is not made here."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def run_file(number: int) -> str:
    """The name of a run's data: a thousand a directory."""
    return f"runs/{number // 1000}/{number}"


def without_nothing(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without what is empty, which pages take for absent."""
    return {key: value for key, value in document.items() if value not in (None, "", [], {}, ())}
