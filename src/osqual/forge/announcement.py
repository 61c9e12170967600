"""Telling the forge how a run ended: kept in the run directory until it has been told."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from osqual.ci.surroundings import CiJob
from osqual.effects.retry import retry
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError, PublishFailed, TransientError
from osqual.forge.base import CommitStatus, Forge, State
from osqual.forge.comment import MARKER, Row, comment_with, parse_row, row_document
from osqual.processes.process import write_atomic

FILE_NAME = "announcement.json"
CONFIRM_S = 2.0
"""At least: longer than a forge needs from one's reading to the same one's writing."""
CONFIRMED = 2
CONFIRM_AT_MOST = 20
STATES: Mapping[str, State] = {
    "qualified": State.SUCCESS,
    "rejected": State.FAILURE,
    "inconclusive": State.ERROR,
}


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What is told about a run, and where. `commits` get its status, the head first."""

    row: Row
    job: CiJob
    commits: tuple[str, ...] = ()


def context_of(configuration: str) -> str:
    """The name of a configuration's status."""
    return f"osqual/{configuration}"


def status_of(row: Row) -> CommitStatus:
    """A commit's status: the run's verdict, and nothing else, makes it green."""
    reason = row.reasons[0] if row.reasons else ""
    return CommitStatus(
        context=context_of(row.configuration),
        state=STATES.get(row.verdict, State.ERROR),
        description=f"{row.verdict}: {reason}" if reason else row.verdict,
        url=row.url,
    )


def announce(announcement: Announcement, forge: Forge, scope: RunScope) -> None:
    """Set statuses and write the comment; safe to repeat. Raises PublishFailed."""
    row, job = announcement.row, announcement.job
    try:
        for commit in announcement.commits:
            retry(
                partial(forge.set_status, commit, status_of(row)),
                "setting the commit's status",
                scope,
            )
        if job.change is not None:
            write_row(row, job.change, forge, scope)
    except (PublishFailed, TransientError) as error:
        raise PublishFailed(
            f"The verdict stands, but the forge was not told: {error.brief}",
            details=error.details,
            resolution=f"tell it later: osqual publish {row.run}",
        ) from error


def write_row(row: Row, change: int, forge: Forge, scope: RunScope) -> None:
    """Have the comment hold the row, also when other runs write it at the same time.

    A forge has no way to write only what nobody else has changed meanwhile. So the comment is
    read again until the row was found in it twice, after waits that differ from run to run.
    """
    write = partial(forge.update_comment, change, MARKER, partial(comment_with, row))
    found = 0
    for number in range(CONFIRM_AT_MOST):
        if number:
            wait_s = min(CONFIRM_S, scope.settings.retries.first_wait_s)
            scope.cancellation.sleep(wait_s * (1 + random.random()))  # noqa: S311 - no secret
        found = 0 if retry(write, "writing the comment", scope) else found + 1
        if found == CONFIRMED:
            return


def keep_announcement(directory: Path, announcement: Announcement) -> None:
    """Write down what is to be told, before it is."""
    directory.mkdir(exist_ok=True)
    document = {
        "row": row_document(announcement.row),
        "job": vars(announcement.job),
        "commits": list(announcement.commits),
    }
    write_atomic(directory / FILE_NAME, json.dumps(document, indent=2) + "\n")


def kept_announcement(directory: Path) -> Announcement | None:
    """What was written down; None where nobody is to be told. Raises InfrastructureError."""
    path = directory / FILE_NAME
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Announcement(
            row=parse_row(document["row"]),
            job=CiJob(**document["job"]),
            commits=tuple(document["commits"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfrastructureError(f"{path} cannot be read.", details=str(error)) from error


def with_commit(announcement: Announcement, commit: str) -> Announcement:
    """The same, with the status on one more commit."""
    commits = dict.fromkeys((*announcement.commits, commit))
    return replace(announcement, commits=tuple(filter(None, commits)))
