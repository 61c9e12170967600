"""What a suite kind is given and what it must do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from osqual.effects.scope import RunScope
from osqual.model import Cluster, Configuration, Selection, Shard, Suite, SuiteResult


@dataclass(frozen=True, kw_only=True)
class SuiteRequest:
    """One suite to run against a cluster; `directory` receives its log, JUnit and artefacts.

    `part` names what is run on its own apart from the suite as a whole (empty): `shadow`, …
    """

    suite: Suite
    configuration: Configuration
    cluster: Cluster
    selection: Selection
    directory: Path
    part: str = ""
    shard: Shard | None = None
    on_failure: Callable[[str], None] | None = None
    """Called with a test's id when it has failed and has not cleaned up yet, where a kind can."""

    @property
    def name(self) -> str:
        """What its processes and places are called."""
        return f"suite-{self.suite.name}" + (f"-{self.part}" if self.part else "")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The ids of the tests that would be run; `problem` says why nobody can tell."""

    tests: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Those of them that are muted, and not to be run."""
    problem: str = ""


class SuiteKind(Protocol):
    """Runs a suite and reads its results."""

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        """Run the suite to its end or its time limit.

        A failing test is a result. A suite that died, was interrupted, collected nothing or left
        no readable report is a SuiteResult with a `problem` and what it gave until then. One that
        an earlier process of the run started, and that still runs, is followed to its end.
        """


@runtime_checkable
class ListingKind(SuiteKind, Protocol):
    """A kind whose tests can be run one by one, by their ids."""

    def list_tests(self, request: SuiteRequest, scope: RunScope) -> Listing:
        """The tests of the selection, in order, without running any."""
