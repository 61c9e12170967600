"""What a run keeps about its image: files in its directory, and reading them again."""

import hashlib
import json
from pathlib import Path

from osqual.inventory.diff import ImageDiff

DIRECTORY = "image"
INVENTORY, BASE_INVENTORY = "inventory.gz", "base-inventory.gz"
DIFF, SBOM = "diff.json", "sbom.cdx.json"
FILES = (INVENTORY, BASE_INVENTORY, DIFF, SBOM)


def kept_digests(run_directory: Path) -> dict[str, str]:
    """The files there are, relative to the run's directory, each with its sha256."""
    paths = [run_directory / DIRECTORY / name for name in FILES]
    return {
        f"{DIRECTORY}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file()
    }


def kept_diff(run_directory: Path) -> ImageDiff | None:
    """How the run's image differs from its base; None when that is not known (any more)."""
    try:
        text = (run_directory / DIRECTORY / DIFF).read_text(encoding="utf-8")
        return ImageDiff.from_document(json.loads(text))
    except (OSError, ValueError, KeyError, TypeError):
        return None
