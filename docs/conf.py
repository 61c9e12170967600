"""How Sphinx builds these pages: Markdown as it is, strict, and nothing from another host."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

from reference_pages import fill_in  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

from osqual import __version__  # noqa: E402

project = "osqual"
author = "the osqual authors"
project_copyright = "the osqual authors. Apache-2.0"
version = release = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_url_schemes = ["https"]

html_theme = "furo"
html_title = f"osqual {__version__}"
html_static_path = ["pictures"]
html_copy_source = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Have the reference's lists made from the code while pages are read."""
    app.connect("source-read", fill_in)
