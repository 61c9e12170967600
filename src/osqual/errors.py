"""Every error osqual raises on purpose, with its exit code.

An error says what happened (`brief`), the evidence (`details`) and what to do (`resolution`).
Anything else that reaches the command line's boundary is a bug and is shown as one.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple


class ExitCode(IntEnum):
    """The process exit codes, the same for every command."""

    OK = 0
    """Qualified; or the command did what it was asked for."""
    REJECTED = 1
    """A test that counts failed; or it is not so: lint found errors, there is no such image."""
    USAGE = 2
    """Wrong input: a command line, a file of the catalogue, a setting, a missing program."""
    INCONCLUSIVE = 3
    """Something is not finished, or the surroundings failed: nothing is said about the product."""
    CLEANUP_INCOMPLETE = 4
    """Resources may be left; they are named."""
    LOCKED = 75
    """Another osqual works in the same state directory."""
    INTERRUPTED = 130
    """Ended by Ctrl-C or a signal, once everything was torn down."""


class OsqualError(Exception):
    """Base of every expected failure; shown without a traceback."""

    exit_code = ExitCode.INCONCLUSIVE

    def __init__(self, brief: str, *, details: str = "", resolution: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.resolution = resolution

    def __str__(self) -> str:
        parts = [self.brief]
        if self.details:
            parts.append(self.details.rstrip())
        if self.resolution:
            parts.append(f"To do: {self.resolution}")
        return "\n".join(parts)


class UsageError(OsqualError):
    """The command was asked for something that does not make sense."""

    exit_code = ExitCode.USAGE


class InvalidInput(OsqualError):
    """A file of the catalogue, or a setting, cannot be used as it is."""

    exit_code = ExitCode.USAGE


class InvalidFile(InvalidInput):
    """A file of the catalogue is broken at a place: `source`, `line` (0: unknown) and `key`."""

    def __init__(
        self, source: str, problem: str, *, line: int = 0, key: str = "", resolution: str = ""
    ) -> None:
        place = f"{source}:{line}" if line else source
        super().__init__(
            f"{place}: {key + ': ' if key else ''}{problem}",
            resolution=resolution or f"correct {place}",
        )
        self.source = source
        self.problem = problem
        self.line = line
        self.key = key


class UnknownKey(InvalidFile):
    """A file of the catalogue has a key that means nothing, most often a misspelt one."""


Key = tuple[str | int, ...]
"""Where something stands in a document: `("builders", 0, "memory")`."""


def dotted(key: Iterable[str | int]) -> str:
    """A place in a document as people write it: `builders[0].memory`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.lstrip(".")


class Problem(NamedTuple):
    """What is wrong at one place of a document; `line` 0 is not known."""

    key: Key
    words: str
    line: int = 0

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return place + (f"{dotted(self.key)}: {self.words}" if self.key else self.words)


class Unusable(InvalidInput):
    """A document that can be read and not be used; `problems` have each place in it."""

    def __init__(
        self,
        brief: str,
        problems: Sequence[Problem],
        *,
        details: str | None = None,
        resolution: str = "",
    ) -> None:
        said = "\n".join(map(str, problems)) if details is None else details
        super().__init__(brief, details=said, resolution=resolution)
        self.problems = tuple(problems)


class NotFound(UsageError):
    """Something that was named (a configuration, a run, a node) does not exist."""


class MissingProgram(OsqualError):
    """An external program that this operation needs is not installed."""

    exit_code = ExitCode.USAGE


class InfrastructureError(OsqualError):
    """The surroundings failed (machine, network, disk): says nothing about the product."""


class TransientError(InfrastructureError):
    """The surroundings failed in a way that often passes by itself: worth another attempt.

    `retry_after_s` is how long it wants to be left alone at least, where it said so.
    """

    def __init__(
        self, brief: str, *, details: str = "", resolution: str = "", retry_after_s: float = 0.0
    ) -> None:
        super().__init__(brief, details=details, resolution=resolution)
        self.retry_after_s = retry_after_s


class LimitReached(TransientError):
    """A quota of osqual.yaml is used up by other runs: the run has not begun."""


class StoreFailed(InfrastructureError):
    """The journal cannot be read or written: full, locked, broken or out of reach."""


class CommandFailed(InfrastructureError):
    """An external command ended with a non-zero exit code."""

    def __init__(
        self, brief: str, *, exit_status: int, details: str = "", resolution: str = ""
    ) -> None:
        super().__init__(brief, details=details, resolution=resolution)
        self.exit_status = exit_status


class BuildFailed(OsqualError):
    """The image could not be built."""


class ProvisionFailed(InfrastructureError):
    """The cluster's machines did not come up."""


class InstallFailed(OsqualError):
    """The product could not be installed on the cluster."""


class PublishFailed(OsqualError):
    """The verdict stands, but the published files could not be written."""


class TimeLimitExceeded(InfrastructureError):
    """An operation was ended because its time limit passed."""


class CleanupIncomplete(OsqualError):
    """Resources may be left behind; `details` names them."""

    exit_code = ExitCode.CLEANUP_INCOMPLETE


class StateLocked(OsqualError):
    """Another orchestrator holds the state directory."""

    exit_code = ExitCode.LOCKED


class Interrupted(OsqualError):
    """A person or a signal asked the run to stop."""

    exit_code = ExitCode.INTERRUPTED
