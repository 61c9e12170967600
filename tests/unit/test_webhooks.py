"""Who is told of a verdict: only when it is not what it was, and never at the cost of the run."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from osqual.errors import ExitCode
from osqual.events import EventKind
from osqual.forge.webhooks import Change, body_of
from osqual.settings import Retries, Webhook
from tests.unit.test_workflow import LEAF, World


class Listener:
    """A server that keeps what it is sent, and answers as it is told."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.answers: list[int] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None:
                pass

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                status = listener.answers.pop(0) if listener.answers else 200
                if status == 200:
                    listener.received.append(json.loads(raw))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"ok")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/T0/secret-path"


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()
    thread.join()


@pytest.fixture
def world(tmp_path: Path, listener: Listener) -> World:
    world = World(tmp_path)
    changed = {
        "notify": (Webhook(variable="HOOK_URL"),),
        "retries": Retries(attempts=2, first_wait_s=0.01),
    }
    world.settings = world.settings.model_copy(update=changed)
    world.environ = {"HOOK_URL": listener.url}
    return world


def test_only_changes_are_told(world: World, listener: Listener) -> None:
    world.run()
    world.run()
    world.suites.failing.add("integration")
    world.run(keywords=("test_it",))
    world.run(publish="none")
    assert [(one["before"], one["verdict"]) for one in listener.received] == [("", "qualified")]
    world.run()
    told = listener.received[-1]
    assert (told["before"], told["verdict"]) == ("qualified", "rejected")
    assert (told["event"], told["configuration"]) == ("verdict.changed", LEAF)


def test_what_may_pass_is_tried_again(world: World, listener: Listener) -> None:
    listener.answers = [503]
    world.run()
    assert len(listener.received) == 1


def test_a_webhook_that_fails_is_a_warning_without_its_url(
    world: World, listener: Listener
) -> None:
    listener.answers = [404]
    assert world.run().exit_code is ExitCode.OK
    (warning,) = [event for event in world.events if event.kind is EventKind.WARNING]
    assert "404" in warning.message
    assert "secret-path" not in str(world.events)
    world.environ = {}
    world.suites.failing.add("integration")
    assert world.run().exit_code is ExitCode.REJECTED
    assert "$HOOK_URL is not set" in str(world.events)


def test_slack_gets_text_in_which_nothing_is_a_mention() -> None:
    change = Change(
        configuration="a/<!channel>",
        before="qualified",
        verdict="rejected",
        run="r1",
        reasons=("1 test failed: <@U1> & more",),
        url="https://ci.example/1",
    )
    (text,) = body_of(change, "slack").values()
    assert "<!channel>" not in text
    assert "<@U1>" not in text
    assert "<https://ci.example/1|r1>" in text
    assert "(was qualified)" in text


@pytest.mark.parametrize(
    "facts", [{}, {"url": "https://x", "variable": "X"}, {"url": "ftp://x"}, {"shape": "xml"}]
)
def test_a_webhook_has_one_place(facts: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Webhook.model_validate(facts)
