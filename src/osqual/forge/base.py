"""What a forge must do, whichever it is."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from osqual.rest import RequestRefused


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

    def update_comment(self, change: int, marker: str, write: Callable[[str | None], str]) -> None:
        """Write the one comment on a change that begins with the marker, made when there is none.

        `write` gets its text, None when there is none, and returns the new one.
        """


def rewrite_ours(
    comments: Iterable[Mapping[str, Any]],
    marker: str,
    rewrite: Callable[[Mapping[str, Any]], None],
) -> bool:
    """Rewrite the first comment that begins with the marker; False when there is none of ours.

    One that the forge does not let us change is somebody else's, who quotes ours.
    """
    for comment in comments:
        if str(comment.get("body", "")).startswith(marker):
            with suppress(RequestRefused):
                rewrite(comment)
                return True
    return False


def shortened(text: str, limit: int) -> str:
    """The text in one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
