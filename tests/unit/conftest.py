"""Fixtures that several unit tests share."""

from pathlib import Path

import pytest

from tests.fixtures.catalogue_small import small_catalogue
from tests.fixtures.shell import ONE, TWO, Shell


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
