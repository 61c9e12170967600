"""Tests kept apart: each, or each module, on restarted nodes, a fork of the cluster, or a new one.

A suite that is not isolated runs as a whole, or in shards, on the one cluster of the run.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from osqual.errors import Interrupted, OsqualError
from osqual.model import Isolation, Selection, Shard, Suite, SuiteResult
from osqual.platforms.base import ForkingPlatform
from osqual.run.cluster_life import end_cluster, install_everything, make_cluster
from osqual.run.context import RunContext, need
from osqual.suites.base import ListingKind
from osqual.teardown import set_aside
from osqual.testing.forks import end_left_forks, held, in_fork
from osqual.testing.parts import merged, request_for, run_once, suite_directory

Unit = tuple[str, ...]
"""Ids of tests that share a cluster; none: the suite as a whole."""


def run_whole(suite: Suite, selection: Selection, context: RunContext) -> SuiteResult:
    """All of a suite; in as many parts at the same time as its definition says."""
    if suite.shards == 1 or isolation_of(suite, context) is not Isolation.SHARED:
        return run_part(suite, selection, "", context)
    shards = [Shard(number=n + 1, of=suite.shards) for n in range(suite.shards)]
    with ThreadPoolExecutor(max_workers=suite.shards, thread_name_prefix="shard") as pool:
        results = list(
            pool.map(lambda shard: run_once(suite, selection, "", context, shard), shards)
        )
    context.used = True
    return merged(suite.name, results)


def run_part(suite: Suite, selection: Selection, part: str, context: RunContext) -> SuiteResult:
    """A suite, or some tests of it under a name of their own, as isolated as it is to be."""
    isolation = isolation_of(suite, context)
    if isolation is Isolation.SHARED:
        context.used = True
        return run_once(suite, selection, part, context)
    return _Apart(suite=suite, selection=selection, part=part, context=context).run(isolation)


def isolation_of(suite: Suite, context: RunContext) -> Isolation:
    """What the person asked for, else the suite; restarts where the platform cannot fork."""
    wanted = context.options.isolation or suite.isolation
    can_fork = isinstance(context.platform, ForkingPlatform)
    return Isolation.REBOOT if wanted is Isolation.FORK and not can_fork else wanted


def most_forks(suites: Sequence[Suite], context: RunContext) -> int:
    """How many forks of the cluster there may be at a time, beside the cluster itself."""
    forking = [s.shards for s in suites if isolation_of(s, context) is Isolation.FORK]
    return max(forking, default=0)


def other_isolation(suite: Suite, context: RunContext) -> tuple[str, ...]:
    """A remark for the verdict where tests were not isolated as their suite says."""
    isolation = isolation_of(suite, context)
    wanted = context.options.isolation or suite.isolation
    if isolation is not wanted:
        platform = context.configuration.dimensions["platform"]
        return (
            f"The platform {platform} cannot fork a cluster: the nodes were restarted between the "
            f"tests of the suite '{suite.name}' instead.",
        )
    if isolation is not suite.isolation:
        return (
            f"The suite '{suite.name}' was run with --isolation {isolation.value}; its own is "
            f"{suite.isolation.value}.",
        )
    return ()


class _Apart:
    """One suite, or part of it, unit by unit."""

    def __init__(
        self, *, suite: Suite, selection: Selection, part: str, context: RunContext
    ) -> None:
        self.suite, self.selection, self.part, self.context = suite, selection, part, context

    def run(self, isolation: Isolation) -> SuiteResult:
        """Every unit, and what they gave as one result."""
        began = time.monotonic()
        end_left_forks(self.context)
        units, left_out, problem = self._units()
        if problem:
            return SuiteResult(suite=self.suite.name, problem=problem)
        if not units:
            return run_once(self.suite, self.selection, self.part, self.context)
        results = self._run_all(isolation, units)
        whole = merged(self.suite.name, results) if len(results) > 1 else results[0]
        left_out = (*whole.left_out, *left_out)
        return replace(whole, left_out=left_out, duration_s=time.monotonic() - began)

    def _run_all(self, isolation: Isolation, units: Sequence[Unit]) -> list[SuiteResult]:
        numbered = list(enumerate(units, 1))
        if isolation is not Isolation.FORK:
            renew = self._restart if isolation is Isolation.REBOOT else self._make_anew
            return [self._renewed(renew, *each) for each in numbered]
        lanes = ThreadPoolExecutor(self.suite.shards, thread_name_prefix="fork")
        with held(self.context), lanes as pool:
            futures = [pool.submit(self._forked, *each) for each in numbered]
            return [future.result() for future in futures]

    def _units(self) -> tuple[list[Unit], tuple[str, ...], str]:
        """What is run apart from each other, what is left out, and why nobody can tell."""
        kind = self.context.parts.suite_kinds[self.suite.kind]
        if not isinstance(kind, ListingKind):
            return [()], (), ""
        if self.selection.only:
            return self._grouped(self.selection.only), (), ""
        name = f"{self.part or 'all'}-list"
        directory = suite_directory(self.suite, name, self.context)
        set_aside(directory)
        request = request_for(self.suite, self.selection, name, self.context)
        listing = kind.list_tests(request, self.context.scope)
        return self._grouped(listing.tests), listing.left_out, listing.problem

    def _grouped(self, tests: Sequence[str]) -> list[Unit]:
        groups: dict[str, list[str]] = {}
        by_module = self.suite.isolation_by == "module"
        for test in tests:
            groups.setdefault(test.partition("::")[0] if by_module else test, []).append(test)
        units = [tuple(group) for group in groups.values()]
        if self.context.options.shuffle is not None:
            random.Random(self.context.options.shuffle).shuffle(units)  # noqa: S311 - an order
        return units

    def _once(self, number: int, unit: Unit, context: RunContext) -> SuiteResult:
        selection = replace(self.selection, only=unit, leave_out=()) if unit else self.selection
        return run_once(self.suite, selection, self._name(number), context)

    def _name(self, number: int) -> str:
        return f"{self.part or 'apart'}-{number}"

    def _forked(self, number: int, unit: Unit) -> SuiteResult:
        self._clear(number)
        return in_fork(self.suite, lambda there: self._once(number, unit, there), self.context)

    def _renewed(self, renew: Callable[[], None], number: int, unit: Unit) -> SuiteResult:
        """On the run's cluster; a fresh one is taken as it is."""
        self._clear(number)
        try:
            if self.context.used:
                renew()
        except Interrupted:
            raise
        except OsqualError as error:
            problem = f"the cluster could not be made ready for {' '.join(unit)}: {error}"
            return SuiteResult(suite=self.suite.name, problem=problem)
        self.context.used = True
        return self._once(number, unit, self.context)

    def _clear(self, number: int) -> None:
        """What a process of the run that died has left is no result of this one."""
        set_aside(suite_directory(self.suite, self._name(number), self.context))

    def _restart(self) -> None:
        machines = list(self.context.machines.values())
        limit_s = self.context.scope.settings.qemu.boot_timeout_s
        with ThreadPoolExecutor(len(machines), thread_name_prefix="restart") as pool:
            list(pool.map(lambda machine: machine.reboot(limit_s), machines))

    def _make_anew(self) -> None:
        need(self.context.cluster)
        end_cluster(self.context)
        make_cluster(self.context)
        install_everything(self.context)
