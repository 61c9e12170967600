"""What every effect is given: the run it belongs to, where to write, how to speak and to stop."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from osqual.cancellation import Cancellation
from osqual.events import Event, EventBus, EventKind
from osqual.secrecy import Secrecy
from osqual.settings import Settings
from osqual.store.journal import Journal


@dataclass(frozen=True, kw_only=True)
class RunScope:
    """One run's surroundings. `directory` is the run directory; `journal` its rows in the store."""

    run_id: str
    directory: Path
    settings: Settings
    journal: Journal
    bus: EventBus
    cancellation: Cancellation
    step: str = ""
    dry: bool = False
    """Only looking: nothing may be started."""
    secrecy: Secrecy = field(default_factory=Secrecy)
    """What the run may not repeat; all its scopes share it."""

    def emit(self, kind: EventKind, message: str = "", **data: Any) -> None:
        """Publish an event of this run and step, stamped with the wall clock."""
        self.bus.publish(
            Event(
                kind=kind,
                run_id=self.run_id,
                time=time.time(),
                message=message,
                step=self.step,
                data=data,
            )
        )

    def progress(self, message: str, **data: Any) -> None:
        """Say what is going on inside the step."""
        self.emit(EventKind.PROGRESS, message, **data)

    def warn(self, message: str, **data: Any) -> None:
        """Say something the user should look at, without failing."""
        self.emit(EventKind.WARNING, message, **data)

    def limited(self, limit_s: float, what: str) -> "RunScope":
        """The same scope with a time limit."""
        return replace(self, cancellation=self.cancellation.limited(limit_s, what))

    def shielded(self, limit_s: float, what: str) -> "RunScope":
        """The same scope for clean-up: a cancel that was asked for does not stop it."""
        return replace(self, cancellation=self.cancellation.shielded(limit_s, what))

    def in_step(self, step: str) -> "RunScope":
        """The same scope, speaking and journalling for another step."""
        return replace(self, step=step, journal=self.journal.in_step(step))

    def inside(self, name: str, directory: Path) -> "RunScope":
        """A part of the run that is ended on its own: its directory, and only its own rows."""
        return replace(self, directory=directory, journal=PartJournal(self.journal, name))

    def own(self, kind: str, name: str, **details: Any) -> "OwnedResource":
        """Journal a resource that is about to be created; whoever calls says when it has ended."""
        return OwnedResource(journal=self.journal, row=self.journal.intend(kind, name, details))

    @contextmanager
    def resource(self, kind: str, name: str, **details: Any) -> Iterator["OwnedResource"]:
        """Journal a resource: its intent before the body, its end after the body.

        The body creates the thing, calls `created(id)`, uses it and ends it. When the body raises,
        the row stays open unless `ended()` was called, so that the reaper finds it.
        """
        owned = self.own(kind, name, **details)
        yield owned
        owned.ended()


class PartJournal:
    """The journal of a part of a run: its rows name the part, and it sees no others."""

    def __init__(self, journal: Journal, part: str) -> None:
        self._journal = journal
        self._part = part

    def intend(self, kind: str, name: str, details: Mapping[str, Any]) -> int:
        """See `Journal`."""
        return self._journal.intend(kind, name, {**details, "part": self._part})

    def created(self, row: int, external_id: str, details: Mapping[str, Any]) -> None:
        """See `Journal`."""
        self._journal.created(row, external_id, details)

    def ended(self, row: int) -> None:
        """See `Journal`."""
        self._journal.ended(row)

    def unended(self) -> Sequence[Mapping[str, Any]]:
        """The rows of this part that have not ended."""
        return [row for row in self._journal.unended() if row["details"].get("part") == self._part]

    def in_step(self, step: str) -> "PartJournal":
        """See `Journal`."""
        return PartJournal(self._journal.in_step(step), self._part)


@dataclass
class OwnedResource:
    """A journalled resource while its owner holds it."""

    journal: Journal
    row: int
    done: bool = False

    def created(self, external_id: str, **details: Any) -> None:
        """Record the id under which the thing now exists."""
        self.journal.created(self.row, external_id, details)

    def ended(self) -> None:
        """Record that nothing of it is left."""
        if not self.done:
            self.done = True
            self.journal.ended(self.row)
