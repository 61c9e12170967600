"""The published files' contents: of a publication, and of what was published before. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from osqual.conventions import FileNames
from osqual.errors import PublishFailed
from osqual.publish.outbox import Publication

Before = Callable[[str], str | None]
"""The content of a published file by its name, as it is where it will be published; None: none."""


def file_contents(publication: Publication, names: FileNames, before: Before) -> dict[str, str]:
    """Name to content of each file that publishing changes.

    Builds are added to whatever history there is. Images and record of a run that ended later
    than this one stay: it has looked at them since.
    """
    contents = {}
    if publication.build is not None:
        contents[names.history] = history_text(
            before(names.history), publication.build, names.history
        )
    if not _is_newer(before(names.record), publication):
        contents[names.images] = images_text(publication.images)
        contents[names.record] = record_text(publication.record)
        if publication.attestation:
            contents[names.attestation] = publication.attestation
    return contents


def images_text(ids: Mapping[str, str]) -> str:
    """The images file: region to image id, flat and sorted, as dcos/dcos-images has it."""
    return yaml.safe_dump(dict(ids), default_flow_style=False, sort_keys=True)


def history_text(before: str | None, build: Mapping[str, Any], source: str) -> str:
    """The history with a build added (Packer's manifest; the last build counts).

    A build that is there already (by `packer_run_uuid`) is not added again. A history that cannot
    be read is never overwritten: raises PublishFailed.
    """
    history = _parse_history(before, source)
    uuid = build["packer_run_uuid"]
    builds = [known for known in history["builds"] if known.get("packer_run_uuid") != uuid]
    return json.dumps(
        {**history, "builds": [*builds, dict(build)], "last_run_uuid": uuid}, indent=2
    )


def record_text(record: Mapping[str, Any]) -> str:
    """The qualification record."""
    return json.dumps(record, indent=2) + "\n"


def _parse_history(text: str | None, source: str) -> dict[str, Any]:
    if text is None:
        return {"builds": []}
    try:
        history = json.loads(text)
        valid = isinstance(history["builds"], list) and all(
            isinstance(build, dict) for build in history["builds"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(source, str(error)) from error
    if not valid:
        raise unreadable(source, "`builds` must be a list of objects")
    return dict(history)


def unreadable(source: str, why: str) -> PublishFailed:
    """The error about a history that nothing can be added to."""
    return PublishFailed(
        f"The build history {source} cannot be read, so nothing was added to it.",
        details=why,
        resolution="repair the file or restore it from git, then publish the run again",
    )


def _is_newer(record: str | None, publication: Publication) -> bool:
    """Whether there is a record of another run that ended later; one that is broken is not."""
    try:
        known = json.loads(record or "{}")
        ended, run = known.get("ended_at", ""), known.get("run")
        return bool(run != publication.run_id and ended > publication.record["ended_at"])
    except (ValueError, TypeError, AttributeError):
        return False
