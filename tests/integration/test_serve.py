"""`osqual serve` in a real browser: what runs is seen as it goes on, and can be acted on."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fixtures.runs_synthetic import HOSTILE
from tests.fixtures.serving import RUNNING, TOKEN, Served, made_served, serving
from tests.integration.browsing import CONTRAST, Visitor, new_visitor

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return made_served(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    with serving(served) as address:
        yield address


@pytest.fixture
def visitor(browser: Browser, address: str) -> Iterator[Visitor]:
    with new_visitor(browser, address) as visitor:
        yield visitor


def sign_in(page: Page) -> None:
    page.get_by_role("link", name="Sign in to cancel and re-run").click()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.mark.parametrize("name", ["index", "runs", "tests", "images", "mutes", "durations"])
def test_each_page_opens_from_the_server(visitor: Visitor, name: str) -> None:
    page = visitor.open(name)
    expect(page.get_by_role("link", name="1 run going on")).to_be_visible()
    visitor.is_unhurt(page)


def test_what_runs_is_listed_with_its_steps(visitor: Visitor, served: Served) -> None:
    page = visitor.open("running")
    expect(page.get_by_role("status").filter(has_text="1 run not ended.")).to_be_visible()
    expect(page.get_by_text("… build running")).to_be_visible()
    visitor.is_content(page)
    page.get_by_role("link", name=served.running_path).click()
    expect(page.get_by_role("heading", name="Live")).to_be_visible()
    expect(page.get_by_role("heading", name=f"Run {RUNNING}")).to_be_visible()
    visitor.is_unhurt(page)


def test_log_and_console_of_a_run_grow_while_they_are_read(
    visitor: Visitor, served: Served
) -> None:
    page = visitor.open("run", c=served.running_path, run=RUNNING)
    log = page.get_by_label("log", exact=True)
    expect(log).to_contain_text("the base image is there")
    served.say(f"said just now {HOSTILE}")
    expect(log).to_contain_text("said just now <script>window.hurt=1</script>")
    page.get_by_label("Console or log").select_option("nodes/master-1/console.log")
    console = page.get_by_label("file", exact=True)
    expect(console).to_contain_text("booting <script>")
    with served.console.open("a") as stream:
        stream.write("login prompt\n")
    expect(console).to_contain_text("login prompt")
    store = served.store()
    store.end_step(RUNNING, "build", "done", "built")
    store.begin_step(RUNNING, "provision")
    store.close()
    expect(page.get_by_text("… provision running")).to_be_visible()
    assert "\x1b" not in log.inner_text()
    visitor.is_content(page)
    page.emulate_media(color_scheme="dark")
    visitor.is_content(page, CONTRAST)


def test_who_signs_in_cancels_a_run(visitor: Visitor, served: Served) -> None:
    page = visitor.open("run", c=served.running_path, run=RUNNING)
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_disabled()
    page.get_by_role("link", name="Sign in to cancel and re-run").click()
    visitor.is_content(page)
    page.get_by_label("Token").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    visitor.noticed.clear()  # the browser notes the status 403
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(cancel).to_be_enabled()
    assert RUNNING in page.url
    assert TOKEN not in page.url
    assert TOKEN not in page.evaluate("document.cookie")
    cancel.click()
    expect(page.get_by_text("Asked to stop; it ends what it has started.")).to_be_visible()
    expect(page.get_by_text(re.compile("asked to stop"))).to_be_visible()
    store = served.store()
    assert store.cancels(RUNNING) == 1
    store.close()
    visitor.is_content(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in to cancel and re-run")).to_be_visible()


def test_a_rerun_begins_a_run_of_its_own_on_the_image(visitor: Visitor, served: Served) -> None:
    """The image of a made-up run is nowhere: the new run says so, as `osqual rerun` would."""
    page = visitor.open("run", c=served.ended_path, run=served.ended)
    sign_in(page)
    page.get_by_role("button", name="Run again on this image").click()
    told = page.locator("#live [role=status]")
    expect(told).not_to_have_text("Asking …", timeout=90_000)
    assert "osqual rerun" in told.inner_text() or "It runs:" in told.inner_text()
    store = served.store()
    known = [row for row in store.runs() if row["configuration"] == served.ended_path]
    newest = known[0]
    store.close()
    assert newest["id"] != served.ended, told.inner_text()
    assert newest["options"]["image_of"] == served.ended
    assert newest["options"]["publish"] == "none"


def test_pages_of_other_sites_cannot_reach_it(
    browser: Browser, address: str, served: Served, tmp_path: Path
) -> None:
    """A page from elsewhere: it loads no data as a script, and it stops no run."""
    (tmp_path / "evil.html").write_text(
        "<!doctype html><script>seen = []; osqualData = name => seen.push(name)</script>"
        f'<script src="{address}/data/catalogue.js"></script>'
    )
    store = served.store()
    before = store.cancels(RUNNING)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto((tmp_path / "evil.html").as_uri())
        assert page.evaluate("window.seen") == []
        page.evaluate(
            "url => fetch(url, {method: 'POST', mode: 'no-cors'}).catch(() => 0)",
            f"{address}/live/runs/{RUNNING}/cancel",
        )
    assert store.cancels(RUNNING) == before
    store.close()


def test_a_page_says_when_there_is_something_newer(visitor: Visitor, served: Served) -> None:
    page = visitor.open("runs")
    expect(page.get_by_role("link", name="going on")).to_be_visible()
    store = served.store()
    store.begin_run(
        "20261130-235900-newer",
        configuration=served.paths[3],
        catalogue=served.catalogue.resolve(),
        directory=served.state / "runs" / "newer",
        options={},
        owner=f"1:0@elsewhere-{time.time_ns()}",
        version="0.1.0",
        step_names=("validate",),
    )
    store.close()
    newer = page.get_by_role("row").filter(has_text=served.paths[3])
    for _ in range(3):  # what ended just before may be new as well, and be there first
        if not newer.count():
            with page.expect_navigation():
                page.get_by_role("button", name="Show it").click()
            expect(page.get_by_role("table")).to_be_visible()
    expect(newer.first).to_be_visible()
    visitor.is_unhurt(page)
