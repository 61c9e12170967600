"""What a machine's console and kernel log tell of its health, whatever the tests say. Pure.

The patterns are the kernel's and systemd's own words; a line counts for the first check it meets.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Consequence = Literal["fail", "warn", "off"]
"""What follows from a finding."""
SUITE = "node checks"
"""Under this name the findings stand among the suites; no product can have one called so."""

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][0-9A-B]|[=>78])")
_STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ")
_PATTERNS: Mapping[str, str] = {
    "kernel_panic": r"Kernel panic - not syncing",
    "kernel_oops": (
        r"BUG: unable to handle|BUG: kernel NULL pointer dereference|kernel BUG at |"
        r"Internal error: Oops|: [0-9a-f]{4} \[#\d+\]|Unable to handle kernel "
    ),
    "oom_kill": r"(?<!cgroup )[Oo]ut of memory: Kill(?:ed)? process \d+",
    "cgroup_oom_kill": r"Memory cgroup out of memory: Kill(?:ed)? process \d+",
    "hung_task": r"INFO: task .+:\d+ blocked for more than \d+ seconds",
    "soft_lockup": r"BUG: soft lockup - CPU#\d+ stuck for \d+s",
    "hard_lockup": r"Watchdog detected hard LOCKUP",
    "rcu_stall": r"rcu\w*.*(?:self-detected stall|detected (?:expedited )?stalls) on CPU",
    "ordering_cycle": r"Found ordering cycle|deleted to break ordering cycle",
    "failed_unit": (
        r"^\[ *(?:FAILED|DEPEND) *\] |^\S+\.\w+ +\S+ +failed +failed |"
        r"systemd\[1\]: Failed to start "
    ),
    "core_dump": (
        r"Process \d+ \(.+\) of user \d+ (?:dumped core|terminated abnormally)|"
        r"\[\d+\]: segfault at |^traps: \S+\[\d+\] "
    ),
    "selinux_denial": r"avc: +denied +\{",
    "apparmor_denial": r'apparmor="DENIED"',
    "read_only_remount": (
        r"Remounting filesystem read-only|Shutting down filesystem|forced readonly"
    ),
    "clock_unsynchronised": r"^NTPSynchronized=no$|Marking clocksource '\S+' as unstable",
}
_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in _PATTERNS.items())
_ANY = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS.values()))

# What is slow only because the processor is emulated, or depends on what the tests do, is told and
# decides nothing unless the policy says so.
DEFAULT_POLICY: Mapping[str, Consequence] = MappingProxyType(
    {
        "kernel_panic": "fail",
        "kernel_oops": "fail",
        "oom_kill": "fail",
        "cgroup_oom_kill": "warn",
        "hung_task": "warn",
        "soft_lockup": "warn",
        "hard_lockup": "fail",
        "rcu_stall": "warn",
        "ordering_cycle": "fail",
        "failed_unit": "warn",
        "core_dump": "warn",
        "selinux_denial": "warn",
        "apparmor_denial": "warn",
        "read_only_remount": "fail",
        "clock_unsynchronised": "warn",
    }
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found on one node: how often, and the first of the lines."""

    check: str
    node: str
    line: str
    count: int

    @property
    def test_id(self) -> str:
        """Its name among the tests: a mute can name it."""
        return f"{self.check}[{self.node}]"


def find_in(lines: Iterable[str], node: str) -> list[Finding]:
    """What the lines of a node's console or kernel log tell, by check; a repeated line is one."""
    found: dict[str, list[str]] = {}
    for raw in lines:
        line = plain(raw)
        if _ANY.search(line) is None:
            continue
        check = next(name for name, pattern in _COMPILED if pattern.search(line))
        if line not in found.setdefault(check, []):
            found[check].append(line)
    return [
        Finding(check=check, node=node, line=first, count=1 + len(others))
        for check, (first, *others) in found.items()
    ]


def plain(line: str) -> str:
    """A line without colours, cursor movements and the kernel's time."""
    return _STAMP.sub("", _ANSI.sub("", line).strip("\r\n \0")).strip()
