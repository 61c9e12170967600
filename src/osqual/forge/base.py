"""What a forge must do, whichever it is."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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
