"""Fetching, against a real server on the loopback that misbehaves on demand."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from osqual.bases.cache import BaseCache
from osqual.bases.download import download
from osqual.bases.reference import DownloadReference, parse_reference
from osqual.bases.resolve import cached_base, resolve_base
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError, Interrupted, InvalidInput
from osqual.events import Event, EventKind
from osqual.processes.process import run
from osqual.settings import Directories, Settings
from tests.scopes import Surroundings


@dataclass
class Site:
    """A server's one file, and how it answers: each fault is used up by one request."""

    content: bytes
    url: str = ""
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    claimed_length: int | None = None
    asked: list[str] = field(default_factory=list)


def _handler(site: Site) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested = self.headers.get("Range", "") if site.ranges else ""
            site.asked.append(self.headers.get("Range", ""))
            if site.statuses:
                self.send_error(site.statuses.pop(0))
                return
            start = int(requested.removeprefix("bytes=").rstrip("-")) if requested else 0
            if start >= len(site.content):
                self.send_error(416)
                return
            body = site.content[start:]
            self.send_response(206 if requested else 200)
            self.send_header("Content-Length", str(site.claimed_length or len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # a cancelled client goes away
                self.wfile.write(body[: site.cut_after.pop(0)] if site.cut_after else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    disk = tmp_path / "published.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "16M"])
    run(["qemu-io", "-c", "write -P 7 0 3M", str(disk)])
    site = Site(content=disk.read_bytes())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(site)) as server:
        site.url = f"http://127.0.0.1:{server.server_port}/os.qcow2"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def scope(tmp_path: Path, events: list[Event]) -> RunScope:
    directories = Directories(state=tmp_path / "state", cache=tmp_path / "cache")
    surroundings = Surroundings(directory=tmp_path / "run", events=events)
    return replace(surroundings.scope, settings=Settings(directories=directories))


def reference(site: Site, digest: str = "") -> str:
    return f"{site.url}#sha256={digest or hashlib.sha256(site.content).hexdigest()}"


def fetch(site: Site, scope: RunScope) -> Path:
    """`download` alone, without the pauses between attempts."""
    parsed = parse_reference(reference(site), Path())
    assert isinstance(parsed, DownloadReference)
    cache = BaseCache(scope.settings.directories.cache)
    cache.prepare()
    return download(parsed, f"sha256={parsed.sha256}", cache, scope, pause_s=0).path


def test_fetches_once_and_then_uses_the_cache(
    site: Site, scope: RunScope, events: list[Event]
) -> None:
    text = reference(site)
    assert cached_base(text, relative_to=Path(), settings=scope.settings) is None
    image = resolve_base(text, relative_to=Path(), scope=scope)
    assert image.path.read_bytes() == site.content
    assert image.path.name == f"{image.digest}.qcow2"
    assert (image.kind, image.format, image.virtual_size) == ("download", "qcow2", 16 << 20)
    assert resolve_base(text, relative_to=Path(), scope=scope) == image
    assert cached_base(text, relative_to=Path(), settings=scope.settings) == image
    assert site.asked == [""]
    progress = [event.data for event in events if event.kind is EventKind.PROGRESS and event.data]
    assert progress[-1]["done"] == progress[-1]["total"] == len(site.content)


def test_goes_on_where_it_was_cut_off(site: Site, scope: RunScope) -> None:
    site.cut_after = [100_000, 200_000]
    assert fetch(site, scope).read_bytes() == site.content
    first, *continued = site.asked
    assert first == ""
    assert all(asked.startswith("bytes=") for asked in continued)


def test_a_server_without_ranges_starts_anew(site: Site, scope: RunScope) -> None:
    site.ranges = False
    site.cut_after = [100_000]
    assert fetch(site, scope).read_bytes() == site.content


def test_what_a_killed_process_left_is_continued(site: Site, scope: RunScope) -> None:
    cache = BaseCache(scope.settings.directories.cache)
    cache.prepare()
    key = f"sha256={hashlib.sha256(site.content).hexdigest()}"
    cache.partial(key).with_suffix(".part").write_bytes(site.content[:1000])
    assert fetch(site, scope).read_bytes() == site.content
    assert site.asked == ["bytes=1000-"]


@pytest.mark.parametrize("remains", [b"of another file", b"x" * 10_000_000])
def test_remains_that_do_not_fit_are_thrown_away(
    site: Site, scope: RunScope, remains: bytes
) -> None:
    cache = BaseCache(scope.settings.directories.cache)
    cache.prepare()
    key = f"sha256={hashlib.sha256(site.content).hexdigest()}"
    cache.partial(key).with_suffix(".part").write_bytes(remains)
    assert fetch(site, scope).read_bytes() == site.content


def test_wrong_checksum_leaves_nothing(site: Site, scope: RunScope) -> None:
    with pytest.raises(InvalidInput, match="checksum") as caught:
        resolve_base(reference(site, "0" * 64), relative_to=Path(), scope=scope)
    assert hashlib.sha256(site.content).hexdigest() in caught.value.details
    bases = scope.settings.directories.cache / "bases"
    assert [path for path in bases.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_busy_server_is_asked_again(site: Site, scope: RunScope) -> None:
    site.statuses = [503, 429]
    assert fetch(site, scope).read_bytes() == site.content


def test_gives_up_when_nothing_comes(site: Site, scope: RunScope) -> None:
    site.statuses = [503] * 100
    with pytest.raises(InfrastructureError, match="cannot be fetched") as caught:
        fetch(site, scope)
    assert "503" in caught.value.details
    assert len(site.asked) == 5


def test_a_missing_file_is_not_asked_for_again(site: Site, scope: RunScope) -> None:
    site.statuses = [404] * 100
    with pytest.raises(InfrastructureError, match="cannot be fetched") as caught:
        fetch(site, scope)
    assert "404" in caught.value.details
    assert len(site.asked) == 1


def test_a_file_that_rests_on_another_is_refused(
    site: Site, scope: RunScope, tmp_path: Path
) -> None:
    """Such an image would read whatever file of this machine it names."""
    overlay = tmp_path / "overlay.qcow2"
    argv = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow"]
    run([*argv, str(overlay), "1M"])
    site.content = overlay.read_bytes()
    with pytest.raises(InvalidInput, match="rests on another file"):
        resolve_base(reference(site), relative_to=Path(), scope=scope)


def test_cancelling_keeps_what_was_fetched(site: Site, scope: RunScope) -> None:
    scope.cancellation.cancel()
    with pytest.raises(Interrupted):
        fetch(site, scope)
    partial = scope.settings.directories.cache / "bases" / "partial"
    assert [path.suffix for path in partial.iterdir()] == [".part"]


def test_a_file_too_large_for_the_disk_is_not_begun(site: Site, scope: RunScope) -> None:
    site.claimed_length = 1 << 60
    with pytest.raises(InfrastructureError, match="Cannot write") as caught:
        fetch(site, scope)
    assert "are free" in caught.value.details
    assert "cache prune" in caught.value.resolution
