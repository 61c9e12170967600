"""Fixtures that several unit tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.catalogue_small import small_catalogue
from tests.fixtures.shell import ONE, TWO, Shell


@pytest.fixture(scope="session", autouse=True)
def _cloud_without_images() -> Iterator[None]:
    """The emulated cloud would fill every region with images first; tests register their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        yield


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    for name in ("cache", "state"):
        monkeypatch.setenv(f"OSQUAL_{name.upper()}_DIR", str(tmp_path / name))
    root = tmp_path / "catalogue"
    small_catalogue(root, ONE, TWO)
    monkeypatch.chdir(root)
    shell = Shell(root=root.resolve(), capsys=capsys)
    shell.git("init", "-q")
    shell.commit()
    return shell
