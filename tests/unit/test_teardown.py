"""Ending resources by their rows alone: real processes and files, and rows that are damaged."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from osqual.effects.scope import RunScope
from osqual.errors import CleanupIncomplete, InfrastructureError, Interrupted
from osqual.pipeline.steps import end_everything
from osqual.processes.job import Job, JobState
from osqual.processes.process import write_atomic
from osqual.processes.running import marked_processes, process_start
from osqual.run.parts import Parts
from osqual.store.database import Row
from osqual.teardown import (
    LOCAL_KINDS,
    ResourceKind,
    end_resources,
    in_order,
    is_there,
    set_aside,
    short_lived,
)
from tests.fakes import FakePlatform
from tests.scopes import Surroundings


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    (tmp_path / "run").mkdir()
    return Surroundings(tmp_path / "run")


def sleeping(directory: Path, seconds: int = 1000) -> Job:
    return Job.start(directory, ["sleep", str(seconds)])


def end(around: Surroundings) -> None:
    end_resources(around.scope, LOCAL_KINDS)


def test_what_runs_is_ended_before_what_it_uses(around: Surroundings) -> None:
    for kind in ("disk", "key", "vm", "port", "job", "sockets"):
        around.scope.own(kind, kind, path="/nowhere", directory="/nowhere")
    ended = [row["kind"] for row in in_order(around.journal.unended(), LOCAL_KINDS)]
    assert ended == ["job", "vm", "sockets", "disk", "key", "port"]


def test_jobs_and_files_are_ended_from_their_rows_alone(around: Surroundings) -> None:
    job = sleeping(around.directory / "job")
    (around.directory / "seed").mkdir()
    (around.directory / "seed" / "key").write_text("secret")
    around.scope.own("key", "seed", path=str(around.directory / "seed"))
    around.scope.own("job", "suite", directory=str(job.directory))
    (row,) = [row for row in around.journal.unended() if row["kind"] == "job"]
    assert is_there(row, LOCAL_KINDS)
    end(around)
    assert not is_there(row, LOCAL_KINDS)
    assert job.state() is not JobState.RUNNING
    assert not (around.directory / "seed").exists()
    assert around.journal.unended() == []
    end(around)


@pytest.mark.parametrize("record", [None, "", "{", '{"pid": "x"}', '{"pid": 1}'])
def test_a_job_whose_record_is_missing_or_cut_off_is_found_all_the_same(
    around: Surroundings, record: str | None
) -> None:
    job = sleeping(around.directory / "job")
    path, pid = job.directory / "job.json", job.pid
    path.unlink()
    if record is not None:
        path.write_text(record)
    later = Job(job.directory)
    assert later.state() is JobState.RUNNING
    assert later.pid == pid
    around.scope.own("job", "suite", directory=str(job.directory))
    end(around)
    assert later.state() is not JobState.RUNNING


def test_what_left_the_jobs_session_is_ended_with_it(around: Surroundings) -> None:
    argv = ["sh", "-c", "setsid sleep 1000 & echo started; sleep 1000"]
    job = Job.start(around.directory / "job", argv)
    while "started" not in job.stdout.read_text():
        time.sleep(0.02)
    around.scope.own("job", "suite", directory=str(job.directory))
    end(around)
    assert list(marked_processes(job.directory)) == []


def test_a_command_whose_shim_was_killed_alone_is_still_seen_and_ended(tmp_path: Path) -> None:
    job = sleeping(tmp_path / "job")
    while not any("sleep" in process.command[0] for process in marked_processes(job.directory)):
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGKILL)
    assert job.state() is JobState.RUNNING
    job.end(grace_s=1)
    assert job.state() is JobState.LOST
    assert list(marked_processes(job.directory)) == []


def test_a_pid_that_is_a_strangers_now_is_left_alone(around: Surroundings) -> None:
    job = Job.start(around.directory / "job", ["true"])
    while job.state() is JobState.RUNNING:
        time.sleep(0.02)
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
        record = f'{{"pid": {stranger.pid}, "start": "another boot:1"}}'
        (job.directory / "job.json").write_text(record)
        around.scope.own("job", "old", directory=str(job.directory))
        end(around)
        assert process_start(stranger.pid) is not None
        stranger.kill()


def test_it_goes_on_past_failures_and_names_what_is_left(around: Surroundings) -> None:
    (around.directory / "file").write_text("x")
    around.scope.own("file", "below a file", path=str(around.directory / "file" / "x"))
    around.scope.own("file", "good", path=str(around.directory / "file"))
    around.scope.own("file", "damaged row")
    with pytest.raises(CleanupIncomplete) as caught:
        end(around)
    assert not (around.directory / "file").exists()
    assert "damaged row" in caught.value.details
    assert {row["name"] for row in around.journal.unended()} <= {"below a file", "damaged row"}


def test_what_is_still_there_afterwards_stays_open(around: Surroundings) -> None:
    def nothing(*_: Any) -> None:
        pass

    around.scope.own("stubborn", "thing")
    kinds = {"stubborn": ResourceKind(is_there=lambda row: True, end=nothing)}
    with pytest.raises(CleanupIncomplete, match="1 resources"):
        end_resources(around.scope, kinds)
    assert len(around.journal.unended()) == 1


def test_files_are_removed_also_when_the_time_is_over(around: Surroundings) -> None:
    key = around.directory / "key"
    key.write_text("secret")
    around.scope.own("key", "ssh keys", path=str(key))
    around.scope.own("cluster", "of machines")
    waits = ResourceKind(is_there=lambda row: True, end=lambda row, scope: None)
    scope = around.scope.limited(10, "the step destroy")
    around.clock.ahead_s = 11
    with pytest.raises(CleanupIncomplete, match="1 resources") as caught:
        end_resources(scope, {"cluster": waits, **LOCAL_KINDS})
    assert not key.exists()
    assert "cluster of machines: Time limit exceeded" in caught.value.details


def test_an_abandoned_clean_up_stops_at_once_and_the_rest_stays_recorded(
    around: Surroundings,
) -> None:
    argv = ["bash", "-c", "trap '' INT TERM; while :; do sleep 0.1; done"]
    job = Job.start(around.directory / "job", argv)
    around.scope.own("job", "stubborn", directory=str(job.directory))
    around.cancellation.cancel()
    around.cancellation.cancel()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        end_resources(around.scope.shielded(600, "clean-up"), LOCAL_KINDS)
    assert time.monotonic() - began < 2
    assert len(around.journal.unended()) == 1
    job.end(grace_s=0.1)


def test_an_interrupted_write_leaves_no_temporary_file(around: Surroundings) -> None:
    target = around.directory / "dcos_images.yaml"
    write_atomic(target, "whole")
    (around.directory / ".dcos_images.yaml.123.tmp").write_text("ha")
    (around.directory / ".other.yaml.123.tmp").write_text("not ours")
    around.scope.own("publication", "images", path=str(target))
    end(around)
    assert sorted(path.name for path in around.directory.iterdir()) == [
        ".other.yaml.123.tmp",
        "dcos_images.yaml",
    ]


def test_short_lived_files_are_gone_however_the_body_ends(around: Surroundings) -> None:
    path = around.directory / "seed"

    def fail() -> None:
        with short_lived("key", "seed", path, around.scope):
            path.mkdir()
            (path / "key").write_text("secret")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not path.exists()
    assert around.journal.unended() == []


def test_evidence_of_earlier_attempts_is_set_aside_by_number(tmp_path: Path) -> None:
    set_aside(tmp_path / "build")
    for number in (1, 2):
        (tmp_path / "build").mkdir()
        set_aside(tmp_path / "build")
        assert (tmp_path / f"build-{number}").is_dir()


def test_whatever_is_left_is_named_with_the_first_reason_for_that(
    around: Surroundings,
) -> None:
    def no_answer(row: Row, scope: RunScope) -> None:
        raise InfrastructureError("The cloud does not answer.")

    platform = FakePlatform(leaks=True, running={"master-1"})
    cloud = ResourceKind(is_there=lambda row: True, end=no_answer)
    machine: Any = None  # nobody opens one
    parts = Parts(
        builders={},
        platforms={"qemu": platform},
        suite_kinds={},
        open_machine=machine,
        inspect_programs=lambda: (),
        kinds={"vm": ResourceKind(is_there=lambda row: True, end=no_answer), "cloud": cloud},
    )
    around.scope.own("vm", "master-1")
    around.scope.own("cloud", "build")
    with pytest.raises(CleanupIncomplete) as caught:
        end_everything(around.scope, parts)
    first, *_, last = caught.value.details.splitlines()
    assert first == "vm master-1: left"
    assert last == "cloud build"
