"""The documentation as a site: it builds without a warning, every link leads somewhere, nothing is
asked of another host, and what is generated is what the code says.
"""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock

from osqual.cli.main import COMMANDS
from osqual.errors import ExitCode
from osqual.events import EventKind
from osqual.lint.registry import RULES

ROOT = Path(__file__).parents[2]
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page loads, links to, and can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.add(found.get("id", ""))
        if LOADED.get(tag, "") in found:
            self.loads.append(found[LOADED[tag]])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The site, as `script/docs` builds it: once, for all workers of a session."""
    own = tmp_path_factory.getbasetemp()
    out = (own if worker_id == "master" else own.parent) / "site"
    with FileLock(f"{out}.lock"):
        if not (out / "objects.inv").exists():  # the last that is written
            build(out)
    return out


def build(out: Path) -> None:
    argv = ["-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [sys.executable, *argv, str(ROOT / "docs"), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        (out / "objects.inv").unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_leads_to_a_page_and_a_heading_that_are_there(
    site: Path, built: dict[Path, Page]
) -> None:
    assert len(built) > 80
    for path, page in built.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert parts.scheme == "https", f"{path.name}: {link}"
                assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", parts.netloc), f"{path.name}: {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in built:
                assert unquote(parts.fragment) in built[target].anchors, f"{path.name}: {link}"


def test_nothing_is_loaded_from_another_host(site: Path, built: dict[Path, Page]) -> None:
    for path, page in built.items():
        assert page.loads
        for address in page.loads:
            assert not urlsplit(address).netloc, f"{path.name}: {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text()), style


def test_it_can_be_searched_without_a_server(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    assert index.startswith("Search.setIndex(")
    assert "qualif" in index


def test_the_reference_has_all_that_the_code_has(site: Path, built: dict[Path, Page]) -> None:
    reference = site / "reference"
    assert {f"osqual-{name}" for name in COMMANDS} <= built[reference / "commands.html"].anchors
    assert "osqual-site-build" in built[reference / "commands.html"].anchors
    text = (reference / "events.html").read_text()
    assert all(kind.value in text for kind in EventKind)
    codes = built[reference / "exit-codes.html"].anchors
    assert {"id1", "errors-by-exit-code"} & codes
    assert all(
        f"<td><p>{code.value}</p></td>" in (reference / "exit-codes.html").read_text()
        for code in ExitCode
    )
    assert all((reference / "lint" / f"{code}.html").exists() for code in RULES)
    files = (reference / "files.html").read_text()
    assert "policy.flaky.accept_below" in files
    assert "suites[].reruns" in files
