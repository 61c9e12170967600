"""Forks of the run's cluster for tests: made, used, looked at, saved when a test failed, ended."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from osqual.cluster_file import FORKS_DIRECTORY
from osqual.effects.scope import RunScope
from osqual.errors import Interrupted, OsqualError
from osqual.events import EventKind
from osqual.model import KeepPolicy, Suite, SuiteResult
from osqual.platforms.base import ForkingPlatform
from osqual.processes.process import write_atomic
from osqual.run.cluster_life import open_machines
from osqual.run.context import RunContext
from osqual.teardown import end_resources
from osqual.testing.consoles import keep_consoles
from osqual.testing.fetching import fetch_artefacts
from osqual.testing.nodes import find_on_nodes
from osqual.testing.parts import FAILURES

FAILURE_FILE = "failure.json"
"""Stands in the directory of a fork that was saved when a test failed."""
END_S = 300.0
_RUNNING_KINDS = ("job", "vm", "sockets", "port", "network")
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class SavedFailure:
    """The cluster as it was when tests failed; `directory` has its memory and disks."""

    directory: Path
    suite: str
    tests: tuple[str, ...]


@contextmanager
def held(context: RunContext) -> Iterator[None]:
    """The run's own cluster stands still meanwhile; the first time it is saved."""
    context.scope.progress("the cluster is held and forked")
    platform(context).hold(context.scope)
    try:
        yield
    finally:
        scope = context.scope.shielded(END_S, "letting the cluster go on")
        try:
            platform(context).go_on(scope)
        except OsqualError as error:
            scope.warn(f"the cluster does not go on after it was forked: {error.brief}")


def save_early(context: RunContext) -> None:
    """Have the cluster saved before a suite that shares it has left anything on it."""
    with held(context):
        pass


def in_fork(
    suite: Suite, test: Callable[[RunContext], SuiteResult], context: RunContext
) -> SuiteResult:
    """Have a fork for some tests, and look at it as at any cluster; nothing of it stays.

    But for the saved state of one in which a test failed, when the run is to keep clusters.
    """
    directory = next_directory(context.scope.directory, "fork")
    scope = context.scope.inside(directory.name, directory)
    keeper = _Keeper(suite, scope, context)
    there = replace(
        context,
        scope=scope,
        whole=context.run_directory,
        cluster=None,
        machines={},
        on_failure=keeper.at_once if keeper.wanted else None,
    )
    try:
        context.scope.emit(EventKind.PROGRESS, f"the fork {directory.name} begins")
        cluster = platform(context).fork(context.scope.directory, scope)
        open_machines(there, cluster)
        result = test(there)
        remarks = _look_at(suite, result, there, context)
        keeper.afterwards(failed_in(result))
        return replace(result, remarks=(*result.remarks, *remarks))
    except Interrupted:
        raise
    except OsqualError as error:
        return SuiteResult(suite=suite.name, problem=f"a fork of the cluster failed: {error}")
    finally:
        _end(there, kept=keeper.kept)


def saved_failures(run_directory: Path) -> list[SavedFailure]:
    """What was saved of a run's failures, oldest first."""
    found = []
    for path in (run_directory / FORKS_DIRECTORY).glob(f"*/{FAILURE_FILE}"):
        document = json.loads(path.read_text())
        found.append(
            SavedFailure(
                directory=path.parent, suite=document["suite"], tests=tuple(document["tests"])
            )
        )
    return sorted(found, key=lambda failure: _number(failure.directory))


def end_left_forks(context: RunContext) -> None:
    """End the forks of a process of this run that died; failures that it saved stay."""
    for directory in (context.scope.directory / FORKS_DIRECTORY).glob("*"):
        if not (directory / FAILURE_FILE).exists():
            scope = context.scope.inside(directory.name, directory)
            end_resources(scope, context.parts.kinds)


def platform(context: RunContext) -> ForkingPlatform:
    """The run's platform, which can fork: who asks has looked."""
    assert isinstance(context.platform, ForkingPlatform)  # noqa: S101
    return context.platform


def next_directory(run_directory: Path, prefix: str) -> Path:
    """A directory of its own for one more fork of a run's cluster: `fork-1`, `fork-2`, …"""
    root = run_directory / FORKS_DIRECTORY
    root.mkdir(exist_ok=True)
    for number in itertools.count(1):
        with suppress(FileExistsError):
            (root / f"{prefix}-{number}").mkdir()
            break
    return root / f"{prefix}-{number}"


def _number(directory: Path) -> int:
    text = directory.name.rpartition("-")[2]
    return int(text) if text.isdecimal() else 0


def failed_in(result: SuiteResult) -> list[str]:
    """The tests that failed, by their ids."""
    return [test.test_id for test in result.results if test.outcome in FAILURES]


def _look_at(
    suite: Suite, result: SuiteResult, there: RunContext, context: RunContext
) -> tuple[str, ...]:
    """Consoles of failures, files that the suite wants, and what the nodes have to say."""
    failed = failed_in(result)
    with _lock:
        keep_consoles(suite.name, failed, there)
    findings = find_on_nodes(there)
    remarks = fetch_artefacts(suite, there)
    with _lock:
        context.findings.extend(findings)
    return remarks


class _Keeper:
    """Saves a fork in which a test fails, when the run is to keep clusters: the first time."""

    def __init__(self, suite: Suite, scope: RunScope, context: RunContext) -> None:
        self._suite, self._scope = suite, scope
        self._platform = platform(context)
        self.wanted = context.options.keep is not KeepPolicy.NEVER
        self.kept = False

    def at_once(self, test: str) -> None:
        """The test goes on afterwards: it has fixtures that clean up."""
        if self.wanted and not self.kept:
            self._save([test])
            self._platform.go_on(self._scope)

    def afterwards(self, tests: Sequence[str]) -> None:
        """For kinds of suites that cannot tell as it happens."""
        if self.wanted and tests and not self.kept:
            self._save(tests)

    def _save(self, tests: Sequence[str]) -> None:
        self._platform.save(self._scope)
        document = {"suite": self._suite.name, "tests": list(tests)}
        write_atomic(self._scope.directory / FAILURE_FILE, json.dumps(document) + "\n")
        self.kept = True


def _end(there: RunContext, *, kept: bool) -> None:
    """End the fork; of a saved one only what runs. What cannot be ended is left for later."""
    scope = there.scope.shielded(END_S, "ending a fork of the cluster")
    for machine in there.machines.values():
        machine.close()
    kinds = there.parts.kinds
    if kept:
        kinds = {name: kind for name, kind in kinds.items() if name in _RUNNING_KINDS}
    try:
        end_resources(scope, kinds)
    except OsqualError as error:
        scope.warn(f"{error.brief} {error.details}")
