"""What a forge must do, whichever it is."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from osqual.forge.rest import Api, RequestRefused


class State(StrEnum):
    """How a commit stands; `error` says nothing about the commit itself."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class CommitStatus:
    """One line beneath a commit; a later one with the same context replaces it."""

    context: str
    state: State
    description: str
    url: str = ""


class Forge(Protocol):
    """One repository on a forge. Each call raises RequestRefused, or TransientError for a failure
    that may pass.
    """

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """Say how a commit stands."""

    def update_comment(self, change: int, marker: str, write: Callable[[str | None], str]) -> bool:
        """Write the one comment on a change that begins with the marker, made when there is none.

        `write` gets its text, None when there is none, and returns the new one. False when it is
        written like that already. Further comments of ours, made at the same moment, are deleted.
        """


def write_our_comment(
    api: Api,
    path: str,
    marker: str,
    write: Callable[[str | None], str],
    *,
    verb: str,
    place: Callable[[Mapping[str, Any]], str],
    query: Mapping[str, Any] | None = None,
) -> bool:
    """`Forge.update_comment` for a forge whose comments on a change are all at `path`.

    Each has a `place` of its own, where `verb` rewrites it. One that the forge does not let us
    change is somebody else's, who quotes ours.
    """
    written: bool | None = None
    for comment in list(api.pages(path, query)):  # pages would shift while some are deleted
        if not str(comment.get("body", "")).startswith(marker):
            continue
        with suppress(RequestRefused):
            if written is not None:
                api.call("DELETE", place(comment))
                continue
            text = write(comment["body"])
            if text != comment["body"]:
                api.call(verb, place(comment), body={"body": text})
            written = text != comment["body"]
    if written is None:
        api.call("POST", path, body={"body": write(None)})
    return written is not False


def shortened(text: str, limit: int) -> str:
    """The text in one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
