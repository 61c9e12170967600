"""Writing published files into the catalogue's work tree: atomic, and nothing else is touched."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from osqual.errors import PublishFailed
from osqual.process import write_atomic


def publish_images(path: Path, ids: Mapping[str, str]) -> None:
    """Write the images file: region to image id, flat and sorted, as dcos/dcos-images has it."""
    _write(path, yaml.safe_dump(dict(ids), default_flow_style=False, sort_keys=True))


def publish_build(path: Path, build: Mapping[str, Any]) -> None:
    """Append a build to the history (Packer's manifest; the last build counts).

    A build that is there already (by `packer_run_uuid`) is not added again. A history that cannot
    be read is never overwritten: raises PublishFailed.
    """
    history = _read_history(path)
    uuid = build["packer_run_uuid"]
    builds = [known for known in history["builds"] if known.get("packer_run_uuid") != uuid]
    document = {**history, "builds": [*builds, dict(build)], "last_run_uuid": uuid}
    _write(path, json.dumps(document, indent=2))


def publish_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write the qualification record."""
    _write(path, json.dumps(record, indent=2) + "\n")


def _read_history(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"builds": []}
    try:
        history = json.loads(path.read_text(encoding="utf-8"))
        valid = isinstance(history["builds"], list) and all(
            isinstance(build, dict) for build in history["builds"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, str(error)) from error
    if not valid:
        raise _unreadable(path, "`builds` must be a list of objects")
    return dict(history)


def _unreadable(path: Path, why: str) -> PublishFailed:
    return PublishFailed(
        f"The build history {path} cannot be read, so nothing was added to it.",
        details=why,
        resolution="repair the file or restore it from git, then publish the run again",
    )


def _write(path: Path, content: str) -> None:
    try:
        write_atomic(path, content)
    except OSError as error:
        raise PublishFailed(
            f"Cannot write {path}.",
            details=str(error),
            resolution="make the work tree writable, then publish the run again",
        ) from error
