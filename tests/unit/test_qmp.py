import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from osqual.cancellation import Cancellation
from osqual.errors import Interrupted, TimeLimitExceeded
from osqual.qemu.qmp import QmpError, connect

GREETING = {
    "QMP": {
        "version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""},
        "capabilities": [],
    }
}


class Server(threading.Thread):
    """Speaks enough QMP: answers by a table, sends events, or hangs up."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.answers: dict[str, Any] = {"query-status": {"status": "running"}}
        self.seen: list[dict[str, Any]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), connection, connection.makefile("rwb") as stream:
                self.serve(stream)

    def serve(self, stream: Any) -> None:
        self.say(stream, GREETING)
        while request := self.hear(stream):
            self.seen.append(request)
            command = request["execute"]
            if command == "quit":
                return
            if command == "sleep":
                continue
            if command == "stop":
                self.say(
                    stream, {"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 1}}
                )
                self.say(stream, {"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 1}})
            if command in ("qmp_capabilities", "stop"):
                self.say(stream, {"return": {}, "id": request.get("id")})
            elif command in self.answers:
                self.say(stream, {"return": self.answers[command], "id": request["id"]})
            else:
                error = {"class": "CommandNotFound", "desc": "no such command"}
                self.say(stream, {"error": error, "id": request["id"]})

    @staticmethod
    def hear(stream: Any) -> dict[str, Any] | None:
        """One JSON object; the client ends them with nothing, as QEMU allows."""
        text = b""
        while byte := stream.read(1):
            text += byte
            with suppress(ValueError):
                heard: dict[str, Any] = json.loads(text)
                return heard
        return None

    @staticmethod
    def say(stream: Any, message: dict[str, Any]) -> None:
        if message.get("id", "") is None:
            del message["id"]
        stream.write(json.dumps(message).encode() + b"\r\n")
        stream.flush()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join(5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "qmp"


@pytest.fixture
def server(path: Path) -> Iterator[Server]:
    served = Server(path)
    served.start()
    yield served
    served.close()


def test_a_command_gives_its_value_and_takes_dashed_arguments(server: Server, path: Path) -> None:
    with connect(path, Cancellation()) as qmp:
        assert qmp.execute("query-status", node_name="disk0", x=1) == {"status": "running"}
    assert server.seen[-1]["arguments"] == {"node-name": "disk0", "x": 1}


def test_a_second_connection_follows_the_first(server: Server, path: Path) -> None:
    for _ in range(2):
        with connect(path, Cancellation()) as qmp:
            qmp.execute("query-status")


def test_a_refused_command_says_what_qemu_said(server: Server, path: Path) -> None:
    with (
        connect(path, Cancellation()) as qmp,
        pytest.raises(QmpError, match="QEMU refused frobnicate: no such command"),
    ):
        qmp.execute("frobnicate")


def test_an_event_that_came_before_the_answer_is_not_lost(server: Server, path: Path) -> None:
    with connect(path, Cancellation()) as qmp:
        qmp.execute("stop")
        assert qmp.wait_event({"STOP"}, 5)["event"] == "STOP"


def test_waiting_for_an_event_has_a_limit(server: Server, path: Path) -> None:
    with (
        connect(path, Cancellation()) as qmp,
        pytest.raises(TimeLimitExceeded, match="SHUTDOWN of QEMU"),
    ):
        qmp.wait_event({"SHUTDOWN"}, 0.2)


def test_a_lost_connection_is_told_for_commands_and_for_events(server: Server, path: Path) -> None:
    with connect(path, Cancellation()) as qmp, pytest.raises(QmpError, match="lost during quit"):
        qmp.execute("quit")
    with connect(path, Cancellation()) as qmp:
        with pytest.raises(QmpError, match="lost"):
            qmp.execute("quit")
        with pytest.raises(QmpError, match="closed the connection"):
            qmp.wait_event({"SHUTDOWN"}, 5)


def test_a_cancel_interrupts_a_command_without_an_answer(server: Server, path: Path) -> None:
    token = Cancellation()
    threading.Timer(0.2, token.cancel).start()
    started = time.monotonic()
    with connect(path, token) as qmp, pytest.raises(Interrupted):
        qmp.execute("sleep")
    assert time.monotonic() - started < 10


def test_nothing_listening_is_a_named_error(path: Path) -> None:
    with pytest.raises(QmpError, match="Cannot connect"), connect(path, Cancellation()):
        pass


def test_a_machine_that_talks_to_somebody_else_is_given_up_on_quietly(
    server: Server, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = Cancellation().limited(0.5, "the other one")
    with connect(path, Cancellation()), pytest.raises(TimeLimitExceeded), connect(path, token):
        pass
    assert not caplog.records
