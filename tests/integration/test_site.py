"""The site in a real browser, opened as files: every page, every way through it, nothing hurt."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from osqual.report.render import render_html
from osqual.report.run_report import read_report
from tests.fixtures.runs_synthetic import HOSTILE, make_runs
from tests.fixtures.site import data_of, made_site
from tests.integration.browsing import CONTRAST, Visitor, new_visitor

pytestmark = pytest.mark.browser
PAGES = ("index", "runs", "tests", "images", "mutes", "durations")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def bare_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a catalogue that was just cloned: no store anywhere."""
    return made_site(tmp_path_factory.mktemp("bare"), with_store=False)


@pytest.fixture
def visitor(browser: Browser, site: Path) -> Iterator[Visitor]:
    with new_visitor(browser, site.as_uri()) as visitor:
        yield visitor


def catalogue_of(site: Path) -> dict[str, Any]:
    found: dict[str, Any] = data_of(site, "catalogue")
    return found


def rejected_run(site: Path) -> dict[str, str]:
    """What a link to a run with a failing test names."""
    runs = data_of(site, "runs")
    run = next(run for run in runs if run["state"] == "r")
    path = catalogue_of(site)["paths"][run["configuration"]]
    return {"c": path, "run": run["id"]}


@pytest.mark.parametrize("name", PAGES)
def test_each_page_opens_from_a_file_and_is_accessible(visitor: Visitor, name: str) -> None:
    page = visitor.open(name)
    expect(page.locator("h1")).to_be_visible()
    assert page.locator("#view").inner_text().strip()
    visitor.is_content(page)
    page.emulate_media(color_scheme="dark")
    visitor.is_content(page, CONTRAST)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("name", PAGES)
def test_each_page_of_a_catalogue_without_a_store(
    visitor: Visitor, bare_site: Path, name: str
) -> None:
    visitor.root = bare_site.as_uri()
    page = visitor.open(name)
    assert page.locator("#view").inner_text().strip()
    visitor.is_unhurt(page)


def test_a_configuration_tells_its_images_and_gives_them_to_the_clipboard(
    visitor: Visitor, site: Path
) -> None:
    path = rejected_run(site)["c"]
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.open("configuration", c=path)
    expect(page.locator("h1")).to_have_text(path)
    page.get_by_role("button", name=re.compile("copy the image in")).first.click()
    expect(page.get_by_role("button", name=re.compile("copy the image in")).first).to_have_text(
        "copied"
    )
    assert page.evaluate("navigator.clipboard.readText()").startswith("ami-")
    visitor.is_content(page)


def test_a_run_shows_failing_tests_with_their_output_and_nothing_of_it_acts(
    visitor: Visitor, site: Path
) -> None:
    page = visitor.open("run", **rejected_run(site))
    expect(page.get_by_role("heading", name="failing test")).to_be_visible()
    output = page.locator("details.box pre").first
    expect(output).to_contain_text("<script>window.hurt=1</script>")
    expect(output).to_contain_text("<U+202E>evil")
    assert "\x1b" not in output.inner_text()
    visitor.is_content(page)
    page.get_by_role("link", name="Where else does it fail?").first.click()
    expect(page.get_by_role("heading", name="All runs")).to_be_visible()
    visitor.is_content(page)


def test_the_end_of_a_long_console_is_there(visitor: Visitor, site: Path) -> None:
    paths = catalogue_of(site)["paths"][::2]
    last = list(make_runs(paths, 3))[-1]
    page = visitor.open("run", c=last.path, run=last.run_id)
    page.get_by_text("console.log").click()
    console = page.locator("pre").last
    expect(console).to_contain_text("characters before this are left out")
    expect(console).to_contain_text("<script>window.hurt=1</script>")
    visitor.is_unhurt(page)


def test_packages_of_an_image_are_searched_and_what_it_has_beyond_its_base_is_told(
    visitor: Visitor, site: Path
) -> None:
    last = list(make_runs(catalogue_of(site)["paths"][::2], 3))[-1]
    page = visitor.open("run", c=last.path, run=last.run_id)
    page.get_by_text("3 packages", exact=True).click()
    expect(page.get_by_text("+ openssl:amd64 3.0.17")).to_be_visible()
    page.get_by_text("all 3 packages").click()
    rows = page.locator("#packages tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_role("searchbox", name="search in packages").fill("docker 20")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("docker.io")
    visitor.is_content(page)


def test_filters_are_in_the_address_and_a_link_brings_them_back(visitor: Visitor) -> None:
    page = visitor.open("index")
    everything = page.get_by_role("status").inner_text()
    page.get_by_role("searchbox", name="Search").fill("centos")
    expect(page.get_by_role("status")).to_contain_text("9 of 45")
    page.locator(".total.q").click()
    page.get_by_role("combobox", name="docker").select_option("rows")
    shown = page.get_by_role("status").inner_text()
    assert shown != everything
    address = page.url
    assert "text=centos" in address
    assert "standing=q" in address
    again = visitor.context.new_page()
    again.goto(address)
    expect(again.get_by_role("status")).to_have_text(shown)
    expect(again.get_by_role("columnheader").first).to_have_text("os, os version, docker")
    page.get_by_role("button", name="show everything").click()
    expect(page.get_by_role("status")).to_have_text(everything)
    visitor.is_unhurt(page)


def test_values_of_a_dimension_are_chosen_from_a_list(visitor: Visitor) -> None:
    page = visitor.open("index")
    page.get_by_label("os: which values").click()
    page.get_by_role("checkbox", name="rhel").check()
    expect(page.get_by_role("status")).to_contain_text("9 of 45")
    expect(page.locator(".matrix tbody tr")).to_have_count(1)
    assert "os=rhel" in page.url
    visitor.is_content(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("checkbox", name="rhel")).not_to_be_visible()


def test_the_whole_way_from_the_matrix_to_a_configuration_by_keyboard(visitor: Visitor) -> None:
    page = visitor.open("index")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.cell')"):
            break
    first = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    moved = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert moved != first
    expect(page.locator(".tip")).to_have_text(moved)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    visitor.is_content(page)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == moved
    page.keyboard.press("Enter")
    dialog.get_by_role("link").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Made from")).to_be_visible()


def test_a_cell_tells_more_when_the_pointer_is_over_it(visitor: Visitor) -> None:
    page = visitor.open("index")
    page.locator(".cell").first.hover()
    label = page.locator(".cell").first.get_attribute("aria-label")
    expect(page.locator(".tip")).to_have_text(label or "?")


def test_tables_sort_and_mutes_can_be_narrowed(visitor: Visitor) -> None:
    page = visitor.open("mutes", kind="expired")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("row", name=re.compile("the mirror is slow"))).to_be_visible()
    page.get_by_label("Show").select_option("")
    assert page.locator("tbody tr").count() > 1
    page.get_by_role("button", name="test", exact=True).click()
    expect(page.get_by_role("columnheader", name="test")).to_have_attribute(
        "aria-sort", re.compile("ending")
    )
    visitor.is_unhurt(page)


def test_charts_are_drawn_and_their_numbers_can_be_read(visitor: Visitor) -> None:
    page = visitor.open("durations")
    expect(page.locator("canvas")).to_have_count(1)
    page.get_by_text("the numbers").click()
    expect(page.get_by_role("table", name="Median seconds of each step by day")).to_be_visible()
    visitor.is_content(page)


def test_a_page_about_what_is_not_there_says_so(visitor: Visitor) -> None:
    for name, values, words in (
        ("configuration", {"c": f"no/{HOSTILE}"}, "There is no configuration"),
        ("run", {"c": "x", "run": "y"}, "not known"),
        ("tests", {"test": HOSTILE}, "No run tells of this test"),
    ):
        page = visitor.open(name, **values)
        expect(page.locator("#view")).to_contain_text(words)
        visitor.is_unhurt(page)


def test_the_theme_is_switched_by_hand(visitor: Visitor) -> None:
    page = visitor.open("index")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    visitor.is_unhurt(page)


def test_the_policy_keeps_scripts_of_others_out(visitor: Visitor) -> None:
    page = visitor.open("index")
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<b id=b onclick=\"window.hurt=1\">x</b>')"
    )
    page.locator("#b").click()
    assert page.evaluate("window.hurt") is None
    assert any("Content Security Policy" in message for message in visitor.noticed)


def test_on_paper_there_is_the_whole_matrix_and_no_controls(visitor: Visitor) -> None:
    page = visitor.open("index")
    page.emulate_media(media="print")
    assert not page.locator(".controls").is_visible()
    assert page.locator(".matrix").is_visible()


def test_the_report_of_one_run_is_one_accessible_file(visitor: Visitor, tmp_path: Path) -> None:
    report = {
        "id": "r1",
        "configuration": HOSTILE,
        "state": "rejected",
        "reasons": [HOSTILE],
        "started_at": 1.0,
        "ended_at": 90.0,
        "version": "1",
        "image_ids": {"local": "sha256:1"},
        "directory": str(tmp_path),
        "resources": [],
        "steps": [
            {"name": "build", "status": "done", "message": HOSTILE, "started_at": 1, "ended_at": 9}
        ],
        "suites": [{"name": HOSTILE, "problem": "", "skipped": "", "duration_s": 1.0}],
        "results": [
            {
                "suite": HOSTILE,
                "test_id": HOSTILE,
                "outcome": "fail",
                "duration_s": 1.0,
                "message": HOSTILE,
                "details": HOSTILE,
            }
        ],
    }
    (tmp_path / "report.html").write_text(render_html(read_report(report)))
    visitor.root = tmp_path.as_uri()
    page = visitor.context.new_page()
    page.on("console", lambda message: visitor.noticed.append(message.text))
    page.goto((tmp_path / "report.html").as_uri())
    visitor.is_content(page)
