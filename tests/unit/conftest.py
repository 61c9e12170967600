"""Fixtures that several unit tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.cli.main import main
from tests.fixtures.asking import BETA, NEWER, RHEL, Osqual, Ran
from tests.fixtures.catalogue_small import LEAF, small_catalogue
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


@pytest.fixture
def osqual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Osqual:
    """Runs a command in the catalogue's root."""
    root = tmp_path / "catalogue"
    rhel = {"rhel/7.5/aws/base_images.json": {"us-west-2": "ami-2"}}
    small_catalogue(root, LEAF, NEWER, BETA, RHEL, files={".git/keep": "", **rhel})
    monkeypatch.setenv("OSQUAL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(root)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        code = caught.value.code
        assert isinstance(code, int)
        return Ran(code, captured.out, captured.err)

    return run
