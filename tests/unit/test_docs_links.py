"""Links of the documentation, as whoever reads it in the repository follows them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console_blocks import pages

ROOT = Path(__file__).parents[2]


def headings(path: Path) -> set[str]:
    """Anchors of a Markdown page, as forges make them."""
    lines = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def links_of(path: Path) -> Iterator[str]:
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return (found[1] for found in re.finditer(r"\]\(([^)\s]+)\)", text))


@pytest.mark.parametrize("path", pages(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_work_in_the_repository_too(path: Path) -> None:
    for link in links_of(path):
        address, _, anchor = link.partition("#")
        if not address.startswith("https://"):
            target = path.parent / address if address else path
            assert target.exists(), link
            if anchor and target.suffix == ".md":
                assert anchor in headings(target), link
