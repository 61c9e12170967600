"""Whether an installer is where the profile says: asked of a real server, without fetching it."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from osqual.events import EventKind
from osqual.products.definition import Product
from osqual.products.installer import InstallerMissing, check_installer
from tests.loopback import served
from tests.scopes import Surroundings

PRODUCT = Product(name="thing", directory=Path("/"), variables=("url",), installer="url")


class Handler(BaseHTTPRequestHandler):
    """Answers by the path: a status, or `head-N` for servers that refuse HEAD."""

    def do_HEAD(self) -> None:
        name = self.path.strip("/")
        self.send_response(405 if name.startswith("get-") else int(name))
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/").removeprefix("get-")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with served(Handler) as url:
        yield url


@pytest.mark.parametrize("path", ["200", "get-200", "get-206"])
def test_an_installer_that_answers_is_fine(server: str, path: str, tmp_path: Path) -> None:
    check_installer(PRODUCT, {"url": f"{server}/{path}"}, Surroundings(tmp_path).scope)


@pytest.mark.parametrize("path", ["404", "500", "get-404"])
def test_an_installer_that_is_not_there_is_named(server: str, path: str, tmp_path: Path) -> None:
    with pytest.raises(InstallerMissing, match="answers with status"):
        check_installer(PRODUCT, {"url": f"{server}/{path}"}, Surroundings(tmp_path).scope)


def test_a_profile_without_the_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstallerMissing, match="does not set url"):
        check_installer(PRODUCT, {}, Surroundings(tmp_path).scope)


def test_a_server_out_of_reach_from_here_is_a_warning(tmp_path: Path) -> None:
    around = Surroundings(tmp_path)
    check_installer(PRODUCT, {"url": "http://127.0.0.1:1/x"}, around.scope)
    assert "could not be asked for from here" in around.said(EventKind.WARNING)[0].message
