"""Long children: found again by another process, ended politely, never mistaken for others."""

import os
import signal
import time
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.errors import Interrupted
from osqual.processes.job import Job, JobState
from osqual.processes.running import process_start


def test_a_job_records_its_end_on_disk(tmp_path: Path) -> None:
    job = Job.start(tmp_path / "job", ["sh", "-c", "echo hello; exit 7"])
    assert job.wait(Cancellation()) == 7
    again = Job(tmp_path / "job")
    assert again.state() is JobState.EXITED
    assert again.exit_status == 7
    assert again.stdout.read_text() == "hello\n"


def test_another_process_can_attach_to_a_running_job(tmp_path: Path) -> None:
    job = Job.start(tmp_path / "job", ["sleep", "60"])
    attached = Job(tmp_path / "job")
    assert attached.state() is JobState.RUNNING
    attached.end(grace_s=5)
    assert job.state() is not JobState.RUNNING


def test_interrupting_a_job_gives_it_time_to_clean_up(tmp_path: Path) -> None:
    script = "trap 'echo cleaned; exit 0' INT; echo ready; while :; do sleep 0.05; done"
    job = Job.start(tmp_path / "job", ["bash", "-c", script])
    while "ready" not in job.stdout.read_text():
        time.sleep(0.02)
    token = Cancellation()
    token.cancel()
    with pytest.raises(Interrupted):
        job.wait(token)
    assert "cleaned" in job.stdout.read_text()
    assert job.exit_status == 0


def test_a_job_that_ignores_every_polite_signal_is_killed(tmp_path: Path) -> None:
    job = Job.start(
        tmp_path / "job", ["bash", "-c", "trap '' INT TERM; echo on; sleep 60; sleep 60"]
    )
    while "on" not in job.stdout.read_text():
        time.sleep(0.02)
    job.end(grace_s=0.3)
    assert job.state() in (JobState.EXITED, JobState.LOST)


def test_a_job_killed_together_with_its_shim_is_lost_not_successful(tmp_path: Path) -> None:
    job = Job.start(tmp_path / "job", ["sleep", "60"])
    os.killpg(job.pid, signal.SIGKILL)
    assert job.wait(Cancellation()) == -1
    assert job.state() is JobState.LOST


def test_a_reused_pid_is_not_mistaken(tmp_path: Path) -> None:
    assert process_start(os.getpid()) != process_start(1)
    assert process_start(2**22 + 1) is None
