"""Run events: the one thing the engine says about its progress; renderers subscribe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What an event is about. Renderers may ignore kinds they do not know."""

    RUN_STARTED = "run.started"
    """A run began: `message` is its configuration."""
    RUN_RESUMED = "run.resumed"
    """A process goes on with a run whose process had died."""
    RUN_ENDED = "run.ended"
    """A run ended: `message` is its verdict, `data` holds `reasons` and `exit_code`."""
    STEP_STARTED = "step.started"
    """A step of the pipeline began: `step` names it."""
    STEP_ENDED = "step.ended"
    """A step ended: `data` holds its `status`, `message` what came of it."""
    PROGRESS = "progress"
    """Something worth showing inside a step: `data` may hold `node`, `done`, `total`, `unit`."""
    OUTPUT = "output"
    """A line printed by a script or a tool: `data["source"]` says which."""
    TEST = "test"
    """A test ended: `data` holds `suite`, `test_id`, `outcome`, `duration_s`."""
    RETRY = "retry"
    """Something failed and is tried again: `data` holds `attempt` and `attempts`."""
    WARNING = "warning"
    """Something that a person should look at; the run goes on."""
    RESOURCE = "resource"
    """The machine of a build ended: `data` holds the last line of its `console`."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened in a run; `time` is seconds since the epoch."""

    kind: EventKind
    run_id: str
    time: float
    message: str = ""
    step: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


Subscriber = Callable[[Event], None]
Cleaner = Callable[[Event], Event]
"""Takes out of an event what nobody may read."""


class EventBus:
    """Hands each event to every subscriber, in order, on the caller's thread."""

    def __init__(self, *subscribers: Subscriber, clean: Cleaner = lambda event: event) -> None:
        self._subscribers = list(subscribers)
        self._clean = clean

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber; it sees the events from now on."""
        self._subscribers.append(subscriber)

    def publish(self, event: Event) -> None:
        """Hand the event to every subscriber.

        One that cannot write any more (a closed terminal, a full disk) is left out from then on:
        what it is told of matters more, above all the clean-up.
        """
        event = self._clean(event)
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except OSError:
                self._subscribers.remove(subscriber)
