"""The pages themselves: one layout, one script a page, and what all of them share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import Environment, PackageLoader, StrictUndefined

from osqual.report.plain import plain_line
from osqual.site.writer import SiteWriter

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""Scripts and styles from beside the page only: nothing inline, nothing from another host."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page. `scripts` and `data` are loaded before it is shown; the rest when asked for."""

    name: str
    title: str
    lead: str
    in_menu: bool = True
    scripts: tuple[str, ...] = ()
    data: tuple[str, ...] = ("catalogue",)


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What a server's pages have beyond those of files."""

    policy: str = POLICY
    pages: tuple[Page, ...] = ()
    scripts: tuple[str, ...] = ()
    """On every page, behind those of the page itself."""
    styles: tuple[str, ...] = ()
    assets: Mapping[str, bytes] = field(default_factory=dict)
    """File below `assets` -> its content."""


SHARED = ("core", "states", "elements", "table")
STYLES = ("tokens", "base", "parts", "matrix")
PAGES = (
    Page(
        name="index",
        title="Support matrix",
        lead="Which combinations are supported, and what shows it.",
        scripts=("matrix-model", "matrix-filters", "matrix-table", "matrix"),
    ),
    Page(
        name="configuration",
        title="Configuration",
        lead="One combination: what it is made from, its images, its verdict.",
        in_menu=False,
        scripts=("configuration",),
    ),
    Page(
        name="runs",
        title="Runs",
        lead="What was run last, and how it ended.",
        scripts=("runs",),
        data=("catalogue", "runs"),
    ),
    Page(
        name="run",
        title="Run",
        lead="One run: its steps, its tests, its machines.",
        in_menu=False,
        scripts=("run-image", "run"),
    ),
    Page(
        name="tests",
        title="Tests",
        lead="Where each test fails, and how often it passes only when repeated.",
        scripts=("chart", "tests"),
        data=("catalogue", "tests"),
    ),
    Page(
        name="images",
        title="Images",
        lead="What each image is built on, and what is built on it.",
        scripts=("graph", "images"),
        data=("catalogue", "images"),
    ),
    Page(
        name="mutes",
        title="Mutes",
        lead="Every test whose failure does not count: where, why, and for how long already.",
        scripts=("mutes",),
        data=("catalogue", "mutes"),
    ),
    Page(
        name="durations",
        title="Durations and costs",
        lead="Where the time goes, which tests are slow, and what runs cost.",
        scripts=("chart", "durations"),
        data=("catalogue", "durations"),
    ),
)


def write_pages(writer: SiteWriter, title: str, version: str, additions: Additions) -> None:
    """Every page, and the files that they share."""
    template = _environment().get_template("page.html.jinja")
    pages = PAGES + additions.pages
    for page in pages:
        writer.text(
            f"{page.name}.html",
            template.render(
                page=page,
                pages=pages,
                scripts=SHARED + page.scripts + additions.scripts,
                styles=STYLES + additions.styles,
                policy=additions.policy,
                title=plain_line(title, 80),
                version=version,
            ),
        )
    own = dict(assets_in(files("osqual.site").joinpath("assets")))
    for name, content in {**own, **additions.assets}.items():
        writer.bytes(f"assets/{name}", content)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("osqual.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def assets_in(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Every file below a folder of the package, by its path."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from assets_in(item, f"{prefix}{item.name}/")
        else:
            yield f"{prefix}{item.name}", item.read_bytes()
