"""`osqual run LEAF --dry-run` on copies of the example catalogue."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from osqual.cli.main import cli

EXAMPLES = Path(__file__).parents[2] / "examples"
LEAF = "debian/12/qemu/swarm-20.10/docker-20.10"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES, tmp_path / "catalogue"))


def dry_run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["run", LEAF, "--dry-run", "-C", str(root), *arguments])


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("centos-7", "does not exist"),
        ("disk.img", "not a disk image that boots"),
        ("debian:bokworm", "did you mean debian:bookworm"),
        (f"disk.img#sha256={'0' * 64}", "a path takes no checksum"),
        (f"file:///disk.img#sha256={'0' * 64}", "No such kind of base image"),
    ],
)
def test_a_base_image_that_no_run_could_use_is_refused(root: Path, base: str, said: str) -> None:
    bases = root / "debian/12/qemu/base_images.json"
    (bases.parent / "disk.img").write_text("not an image")
    bases.write_text(json.dumps({"local": base}))
    assert said in dry_run(root).output


def test_a_keyword_that_no_test_has_is_noticed(root: Path) -> None:
    said = dry_run(root, "-k", "krenel").output
    assert "warning: -k krenel: no test has that in its name (did you mean 'kernel'?)" in said
    assert "no test has that" not in dry_run(root, "-k", "KERNEL", "-k", "test_nodes.py").output


@pytest.mark.parametrize("command", ["run", "submit"])
def test_an_empty_keyword_is_refused(root: Path, command: str) -> None:
    done = CliRunner().invoke(cli, [command, LEAF, "-k", "kernel", "-k", " ", "-C", str(root)])
    assert done.exit_code == 2
    assert "an empty text is part of every test's name" in done.output
