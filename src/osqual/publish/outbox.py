"""What a run publishes, kept in its directory: publishing again, or later, gives the same files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osqual.errors import InfrastructureError, UsageError
from osqual.processes.process import write_atomic

DIRECTORY = "publish"
FILE_NAME = "publication.json"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The published facts of one run. `build` is None where no image was built."""

    run_id: str
    configuration: str
    images: Mapping[str, str]
    build: Mapping[str, Any] | None
    record: Mapping[str, Any]
    attestation: str = ""
    """Signed statements, one a line; empty where nothing is signed."""

    @property
    def verdict(self) -> str:
        """The run's verdict."""
        return str(self.record["verdict"])


def outbox(directory: Path) -> Path:
    """Where in a run directory everything about its publishing is."""
    return directory / DIRECTORY


def keep_publication(directory: Path, publication: Publication) -> None:
    """Write it down before any of it is published."""
    outbox(directory).mkdir(exist_ok=True)
    document = {"version": VERSION, **vars(publication)}
    write_atomic(outbox(directory) / FILE_NAME, json.dumps(document, indent=2) + "\n")


def kept_publication(directory: Path) -> Publication | None:
    """What was written down; None where the run has not come so far, or was not to publish."""
    path = outbox(directory) / FILE_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document.pop("version")
        if version != VERSION:
            raise UsageError(f"{path} is of version {version}, and this osqual reads {VERSION}.")
        return Publication(**document)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InfrastructureError(
            f"{path} cannot be read.", details=str(error), resolution="run the configuration again"
        ) from error
