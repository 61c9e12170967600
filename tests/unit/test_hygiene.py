"""The gate: an image with a fault is not published, at whatever point that would have been."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from osqual.evidence import evidence_files
from osqual.inventory.collecting import pack, unpack
from osqual.model import Verdict
from osqual.report.bundle import write_bundle
from osqual.settings import Settings
from tests.fakes import IMAGE_ID
from tests.fixtures.command import osqual
from tests.fixtures.image_tree import Tree, make_tree
from tests.unit.test_testing import settings
from tests.unit.test_workflow import PUBLISHED, World

FAULT = "host_keys[/etc/ssh/ssh_host_rsa_key]"
POINTS = ["packer_build", "dcos_installation", "integration_tests"]


@pytest.fixture
def image(tmp_path: Path) -> Tree:
    return make_tree(tmp_path / "root")


@pytest.fixture
def world(tmp_path: Path, image: Tree) -> World:
    """Its base is the tree as it is made."""
    world = World(tmp_path)
    world.builder.base_inventory = world.builder.inventory = image.text()
    return world


def spoil(world: World, image: Tree) -> None:
    image.write("etc/ssh/ssh_host_rsa_key", "secret", 0o600)
    world.builder.inventory = image.text()


@pytest.mark.parametrize("point", POINTS)
def test_a_clean_image_is_published(world: World, point: str) -> None:
    world.config(f"publish_dcos_images_after: {point}\n")
    assert world.run().judgement.verdict is Verdict.QUALIFIED
    assert world.published() == PUBLISHED


@pytest.mark.parametrize("point", POINTS)
def test_an_image_with_a_fault_is_rejected_and_never_published(
    world: World, image: Tree, point: str
) -> None:
    world.config(f"publish_dcos_images_after: {point}\n")
    spoil(world, image)
    result = world.run()
    assert result.judgement.verdict is Verdict.REJECTED
    assert f"image hygiene: {FAULT}" in result.judgement.reasons[0]
    assert (world.published(), world.builder.released) == (set(), [])
    steps = {step["name"]: step for step in world.store.steps(result.run_id)}
    assert steps["build"]["message"].endswith("1 fault")
    assert steps["publish"]["message"] == f"nothing: the image is not clean: {FAULT}"
    assert steps["test"]["status"] == "done", "the tests are worth running all the same"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("{hygiene: {host_keys: warn}}", True),
        ("{hygiene: {host_keys: 'off'}}", False),
        ("{hygiene_accepts: {host_keys: [/etc/ssh/*_rsa_key]}}", False),
    ],
)
def test_the_policy_decides(world: World, image: Tree, policy: str, told: bool) -> None:
    spoil(world, image)
    settings(world, f"products: products\npolicy: {policy}\n")
    result = world.run()
    assert result.judgement.verdict is Verdict.QUALIFIED
    assert world.published() == PUBLISHED
    assert any("same host key" in reason for reason in result.judgement.reasons) is told


def test_a_fault_can_be_muted_like_a_test(world: World, image: Tree) -> None:
    spoil(world, image)
    text = "- {test: 'host_keys[/etc/ssh/ssh_host_rsa_key]', ticket: OS-1}\n"
    (world.root / "catalogue" / "mutes.yaml").write_text(text)
    result = world.run()
    assert result.judgement.verdict is Verdict.QUALIFIED
    assert any(FAULT in reason for reason in result.judgement.reasons)


def test_an_image_that_nobody_looked_at_is_said_to_be_one(world: World) -> None:
    world.builder.inventory = None
    result = world.run()
    assert result.judgement.verdict is Verdict.QUALIFIED
    assert any("not looked at for hygiene" in reason for reason in result.judgement.reasons)


def test_a_published_image_that_is_only_tested_is_judged_too(world: World, image: Tree) -> None:
    world.config("publish_dcos_images_after: never\n")
    world.publish_by_hand()
    spoil(world, image)
    kept = world.root / "data" / "images" / IMAGE_ID.removeprefix("sha256:")
    kept.with_suffix(".inventory.gz").write_bytes(pack(world.builder.inventory or ""))
    kept.with_suffix(".base-inventory.gz").write_bytes(pack(world.builder.base_inventory))
    result = world.run()
    assert f"image hygiene: {FAULT}" in result.judgement.reasons[0]


@pytest.mark.parametrize(
    "policy", [{"hygiene": {"host_key": "fail"}}, {"hygiene_accepts": {"x": []}}]
)
def test_an_unknown_check_is_refused(policy: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="is no check"):
        Settings.model_validate({"policy": policy})


def test_the_record_names_what_is_kept_about_the_image_by_digest(world: World) -> None:
    result = world.run()
    record = json.loads((world.leaf / "qualification.json").read_text())
    names = {"inventory.gz", "base-inventory.gz", "diff.json", "sbom.cdx.json"}
    assert set(record["evidence"]) == {f"image/{name}" for name in names}
    for name, digest in record["evidence"].items():
        assert hashlib.sha256((result.directory / name).read_bytes()).hexdigest() == digest
    assert names <= {path.name for path in evidence_files(result.directory)}


def test_a_secret_in_a_files_name_is_in_nothing_that_is_kept(world: World, image: Tree) -> None:
    world.environ = {"APP_TOKEN": "planted-secret-42"}
    image.write("opt/planted-secret-42", mode=0o666)
    world.builder.inventory = image.text()
    result = world.run()
    kept = [unpack(path.read_bytes()) for path in result.directory.glob("image/*.gz")]
    kept += [path.read_text() for path in result.directory.glob("image/*.json")]
    assert len(kept) == 4
    assert "planted-secret-42" not in "".join([*kept, *result.judgement.reasons])
    assert "[secret]" in result.judgement.reasons[0]


def test_the_bundle_has_it(world: World, tmp_path: Path) -> None:
    world.run()
    write_bundle(tmp_path / "b.tar.gz", world.store, world.store.run("latest"), str)
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"evidence/image/sbom.cdx.json", "evidence/image/diff.json"} <= set(names)


def test_the_difference_is_shown_and_in_reports(
    world: World, image: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image.packages(tool="2.0", bash="5.2-1")
    world.builder.inventory = image.text()
    world.run()
    world.stand_in(monkeypatch)
    assert osqual("diff") == 0
    assert "~ tool:amd64  1.0 -> 2.0" in capsys.readouterr().out
    assert osqual("diff", "latest", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["packages"] == [{"name": "tool:amd64", "before": "1.0", "after": "2.0"}]
    for format_ in ("markdown", "html"):
        assert osqual("report", "latest", "--format", format_) == 0
        assert "1 package" in capsys.readouterr().out
