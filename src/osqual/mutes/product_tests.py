"""The tests of a product, as the files of its pytest suites name them."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from osqual.errors import OsqualError
from osqual.formats.spelling import did_you_mean
from osqual.model import Configuration, Suite
from osqual.mutes.pattern import matches_test
from osqual.products.definition import Product, ProductFolders, load_product

_TEST = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(test\w*)[ \t]*\(", re.MULTILINE)
# What a test's id is put together with.
_SEPARATORS = re.compile(r"::|[\[\]/-]")


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
    return f"no test is called {name}{did_you_mean(name, sorted(known))}"


def unknown_keywords(keywords: Iterable[str], product: Product) -> list[str]:
    """Which of the command line's -k no test of its pytest suites can have in its name, and why.

    Nothing is loaded: what stands anywhere in the files may be part of the name of a case.
    """
    files = [file for suite in _pytest_suites(product) for file in _files(suite.path)]
    text = "\n".join(part for file in files for part in (file.name, _text(file))).lower()
    names = test_names(product)
    words = {*names, *(part for name in names for part in name.split("_"))}
    return [
        f"-k {keyword}: no test has that in its name{did_you_mean(keyword, sorted(words))}"
        for keyword in keywords
        if files and not all(part in text for part in _SEPARATORS.split(keyword.lower()))
    ]


def test_names(product: Product) -> frozenset[str]:
    """The functions of its pytest suites; those that are made at run time are not among them."""
    files = (file for suite in _pytest_suites(product) for file in _files(suite.path))
    return frozenset(name for file in files for name in _TEST.findall(_text(file)))


def _pytest_suites(product: Product) -> Iterator[Suite]:
    yield from (suite for suite in product.suites if suite.kind.startswith("pytest"))


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
