"""Probing KVM, with a stand-in for QEMU that behaves like hosts that were met."""

import json
import struct
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.errors import Interrupted, MissingProgram
from osqual.processes.running import process_start
from osqual.qemu.acceleration import Acceleration, Host, NoAcceleration, probe
from osqual.qemu.tiny_initrd import MARKER, tiny_initrd
from osqual.settings import Directories, Qemu, Settings

# Finds the console's file among QEMU's words, and notes each start.
_BEGIN = """#!/bin/sh
echo started >> {starts}
for word in "$@"; do case $word in file:*) console=${{word#file:}} ;; esac; done
"""
COMES_UP = f"printf 'Linux version 6\\n{MARKER.decode()}\\n' > $console; exec sleep 1000"
HANGS = "echo SeaBIOS > $console; exec sleep 1000"
ABORTS = "echo 'qemu: error: failed to set MSR 0x48b to 0x0' >&2; exit 134"
ENDS = "echo 'Kernel panic - not syncing' > $console; exit 0"


@dataclass(frozen=True)
class Bench:
    """A host made of files."""

    settings: Settings
    host: Host
    starts: Path

    def qemu(self, script: str) -> None:
        program = Path(self.host.program)
        program.write_text(_BEGIN.format(starts=self.starts) + script)
        program.chmod(0o755)

    def probe(self, host: Host | None = None) -> Acceleration:
        return probe(self.settings, Cancellation(), host=host or self.host)

    @property
    def started(self) -> int:
        return len(self.starts.read_text().splitlines()) if self.starts.exists() else 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    boot = tmp_path / "boot"
    boot.mkdir()
    (boot / "vmlinuz-6.1").write_bytes(b"kernel")
    device = tmp_path / "kvm"
    device.touch()
    host = Host(
        device=device,
        program=str(tmp_path / "qemu"),
        boot_directory=boot,
        boot_id="one",
        release="6.1",
        kernel_limit_s=1.0,
        disk_limit_s=1.0,
    )
    settings = Settings(directories=Directories(state=tmp_path / "state", cache=tmp_path / "cache"))
    return Bench(settings, host, tmp_path / "starts")


def test_kvm_where_a_kernel_comes_up_in_it(bench: Bench) -> None:
    bench.qemu(COMES_UP)
    chosen = bench.probe()
    assert chosen.accelerator == "kvm"
    assert chosen.arguments == ("-accel", "kvm", "-cpu", "host")
    assert "vmlinuz-6.1 came up" in chosen.reason


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (HANGS, "did not come up under KVM: nothing of it within 1 s"),
        (ABORTS, "failed to set MSR"),
        (ENDS, "QEMU ended"),
    ],
)
def test_tcg_where_it_does_not(bench: Bench, script: str, reason: str) -> None:
    bench.qemu(script)
    chosen = bench.probe()
    assert chosen.accelerator == "tcg"
    assert chosen.arguments[:2] == ("-accel", "tcg,thread=multi")
    assert {"+sse4.2", "+popcnt"} <= set(chosen.cpu_model.split(",")), "x86-64-v2"
    assert reason in chosen.reason


def test_the_verdict_is_kept_for_this_boot_and_this_qemu(bench: Bench) -> None:
    bench.qemu(COMES_UP)
    first = bench.probe()
    assert bench.probe() == first
    assert bench.started == 1
    bench.probe(replace(bench.host, boot_id="two"))
    assert bench.started == 2
    bench.probe(replace(bench.host, boot_id="two"))
    assert bench.started == 2
    bench.qemu(COMES_UP + " # newer")
    bench.probe(replace(bench.host, boot_id="two"))
    assert bench.started == 3


def test_a_verdict_for_want_of_time_is_asked_again_later(bench: Bench) -> None:
    bench.qemu(HANGS)
    assert bench.probe().accelerator == bench.probe().accelerator == "tcg"
    assert bench.started == 1
    record = bench.settings.directories.cache / "acceleration.json"
    verdict = json.loads(record.read_text())
    record.write_text(json.dumps({**verdict, "valid_until": time.time() - 1}))
    bench.qemu(COMES_UP)
    assert bench.probe().accelerator == "kvm"


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"key": 1}', "\x00"])
def test_a_damaged_record_is_asked_again(bench: Bench, damage: str) -> None:
    bench.qemu(COMES_UP)
    bench.probe()
    (bench.settings.directories.cache / "acceleration.json").write_text(damage)
    assert bench.probe().accelerator == "kvm"
    assert bench.started == 2


def test_nothing_is_started_without_the_device(bench: Bench) -> None:
    bench.qemu(COMES_UP)
    chosen = bench.probe(replace(bench.host, device=Path("/nonexistent/kvm")))
    assert chosen.accelerator == "tcg"
    assert "has no /nonexistent/kvm" in chosen.reason
    assert bench.started == 0


def asking_for(bench: Bench, accelerator: str) -> Settings:
    return Settings(
        directories=bench.settings.directories,
        qemu=Qemu.model_validate({"acceleration": accelerator}),
        sources={"qemu.acceleration": "$OSQUAL_ACCELERATION"},
    )


def test_emulation_that_is_asked_for_needs_no_trial(bench: Bench) -> None:
    bench.qemu(COMES_UP)
    chosen = probe(asking_for(bench, "tcg"), Cancellation(), host=bench.host)
    assert chosen.accelerator == "tcg"
    assert chosen.reason == "set by $OSQUAL_ACCELERATION"
    assert bench.started == 0


def test_kvm_that_is_asked_for_is_tried_all_the_same(bench: Bench) -> None:
    bench.qemu(COMES_UP)
    settings = asking_for(bench, "kvm")
    assert probe(settings, Cancellation(), host=bench.host).accelerator == "kvm"
    untried = replace(bench.host, boot_directory=Path("/nonexistent"), boot_id="two")
    assert probe(settings, Cancellation(), host=untried).accelerator == "kvm"
    assert bench.started == 1


@pytest.mark.parametrize(
    ("script", "device", "reason"),
    [
        (HANGS, None, "did not come up under KVM"),
        (ABORTS, None, "failed to set MSR"),
        (COMES_UP, Path("/nonexistent/kvm"), "has no /nonexistent/kvm"),
    ],
)
def test_kvm_that_is_asked_for_and_does_not_work_is_named(
    bench: Bench, script: str, device: Path | None, reason: str
) -> None:
    bench.qemu(script)
    host = replace(bench.host, device=device or bench.host.device)
    with pytest.raises(NoAcceleration, match="OSQUAL_ACCELERATION") as caught:
        probe(asking_for(bench, "kvm"), Cancellation(), host=host)
    assert reason in caught.value.details
    assert "auto" in caught.value.resolution


def test_nothing_is_started_where_that_is_not_wanted(bench: Bench) -> None:
    bench.qemu(COMES_UP)
    look = bench.settings, Cancellation()
    assert probe(*look, host=bench.host, may_boot=False).accelerator == "tcg"
    assert bench.started == 0
    bench.probe()
    assert probe(*look, host=bench.host, may_boot=False).accelerator == "kvm"
    assert bench.started == 1


def test_without_any_kernel_the_answer_is_safe_and_not_kept(bench: Bench) -> None:
    bench.qemu(COMES_UP)
    empty = replace(bench.host, boot_directory=Path("/nonexistent"))
    chosen = bench.probe(empty)
    assert chosen.accelerator == "tcg"
    assert "no kernel" in chosen.reason
    bases = bench.settings.directories.cache / "bases"
    bases.mkdir(parents=True)
    (bases / "abc.kernel").write_bytes(b"kernel")
    chosen = bench.probe(empty)
    assert chosen.accelerator == "kvm"
    assert "the kernel of a base image" in chosen.reason


def test_a_fetched_image_serves_where_there_is_no_kernel(bench: Bench) -> None:
    bench.qemu("printf 'Linux version 5\\n' > $console; exec sleep 1000")
    bases = bench.settings.directories.cache / "bases"
    bases.mkdir(parents=True)
    (bases / "abc.qcow2").write_bytes(b"disk")
    chosen = bench.probe(replace(bench.host, boot_directory=Path("/nonexistent")))
    assert chosen.accelerator == "kvm"
    assert "abc.qcow2" in chosen.reason


def test_a_missing_qemu_is_named(bench: Bench) -> None:
    with pytest.raises(MissingProgram):
        bench.probe()


def test_cancelling_ends_the_trial(bench: Bench, tmp_path: Path) -> None:
    bench.qemu(f"echo $$ > {tmp_path}/pid; {HANGS}")
    cancellation = Cancellation()

    def cancel() -> None:
        while not bench.started:
            time.sleep(0.01)
        cancellation.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Interrupted):
        probe(bench.settings, cancellation, host=replace(bench.host, kernel_limit_s=60.0))
    thread.join()
    assert process_start(int((tmp_path / "pid").read_text())) is None
    assert not (bench.settings.directories.cache / "acceleration.json").exists()


def test_the_initrd_is_an_archive_with_one_program() -> None:
    archive = tiny_initrd()
    assert len(archive) % 4 == 0
    assert archive.startswith(b"070701")
    assert b"TRAILER!!!" in archive
    program = archive[archive.index(b"\x7fELF") :]
    entry, *_ = struct.unpack_from("<Q", program, 24)
    _, _, _, address, _, size = struct.unpack_from("<IIQQQQ", program, 64)
    assert program[entry - address :].startswith(b"\xb8\x01\x00\x00\x00")
    assert MARKER in program[:size]
