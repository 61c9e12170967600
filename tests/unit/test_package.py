"""What is published to a package index: complete, nothing else, and accepted there."""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

import pytest

from osqual import __version__

ROOT = Path(__file__).parents[2]
BUILD = "import hatchling.build as b, sys; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and source distribution, made by the build backend itself."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-c", BUILD, str(directory)], cwd=ROOT, check=True)
    return directory


@pytest.fixture
def wheel(dist: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as archive:
        yield archive


def tracked(folder: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: zipfile.ZipFile) -> None:
    inside = {name for name in wheel.namelist() if name.startswith("osqual/")}
    assert inside == {name.removeprefix("src/") for name in tracked("src/osqual")}
    others = {name.partition("/")[0] for name in wheel.namelist()} - {"osqual"}
    assert others == {f"osqual-{__version__}.dist-info"}
    for needed in (
        "site/assets/vendor/uPlot.LICENSE",
        "site/templates/page.html.jinja",
        "py.typed",
    ):
        assert f"osqual/{needed}" in inside


def test_its_metadata_tell_version_licence_and_command(wheel: zipfile.ZipFile) -> None:
    info = f"osqual-{__version__}.dist-info"
    metadata = HeaderParser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("Provides-Extra") or []) >= {"aws", "cluster"}
    assert "osqual = osqual.cli.main:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_the_source_distribution_is_what_git_has(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names - {"PKG-INFO"} <= tracked(".")
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names
    assert tracked("src") <= names


def test_the_index_accepts_both(dist: Path) -> None:
    files = [str(path) for path in sorted(dist.iterdir())]
    assert len(files) == 2
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
