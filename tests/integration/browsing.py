"""A reader with Debian's Chromium, who notices whatever a page should not do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
# One row is like another, and the time that axe takes grows with each.
LATER_ROWS = [["tbody tr:nth-child(n+9)"]]
SLOW_MS = 20_000
"""How long a page may take on a machine that does much else."""
QUIET = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launched(playwright: Playwright) -> Browser:
    """The browser. Its own sandbox does not work for root, as in most containers."""
    expect.set_options(timeout=SLOW_MS)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    path = shutil.which("chromium")
    return playwright.chromium.launch(executable_path=path, args=[*QUIET, *sandbox])


@contextmanager
def new_visitor(browser: Browser, root: str) -> Iterator["Visitor"]:
    """Somebody who was never here: without cookies, without anything remembered."""
    with browser.new_context(locale="en-GB", timezone_id="Europe/Berlin") as context:
        yield Visitor(context, root)


@dataclass
class Visitor:
    """A reader of the pages below the address `root`."""

    context: BrowserContext
    root: str
    noticed: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> Page:
        """Notice what the page says and asks for from now on."""
        page.on("console", lambda message: self.noticed.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.noticed.append(f"error: {error}"))
        page.on("request", lambda request: self._request(request.url))
        return page

    def open(self, page: str, **values: str) -> Page:
        """Open a page of the site and wait until it is drawn."""
        found = self.follow(self.context.new_page())
        fragment = f"#{urlencode(values)}" if values else ""
        found.goto(f"{self.root}/{page}.html{fragment}")
        expect(found.locator("#view")).not_to_have_attribute("aria-busy", "true")
        return found

    def _request(self, url: str) -> None:
        if not url.startswith(self.root):
            self.noticed.append(f"request: {url}")

    def is_unhurt(self, page: Page) -> None:
        """Nothing in the console, nothing asked elsewhere, and nothing hostile ran."""
        assert page.evaluate("window.hurt") is None
        assert page.locator("#view img, #view script, #view iframe").count() == 0
        assert self.noticed == []

    def is_content(self, page: Page, rules: Any = RULES) -> None:
        """Unhurt, and axe finds nothing that keeps anybody out."""
        self.is_unhurt(page)
        options = {**rules, "preload": False, "resultTypes": ["violations"]}  # preload: the policy
        context = {"include": [["html"]], "exclude": LATER_ROWS}
        found = Axe().run(page, context=context, options=options)
        assert found.violations_count == 0, found.generate_report()
