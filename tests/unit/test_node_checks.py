"""The always-on checks: the kernel's and systemd's own words, and what the policy makes of them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.model import Verdict
from osqual.results.node_checks import DEFAULT_POLICY, find_in
from osqual.settings import Settings
from tests.unit.test_testing import settings
from tests.unit.test_workflow import World

LINES = {
    "kernel_panic": [
        "[  3.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        "[   12.345678] Kernel panic - not syncing: Fatal exception in interrupt",
    ],
    "kernel_oops": [
        "[    1.770141][    T1] BUG: unable to handle page fault for address: fffba000",
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "[ 5241.355292] BUG: unable to handle kernel paging request at febaebc0",
        "[    9.1] Oops: Oops: 0002 [#1] PREEMPT SMP PTI",
        "[    3.1] kernel BUG at fs/ext4/inode.c:1234!",
        "[    3.1] invalid opcode: 0000 [#1] SMP NOPTI",
        "[    2.0] Unable to handle kernel NULL pointer dereference at virtual address 010",
        "[    2.0] Internal error: Oops: 0000000096000004 [#1] SMP",
    ],
    "oom_kill": [
        "[  9.1] Out of memory: Killed process 571 (python) total-vm:2071252kB, anon-rss:257104kB",
        "[  9.1] Out of memory: Kill process 2145 (java) score 905 or sacrifice child",
    ],
    "cgroup_oom_kill": [
        "[18492.104] Memory cgroup out of memory: Killed process 4182 (worker) total-vm:812044kB"
    ],
    "hung_task": ["[  242.6] INFO: task jbd2/vda1-8:187 blocked for more than 120 seconds."],
    "soft_lockup": ["[  60.0] watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [swapper/1:0]"],
    "hard_lockup": ["[  60.0] NMI watchdog: Watchdog detected hard LOCKUP on cpu 3"],
    "rcu_stall": [
        "[  214.448368] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "[  850.962530] INFO: rcu_sched detected stalls on CPUs/tasks:",
        "[   21.0] rcu: INFO: rcu_sched self-detected stall on CPU",
    ],
    "ordering_cycle": [
        "[    4.2] systemd[1]: sysinit.target: Found ordering cycle on cloud-init.service/start",
        "systemd[1]: basic.target: Job dbus.socket/start deleted to break ordering cycle starting "
        "with basic.target/start",
    ],
    "failed_unit": [
        "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mnginx.service\x1b[0m - A server.",
        "[\x1b[0;1;38;5;185mDEPEND\x1b[0m] Dependency failed for /data.",
        "nginx.service loaded failed failed A high performance web server",
    ],
    "core_dump": [
        "Process 1234 (dockerd) of user 0 dumped core.",
        "[  9.0] dockerd[812]: segfault at 0 ip 00007f3c sp 00007ffe error 4 in libc.so.6[7f3c]",
        "[  9.0] traps: thing[99] general protection fault ip:7f sp:7f error:0 in thing[55]",
    ],
    "selinux_denial": [
        'audit: type=1400 audit(1700000000.123:45): avc:  denied  { read } for  pid=812 comm="x"'
    ],
    "apparmor_denial": [
        'audit: type=1400 audit(1.2:3): apparmor="DENIED" operation="open" profile="docker-default"'
    ],
    "read_only_remount": [
        "[  849.100963] EXT4-fs (sdb7): Remounting filesystem read-only",
        "[  2.0] XFS (vda1): Corruption of in-memory data detected.  Shutting down filesystem",
        "[  2.0] BTRFS info (device vda1): forced readonly",
    ],
    "clock_unsynchronised": [
        "NTPSynchronized=no",
        "clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable because",
    ],
}  # fmt: skip
HARMLESS = [
    "[    0.0] Command line: panic=1 oops=panic",
    "[  OK  ] Started docker.service",
    "[    1.0] EXT4-fs (vda1): re-mounted. Quota mode: none.",
    "[    0.3] rcu: Hierarchical SRCU implementation.",
    "NTPSynchronized=yes",
    "[    1.0] systemd[1]: Starting systemd-coredump.socket",
    "[    1.0] audit: type=1400 audit(1.2:3): apparmor=\"STATUS\" operation=\"profile_load\"",
    "[    0.9] Out of memory handler registered",
]  # fmt: skip


def test_there_are_lines_for_every_check_and_a_policy_for_each() -> None:
    assert set(LINES) == set(DEFAULT_POLICY)


@pytest.mark.parametrize(
    ("check", "line"), [(c, line) for c, many in LINES.items() for line in many]
)
def test_what_the_kernel_says_is_understood(check: str, line: str) -> None:
    (finding,) = find_in([line], "master-1")
    assert (finding.check, finding.count) == (check, 1)
    assert "\x1b" not in finding.line
    assert finding.line in line or "\x1b" in line


@pytest.mark.parametrize("line", HARMLESS)
def test_what_is_harmless_is_left_alone(line: str) -> None:
    assert find_in([line], "master-1") == []


def test_the_same_line_at_another_time_or_from_another_place_is_one() -> None:
    lines = [
        "[  1.5] kernel BUG at fs/a.c:1!",
        "kernel BUG at fs/a.c:1!",
        "kernel BUG at fs/b.c:2!",
    ]
    (finding,) = find_in(lines, "n")
    assert (finding.line, finding.count) == ("kernel BUG at fs/a.c:1!", 2)


@given(st.lists(st.text()))
def test_any_console_is_read(lines: list[str]) -> None:
    assert isinstance(find_in(lines, "n"), list)


def run(world: World, console: str, policy: str = "") -> Any:
    settings(world, f"products: products\n{policy}")
    world.platform.consoles = world.root / "consoles"
    world.platform.consoles.mkdir(exist_ok=True)
    (world.platform.consoles / "master-1").write_text("booting\r\n" + console)
    return world.run()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


OOM = "[ 9.1] Out of memory: Killed process 571 (python)\r\n"
OOM_WARNS = "policy: {checks: {oom_kill: warn}}\n"
OOM_OFF = "policy: {checks: {oom_kill: 'off'}}\n"


def test_a_console_that_tells_of_a_disaster_rejects_a_run_whose_tests_pass(world: World) -> None:
    result = run(world, OOM)
    assert result.judgement.verdict is Verdict.REJECTED
    (row,) = [r for r in world.store.results(result.run_id) if r["suite"] == "node checks"]
    assert row["test_id"] == "oom_kill[master-1]"
    assert row["message"] == "Out of memory: Killed process 571 (python)"
    assert row["signature"]


@pytest.mark.parametrize(
    ("policy", "verdict", "told"),
    [(OOM_WARNS, Verdict.QUALIFIED, True), (OOM_OFF, Verdict.QUALIFIED, False)],
)
def test_the_policy_decides(world: World, policy: str, verdict: Verdict, told: bool) -> None:
    result = run(world, OOM, policy)
    assert result.judgement.verdict is verdict
    assert any("oom kill: Out of memory" in r for r in result.judgement.reasons) is told


def test_a_finding_can_be_muted_like_a_test(world: World) -> None:
    text = "- {test: 'oom_kill[master-1]', ticket: OS-1}\n"
    (world.root / "catalogue" / "mutes.yaml").write_text(text)
    assert run(world, OOM).judgement.verdict is Verdict.QUALIFIED


def test_a_healthy_console_is_no_suite_and_speaks_for_nothing(world: World) -> None:
    result = run(world, "[  OK  ] Reached target multi-user.target\r\n")
    assert result.judgement.verdict is Verdict.QUALIFIED
    assert [s["name"] for s in world.store.suites(result.run_id)] == ["framework", "integration"]


@pytest.mark.parametrize("checks", [{"oom_kil": "fail"}, {"oom_kill": "maybe"}])
def test_an_unknown_check_or_policy_is_refused(checks: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="checks"):
        Settings.model_validate({"policy": {"checks": checks}})


def test_one_policy_leaves_the_others_as_they_are() -> None:
    found = Settings.model_validate({"policy": {"checks": {"oom_kill": "off"}}}).policy.checks
    assert found == {**DEFAULT_POLICY, "oom_kill": "off"}
