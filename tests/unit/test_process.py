import threading
import time
from pathlib import Path
from typing import Any

import pytest

from osqual.cancellation import Cancellation
from osqual.errors import CommandFailed, Interrupted, MissingProgram, TimeLimitExceeded
from osqual.processes.process import find_program, run, write_atomic


def test_output_and_status_come_back() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.exit_status, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_arguments_are_never_parsed_by_a_shell() -> None:
    assert run(["printf", "%s", "$(id) ; 'x"]).stdout == "$(id) ; 'x"


def test_a_failure_shows_a_command_that_can_be_pasted_and_the_last_lines() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo the reason >&2; exit 9"])
    assert caught.value.exit_status == 9
    assert "sh -c 'echo the reason >&2; exit 9'" in caught.value.details
    assert "the reason" in caught.value.details


def test_a_missing_program_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingProgram, match="apt-get install qemu-utils"):
        find_program("qemu-img")


def test_a_time_limit_ends_the_whole_session() -> None:
    with pytest.raises(TimeLimitExceeded, match="sleep 61"):
        run(["sh", "-c", "sleep 61 & wait"], timeout_s=0.3)


def test_large_input_and_output_do_not_block() -> None:
    text = "x" * 1_000_000
    assert run(["cat"], stdin=text).stdout == text


def test_a_cancel_from_another_thread_interrupts_a_command() -> None:
    token = Cancellation()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(Interrupted):
        run(["sleep", "60"], cancellation=token)


def test_lines_are_handed_over_while_the_command_still_runs() -> None:
    seen: list[tuple[str, float]] = []
    script = "echo one; echo two >&2; sleep 0.6; printf three"
    done = run(["sh", "-c", script], on_line=lambda line: seen.append((line, time.monotonic())))
    assert [line for line, _ in seen] == ["one", "two", "three"]
    assert seen[2][1] - seen[0][1] > 0.3
    assert done.stdout == "one\ntwo\nthree"


def test_a_streaming_command_is_ended_when_its_reader_fails() -> None:
    def refuse(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="one"):
        run(["sh", "-c", "echo one; exec sleep 100"], on_line=refuse)


def test_a_streaming_command_is_ended_at_its_time_limit() -> None:
    with pytest.raises(TimeLimitExceeded):
        run(["sh", "-c", "echo one; exec sleep 100"], on_line=print, timeout_s=0.5)


def test_files_can_stand_in_for_input_and_output(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(range(256)))
    run(["cat"], stdin=tmp_path / "in", stdout=tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("on_line", [None, lambda line: None])
def test_a_stop_does_not_wait_for_others_that_hold_the_output_open(on_line: Any) -> None:
    # setsid leaves the session that is ended, and keeps the pipe, as the ssh master does.
    script = "setsid sleep 20 & echo started; sleep 60"
    started = time.monotonic()
    with pytest.raises(TimeLimitExceeded):
        run(["sh", "-c", script], timeout_s=0.5, on_line=on_line)
    assert time.monotonic() - started < 15


def test_an_atomic_write_leaves_the_old_content_when_it_fails(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, "old")
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError):
        write_atomic(tmp_path / "directory", "new")
    assert target.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["directory", "file"]
