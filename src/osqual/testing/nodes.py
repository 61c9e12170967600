"""The always-on checks: every node's console, and what the node says of itself, after the suites.

A finding whose policy is `fail` is a failed test of a suite of its own, so that it can be muted,
has a signature and a history; `warn` is a remark.
"""

from collections.abc import Iterator
from pathlib import Path

from osqual.errors import OsqualError
from osqual.model import Node, Outcome, SuiteResult, TestResult
from osqual.results.node_checks import SUITE, Finding, find_in
from osqual.run.context import RunContext, need
from osqual.ssh.machine import Machine
from osqual.testing.parts import with_signatures

MAX_CONSOLE_BYTES = 64 * 1024 * 1024

# What of it a machine does not have says nothing. The kernel's log is that of this boot.
_LOOK = """
{ journalctl --dmesg --boot --no-pager --output=cat || dmesg; } 2> /dev/null
journalctl --boot --no-pager --output=cat --identifier=systemd-coredump 2> /dev/null
systemctl list-units --failed --plain --no-legend --no-pager 2> /dev/null
timedatectl show --property=NTPSynchronized 2> /dev/null
true
"""


def check_nodes(context: RunContext) -> SuiteResult | None:
    """What the checks found; None when there is nothing to tell."""
    policy = context.scope.settings.policy.checks
    # What a fork began with, it has in common with the others and with the original.
    found = {f.test_id: f for f in (*context.findings, *find_on_nodes(context))}.values()
    wanted = [finding for finding in found if policy[finding.check] != "off"]
    failing = [_failed(f) for f in wanted if policy[f.check] == "fail"]
    remarks = tuple(_words(f) for f in wanted if policy[f.check] == "warn")
    if not wanted:
        return None
    result = SuiteResult(suite=SUITE, results=tuple(failing), remarks=remarks, only_against=True)
    return with_signatures(result)


def find_on_nodes(context: RunContext) -> list[Finding]:
    """What the context's machines, and their consoles, tell."""
    return [f for node in need(context.cluster).nodes for f in _findings(node, context)]


def _findings(node: Node, context: RunContext) -> list[Finding]:
    """Of one node; what stands in its console and in its log alike is one finding."""
    lines = [*_console(node.console), *_own_words(context.machines.get(node.name))]
    return find_in(lines, node.name)


def _console(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    try:
        with path.open("rb") as stream:
            yield from stream.read(MAX_CONSOLE_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return


def _own_words(machine: Machine | None) -> Iterator[str]:
    """A machine that does not answer any more has said all it can on its console."""
    if machine is None:
        return
    try:
        yield from machine.run(["sh", "-c", _LOOK], sudo=True, check=False).stdout.splitlines()
    except OsqualError:
        return


def _failed(finding: Finding) -> TestResult:
    times = f" (and {finding.count - 1} more)" if finding.count > 1 else ""
    return TestResult(
        suite=SUITE,
        test_id=finding.test_id,
        outcome=Outcome.FAIL,
        message=f"{finding.line}{times}",
    )


def _words(finding: Finding) -> str:
    times = f" and {finding.count - 1} more such lines" if finding.count > 1 else ""
    return f"{finding.node}: {finding.check.replace('_', ' ')}: {finding.line}{times}"
