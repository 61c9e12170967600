"""How fast the site is: `python bench/site.py [--sizes 400,10000] [--each 10]`.

Writes catalogues of the original's shape with runs in a store and records (kept for the next
time), builds each site, and opens its matrix in headless Chromium as a file. Medians of several
rounds; the browser starts anew for each.
"""

import argparse
import gzip
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from osqual.catalogue.catalogue import open_catalogue  # noqa: E402
from osqual.site.build import Wish, build_site  # noqa: E402
from osqual.site.writer import SiteWriter  # noqa: E402
from osqual.store.database import open_engine, sqlite_url  # noqa: E402
from osqual.store.store import Store  # noqa: E402
from tests.fixtures.catalogue_synthetic import write_catalogue  # noqa: E402
from tests.fixtures.runs_synthetic import make_runs, write_record, write_store  # noqa: E402

FIRST_PAINT_MS, FILTER_MS, MATRIX_MB = 1000, 100, 3.0
# What a reader does, as the controls do it: what to change, and back.
FILTERS = {
    "search": """(text) => {
        const field = document.getElementById("text");
        field.value = text;
        field.dispatchEvent(new Event("input"));
        return osqual.lastUpdateMs;
    }""",
    "standing": """() => {
        document.querySelector(".total.q").click();
        return osqual.lastUpdateMs;
    }""",
    "axis": """(place) => {
        const axis = document.querySelectorAll(".axis select")[5];
        axis.value = place;
        axis.dispatchEvent(new Event("change"));
        return osqual.lastUpdateMs;
    }""",
}


@dataclass(frozen=True, kw_only=True)
class Opened:
    """One look at the matrix, in milliseconds; `filters` is the slowest of each kind."""

    first_paint: float
    matrix_drawn: float
    filters: dict[str, float]


def site_of(size: int, each: int, directory: Path) -> tuple[Path, float]:
    """The built site, and how many seconds of CPU building it took; data is written once."""
    root = directory / f"catalogue-{size}-{each}"
    if not (root / ".complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        print(f"writing {size} configurations with {each} runs each …", file=sys.stderr)
        paths = write_catalogue(root / "catalogue", size)
        made = list(make_runs(paths, each))
        engine = open_engine(sqlite_url(root / "store.db"))
        write_store(engine, (root / "catalogue").resolve(), made, root / "runs")
        engine.dispose()
        for run in {run.path: run for run in made}.values():
            images = root / "catalogue" / run.path / "dcos_images.yaml"
            if images.exists():
                pairs = (line.split(": ") for line in images.read_text().splitlines())
                write_record(root / "catalogue", run, dict(pairs))
        (root / "catalogue" / "osqual.yaml").write_text("{}\n")
        (root / ".complete").touch()
    store = Store(open_engine(sqlite_url(root / "store.db")))
    began = time.process_time()
    catalogue = open_catalogue(root / "catalogue")
    wish = Wish(catalogue=catalogue, title=f"{size} configurations", store=store)
    built = build_site(wish, SiteWriter(root=root / "site"))
    took = time.process_time() - began
    store.close()
    print(f"built: {built.configurations} configurations, {built.runs} runs", file=sys.stderr)
    return root / "site", took


def matrix_mb(site: Path) -> float:
    """What a web server that compresses sends for the matrix page."""
    page = (site / "index.html").read_text()
    names = ["index.html", *re.findall(r'(?:src|href)="([^"#]+\.(?:js|css|svg))"', page)]
    return sum(len(gzip.compress((site / name).read_bytes(), 6)) for name in names) / 1e6


def look(page: Page, site: Path) -> Opened:
    """Open the matrix, then filter it."""
    page.goto(f"{site.as_uri()}/index.html")
    page.wait_for_selector("#view:not([aria-busy])", timeout=120_000)
    page.wait_for_timeout(300)
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    drawn = page.evaluate("performance.getEntriesByName('osqual-drawn')[0].startTime")
    filters = {
        name: max(float(page.evaluate(script, value)) for value in values)
        for name, script, values in (
            ("search", FILTERS["search"], ["centos", "centos 7", "2.0", ""]),
            ("standing", FILTERS["standing"], [None, None]),
            ("axis", FILTERS["axis"], ["cols", "rows", ""]),
        )
    }
    return Opened(first_paint=painted, matrix_drawn=drawn, filters=filters)


def looks(site: Path, rounds: int, chromium: str) -> Sequence[Opened]:
    """Each in a browser of its own."""
    found = []
    with sync_playwright() as playwright:
        for _ in range(rounds):
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            found.append(look(browser.new_page(viewport={"width": 1360, "height": 900}), site))
            browser.close()
    return found


def row(what: str, measured: float, unit: str, limit: float) -> None:
    """One line: what, how much, and what is to be reached."""
    sign = "reached" if measured <= limit else "MISSED"
    print(f"  {what:<34}{measured:>9.1f} {unit:<3} under {limit:g} {unit:<3} {sign}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="400,10000", help="configurations, with commas")
    parser.add_argument("--each", type=int, default=10, help="runs of each configuration")
    parser.add_argument("--rounds", type=int, default=5, help="browsers; the median counts")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    parser.add_argument(
        "--directory", type=Path, default=Path(tempfile.gettempdir()) / "osqual-bench-site"
    )
    options = parser.parse_args()
    for size in map(int, options.sizes.split(",")):
        site, cpu_s = site_of(size, options.each, options.directory)
        opened = looks(site, options.rounds, options.chromium)
        print(f"{size} configurations × {options.each} runs: built in {cpu_s:.1f} s of CPU")
        row("first paint", statistics.median(o.first_paint for o in opened), "ms", FIRST_PAINT_MS)
        row("matrix drawn", statistics.median(o.matrix_drawn for o in opened), "ms", FIRST_PAINT_MS)
        for name in opened[0].filters:
            slowest = statistics.median(o.filters[name] for o in opened)
            row(f"filter: {name}", slowest, "ms", FILTER_MS)
        row("matrix page, compressed", matrix_mb(site), "MB", MATRIX_MB)


if __name__ == "__main__":
    main()
