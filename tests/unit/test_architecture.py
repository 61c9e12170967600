"""Imports point one way: docs/architecture.md lists the layers, and this holds them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "osqual"


def documented_layers() -> list[list[str]]:
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.partition("## Layers")[2].partition("## ")[0]
    return [re.findall(r"`(\w+)`", line) for line in section.splitlines() if line[:1].isdigit()]


LAYERS = {name: number for number, names in enumerate(documented_layers()) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)


def part_of(path: Path) -> str:
    """The first name below the package: a module or a folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    parts: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("osqual"):
            names = (node.module or "").split(".")
            parts.update(names[1:2] or [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            parts.update(a.name.split(".")[1] for a in node.names if a.name.startswith("osqual."))
    return parts - {"__version__"}


def test_every_part_stands_in_exactly_one_documented_layer() -> None:
    parts = {part_of(path) for path in MODULES} - {"__init__", "__main__"}
    assert parts == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_earlier_layers(path: Path) -> None:
    part = part_of(path)
    if part in ("__init__", "__main__"):
        return
    wrong = {name for name in imported_parts(path) - {part} if LAYERS.get(name, 99) >= LAYERS[part]}
    assert not wrong, f"{part} (layer {LAYERS[part] + 1}) imports {wrong}"


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_package_init_files_re_export_nothing(path: Path) -> None:
    imports = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not imports


def test_subprocesses_start_in_two_places_only() -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if re.search(r"^\s*(import subprocess|from subprocess)", path.read_text(), re.MULTILINE)
    }
    assert users == {"processes/process.py", "processes/job.py"}
