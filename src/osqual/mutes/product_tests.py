"""The tests of a product, as the files of its pytest suites name them."""

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from osqual.errors import OsqualError
from osqual.model import Configuration
from osqual.mutes.mute import matches_test
from osqual.products import Product, ProductFolders, load_product

_TEST = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(test\w*)[ \t]*\(", re.MULTILINE)


def unknown_to_products(
    pattern: str, configurations: Iterable[Configuration], root: Path, folders: ProductFolders
) -> str:
    """That no product of some configurations has a test that a mute names; "" when one may.

    Only names like pytest's are judged: a command may call what it counts as it likes.
    """
    name = pattern.partition("[")[0].rpartition("::")[2]
    if not name.startswith("test") or name.endswith(".py"):
        return ""
    known: set[str] = set()
    for product in {item.dimensions.get("product", "") for item in configurations}:
        try:
            names = test_names(load_product(product, root, folders))
        except OsqualError:
            return ""  # said elsewhere: here only tests that are known can be missed
        if not names or any(matches_test(name, test) for test in names):
            return ""
        known |= names
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"no test is called {name}" + (f": did you mean {near[0]}?" if near else "")


def test_names(product: Product) -> frozenset[str]:
    """The functions of its pytest suites; those that are made at run time are not among them."""
    suites = (suite for suite in product.suites if suite.kind.startswith("pytest"))
    return frozenset(name for suite in suites for name in _names_in(suite.path))


def _names_in(path: Path) -> Iterator[str]:
    for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
        yield from _TEST.findall(file.read_text(encoding="utf-8", errors="replace"))
