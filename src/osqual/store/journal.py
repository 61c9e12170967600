"""What a run writes down about the resources it owns, before and after they exist."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Journal(Protocol):
    """The resource rows of one run. Each call is durable when it returns."""

    def intend(self, kind: str, name: str, details: Mapping[str, Any]) -> int:
        """Record, before it is created, a resource with a deterministic name; returns its row.

        `kind` is one that `run.parts` has a way to end (see `teardown`). `details` holds what a
        later process needs for that (path, directory, …) and no secret.
        """

    def created(self, row: int, external_id: str, details: Mapping[str, Any]) -> None:
        """Record that it exists, under which id; `details` is merged into the row's."""

    def ended(self, row: int) -> None:
        """Record that nothing of it is left."""

    def unended(self) -> Sequence[Mapping[str, Any]]:
        """Rows that have not ended: `id`, `kind`, `name`, `external_id`, `details`, `step`."""

    def in_step(self, step: str) -> "Journal":
        """The same journal, for rows of another step."""
