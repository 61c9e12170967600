"""`osqual serve` without a browser: who may look, who may act, what is streamed."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette

from osqual.cli.serve import token_for
from osqual.errors import UsageError
from osqual.serve.access import COOKIE, SESSION_S, Access, is_loopback, own_token
from osqual.serve.actions import Actions
from osqual.serve.app import Server
from osqual.serve.live_site import LiveSite
from osqual.serve.server import Serving
from osqual.serve.tails import EventLines, Tail, files_of
from osqual.settings import Settings
from osqual.store.lock import orchestrator_lock
from tests.fixtures.command import osqual
from tests.fixtures.serving import RUNNING, TOKEN, Served, made_served

HERE = {"sec-fetch-site": "same-origin"}


@dataclass(frozen=True)
class InProcess(httpx.BaseTransport):
    """Hands requests to the application itself."""

    app: Starlette

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await httpx.ASGITransport(self.app).handle_async_request(request)
            content = b"".join([chunk async for chunk in answer.aiter_raw()])
            return httpx.Response(answer.status_code, headers=answer.headers, content=content)

        return anyio.run(ask)


@dataclass
class House:
    """A server, without a network."""

    served: Served
    site: LiveSite
    actions: Actions
    now: float = 1000.0

    def client(self, **changes: Any) -> httpx.Client:
        values = {"token": TOKEN, "open_to_read": True, "clock": lambda: self.now, **changes}
        server = Server(access=Access(**values), site=self.site, actions=self.actions)
        return httpx.Client(
            transport=InProcess(server.application()), base_url="http://localhost:8765"
        )

    def signed_in(self, **changes: Any) -> httpx.Client:
        client = self.client(**changes)
        done = client.post("/sign-in", data={"token": TOKEN}, headers=HERE)
        assert done.status_code == 303
        return client


@pytest.fixture(scope="module")
def _house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("serve")
    served = made_served(directory)
    store = served.store()
    site = LiveSite(
        catalogue=served.catalogue.resolve(),
        store=store,
        title="served",
        directory=directory / "sites",
        only_here=True,
    )
    site.build()
    settings = Settings.model_validate({"directories": {"state": str(served.state)}})
    yield House(served, site, Actions(store=store, settings=settings))
    store.close()


@pytest.fixture
def house(_house: House) -> House:
    _house.now = 1000.0
    _house.actions.command = (sys.executable, "-m", "osqual")
    return _house


def events(text: str) -> list[tuple[str, Any]]:
    """A stream that has ended, as a browser reads it."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_pages_are_those_of_the_site_with_what_is_live(house: House) -> None:
    answer = house.client().get("/")
    assert answer.status_code == 200
    assert 'src="assets/js/live.js"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert house.client().get("/running.html").status_code == 200
    data = house.client().get("/data/catalogue.js")
    assert data.headers["content-type"].startswith("text/javascript")
    assert house.served.paths[0] in data.text


@pytest.mark.parametrize(
    "path", ["/../store.db", "/%2e%2e/%2e%2e/state/store.db", "//etc/passwd", "/data", "/x.html"]
)
def test_nothing_but_the_site_is_given_away(house: House, path: str) -> None:
    assert house.client().get(path).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:8765"}, 403),
        ({"host": "127.0.0.1:8765"}, 200),
        ({"host": "[::1]:8765"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, 403),
        (
            {
                "sec-fetch-site": "cross-site",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "document",
            },
            200,
        ),
        (
            {
                "sec-fetch-site": "cross-site",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "iframe",
            },
            403,
        ),
    ],
)
def test_other_names_and_pages_of_other_sites_get_nothing(
    house: House, headers: Mapping[str, str], status: int
) -> None:
    answer = house.client().get("/data/catalogue.js", headers=headers)
    assert answer.status_code == status
    assert (house.served.paths[0] in answer.text) == (status == 200)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:9999"},
        {"origin": "http://localhost:8765", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "none"},
    ],
)
def test_no_other_page_can_act_in_the_name_of_who_has_signed_in(
    house: House, headers: Mapping[str, str]
) -> None:
    before = house.actions.store.cancels(RUNNING)
    answer = house.signed_in().post(f"/live/runs/{RUNNING}/cancel", headers=headers)
    assert answer.status_code == 403
    assert house.actions.store.cancels(RUNNING) == before


def test_who_has_not_signed_in_looks_and_does_not_act(house: House) -> None:
    client = house.client()
    assert client.get("/live/me").json() == {"signedIn": False}
    before = house.actions.store.cancels(RUNNING)
    assert client.post(f"/live/runs/{RUNNING}/cancel", headers=HERE).status_code == 401
    assert client.post(f"/live/runs/{house.served.ended}/rerun", headers=HERE).status_code == 401
    assert house.actions.store.cancels(RUNNING) == before


def test_the_token_is_asked_for_in_a_form_and_remembered_by_a_cookie(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osqual.serve.app.WRONG_TOKEN_S", 0.0)
    client = house.client()
    assert 'type="password"' in client.get("/sign-in?next=/run.html").text
    wrong = client.post("/sign-in", data={"token": TOKEN + "x"}, headers=HERE)
    assert wrong.status_code == 403
    assert "set-cookie" not in wrong.headers
    assert TOKEN not in wrong.text
    right = client.post("/sign-in?next=/run.html", data={"token": TOKEN}, headers=HERE)
    assert (right.status_code, right.headers["location"]) == (303, "/run.html")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/live/me").json() == {"signedIn": True}
    client.post("/sign-out", headers=HERE)
    client.cookies.set(COOKIE, right.cookies[COOKIE])
    assert client.get("/live/me").json() == {"signedIn": False}


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/../x", "a.html"])
def test_signing_in_leads_to_no_other_site(house: House, target: str) -> None:
    done = house.client().post(
        "/sign-in", params={"next": target}, data={"token": TOKEN}, headers=HERE
    )
    assert done.headers["location"] == "/"


def test_a_session_ends_after_a_while(house: House) -> None:
    client = house.signed_in()
    house.now += SESSION_S + 1
    assert client.get("/live/me").json() == {"signedIn": False}


def test_a_form_that_has_no_end_is_not_read(house: House) -> None:
    assert house.client().post("/sign-in", content=b"x" * 5000, headers=HERE).status_code == 413


def test_where_others_reach_it_nothing_is_shown_before_signing_in(house: House) -> None:
    changes: dict[str, Any] = {"open_to_read": False, "names": ("localhost",), "secure": True}
    client = house.client(**changes)
    page = client.get("/run.html")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/run.html")
    for path in ("/data/catalogue.js", "/live/runs", "/live/me"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert house.served.paths[0] not in answer.text
    assert client.get("/assets/css/base.css").status_code == 200
    done = client.post("/sign-in", data={"token": TOKEN}, headers=HERE)
    assert "secure" in done.headers["set-cookie"].lower()


def test_a_run_is_asked_to_stop_as_by_the_command(house: House) -> None:
    client, store = house.signed_in(), house.actions.store
    before = store.cancels(RUNNING)
    assert client.post(f"/live/runs/{RUNNING}/cancel", headers=HERE).status_code == 202
    assert store.cancels(RUNNING) == before + 1
    over = client.post(f"/live/runs/{house.served.ended}/cancel", headers=HERE)
    assert over.status_code == 409
    assert "does not run" in over.json()["error"]
    assert client.post("/live/runs/nothing/cancel", headers=HERE).status_code == 404


def test_a_run_is_not_begun_while_another_osqual_is_at_work(house: House) -> None:
    with orchestrator_lock(house.served.state, "the tests"):
        answer = house.signed_in().post(f"/live/runs/{house.served.ended}/rerun", headers=HERE)
    assert answer.status_code == 409
    assert "the tests" in answer.json()["error"]


def test_a_run_that_cannot_begin_says_why(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSQUAL_STATE_DIR", str(house.served.state / "elsewhere"))
    monkeypatch.setenv("OSQUAL_SERVE_TOKEN", TOKEN)
    answer = house.signed_in().post(f"/live/runs/{house.served.ended}/rerun", headers=HERE)
    assert answer.status_code == 503
    assert "No run matches" in answer.json()["error"]


def test_a_new_process_does_not_inherit_the_token(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSQUAL_SERVE_TOKEN", TOKEN)
    house.actions.command = (
        sys.executable,
        "-c",
        "import os, sys; sys.exit(str(dict(os.environ)))",
    )
    answer = house.signed_in().post(f"/live/runs/{house.served.ended}/rerun", headers=HERE)
    assert answer.status_code == 503
    assert "PATH" in answer.json()["error"]
    assert TOKEN not in answer.json()["error"]


def test_the_stream_of_a_run_that_has_ended_ends(house: House) -> None:
    run = house.served.ended
    told = events(house.client().get(f"/live/runs/{run}").text)
    assert [name for name, _ in told] == ["run", "end"]
    assert told[0][1]["state"] == "q"
    assert [step["status"] for step in told[0][1]["steps"]] == ["done"] * 8
    assert house.client().get(f"/live/runs/{run[:-3]}").status_code == 404


@pytest.mark.parametrize("name", ["../../store.db", "events.jsonl", "/etc/passwd", ""])
def test_only_logs_of_a_run_are_streamed(house: House, name: str) -> None:
    answer = house.client().get(f"/live/runs/{RUNNING}/file", params={"name": name})
    assert answer.status_code == 404


def test_a_link_out_of_the_run_directory_is_no_log_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret.log").write_text("secret")
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "own.log").write_text("own")
    (directory / "other.log").symlink_to(tmp_path / "secret.log")
    assert files_of(directory) == ["own.log"]


def test_a_file_is_followed_by_whole_lines_and_its_open_end_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    tail = Tail(path=path)
    assert tail.read() == ""
    path.write_text("one\ntw")
    assert tail.read() == "one\n"
    with path.open("a") as stream:
        stream.write("o\nlogin: ")
    assert tail.read() == "two\n"
    assert tail.read() == "login: "
    assert tail.read() == ""
    path.write_text("new\n")
    assert tail.read() == "new\n"


def test_of_a_long_file_the_end_is_shown_from_the_beginning_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_text("a line of a console\n" * 500_000)
    text = Tail(path=path).read()
    assert 60_000 < len(text) < 70_000
    assert text.startswith("a line of")


def test_events_become_lines_without_what_acts_on_a_reader(house: House) -> None:
    house.served.say("hostile \x1b[31mred \u202eevil")
    lines = EventLines(directory=house.served.directory, started_at=0.0)
    text = "\n".join(lines.read())
    assert "the base image is there" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    house.served.say("one more")
    later = EventLines(directory=house.served.directory, started_at=0.0, offset=lines.offset)
    (line,) = later.read()
    assert line.endswith("one more")


def test_pages_are_made_anew_when_a_run_begins_and_only_then(house: House) -> None:
    assert not house.site.refresh()
    store = house.actions.store
    number = house.site.number
    store.begin_run(
        "20261130-230000-second",
        configuration=house.served.paths[3],
        catalogue=house.served.catalogue.resolve(),
        directory=house.served.state / "runs" / "second",
        options={},
        owner="1:0@elsewhere",
        version="0.1.0",
        step_names=("validate",),
    )
    assert house.site.refresh()
    assert house.site.number == number + 1
    assert "20261130-230000-second" in house.client().get("/data/runs.js").text


def test_a_commit_makes_them_anew_wherever_git_begins(house: House, tmp_path: Path) -> None:
    root = tmp_path / "repository" / "images"
    shutil.copytree(house.served.catalogue, root)

    def commit() -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        command = ("git", *identity, "commit", "--quiet", "--allow-empty", "--message=more")
        subprocess.run(command, cwd=root, check=True)

    subprocess.run(("git", "init", "--quiet", ".."), cwd=root, check=True)
    commit()
    site = LiveSite(
        catalogue=root,
        store=house.actions.store,
        title="inside",
        directory=tmp_path / "sites",
        only_here=True,
    )
    site.build()
    assert not site.refresh()
    commit()
    assert site.refresh()


def test_a_broken_catalogue_leaves_the_pages_as_they_were(house: House) -> None:
    said: list[str] = []
    house.site.say = said.append
    settings = house.served.catalogue / "osqual.yaml"
    settings.write_text("layout: 7\n")
    number = house.site.number
    assert not house.site.refresh()
    assert not house.site.refresh()
    assert len(said) == 1
    assert "osqual.yaml" in house.site.problem
    assert house.site.number == number
    settings.unlink()
    assert house.site.refresh()
    assert house.site.problem == ""


def test_the_token_of_this_machines_user_is_made_once_and_only_theirs(tmp_path: Path) -> None:
    path = tmp_path / "serve" / "token"
    token = own_token(path)
    assert len(token) > 30
    assert own_token(path) == token
    assert path.stat().st_mode & 0o077 == 0


def test_other_addresses_need_a_token_that_somebody_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OSQUAL_SERVE_TOKEN", raising=False)
    own = tmp_path / "own"
    with pytest.raises(UsageError, match="needs a token"):
        token_for("0.0.0.0", None, own)
    assert not own.exists()
    assert token_for("127.0.0.1", None, own) == own.read_text().strip()
    chosen = tmp_path / "chosen"
    chosen.write_text(f"{TOKEN}\n")
    assert token_for("0.0.0.0", chosen, own) == TOKEN
    monkeypatch.setenv("OSQUAL_SERVE_TOKEN", "too short")
    with pytest.raises(UsageError, match="shorter"):
        token_for("0.0.0.0", None, own)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("images.example.org", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("host", "names", "certificate", "free", "asked", "status"),
    [
        ("127.0.0.1", (), None, True, "localhost", 200),
        ("127.0.0.1", ("images.example.org",), None, False, "images.example.org", 303),
        ("0.0.0.0", ("images.example.org",), Path("c.pem"), False, "images.example.org", 303),
        ("192.0.2.1", (), None, False, "192.0.2.1:8765", 303),
        ("192.0.2.1", (), None, False, "localhost", 403),
    ],
)
def test_where_it_listens_decides_what_is_shown_to_whom(
    house: House,
    host: str,
    names: tuple[str, ...],
    certificate: Path | None,
    free: bool,
    asked: str,
    status: int,
) -> None:
    wanted = Serving(
        catalogue=house.served.catalogue,
        settings=house.actions.settings,
        store=house.actions.store,
        title="",
        host=host,
        port=0,
        token=TOKEN,
        names=names,
        certificate=certificate,
    )
    access = wanted.access()
    assert (access.open_to_read, access.secure) == (free, certificate is not None)
    server = Server(access=access, site=house.site, actions=house.actions)
    client = httpx.Client(transport=InProcess(server.application()), base_url="http://x")
    assert client.get("/index.html", headers={"host": asked}).status_code == status


def test_a_port_that_is_taken_and_a_key_without_a_certificate_are_said(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OSQUAL_STATE_DIR", str(house.served.state))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert osqual("serve", "-C", str(house.served.catalogue), "--port", port) == 2
    assert f"port {port}" in capsys.readouterr().err
    assert osqual("serve", "-C", str(house.served.catalogue), "--key", "k.pem") == 2
    assert "both" in capsys.readouterr().err
    assert osqual("serve", "-C", str(house.served.catalogue), "--bind", "0.0.0.0") == 2
    assert "needs a token" in capsys.readouterr().err
