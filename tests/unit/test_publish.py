import json
from pathlib import Path

import pytest

from osqual.errors import PublishFailed
from osqual.publish.worktree import publish_build, publish_images

BUILD = {
    "name": "qemu",
    "builder_type": "qemu",
    "build_time": 1,
    "files": None,
    "artifact_id": "local:sha256:aa",
    "packer_run_uuid": "u1",
}


def test_the_images_file_is_flat_and_sorted(tmp_path: Path) -> None:
    publish_images(tmp_path / "images.yaml", {"us-west-2": "ami-2", "us-east-1": "ami-1"})
    assert (tmp_path / "images.yaml").read_text() == "us-east-1: ami-1\nus-west-2: ami-2\n"


def test_the_history_has_packers_shape_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    publish_build(path, BUILD)
    publish_build(path, {**BUILD, "packer_run_uuid": "u2"})
    history = json.loads(path.read_text())
    assert [build["packer_run_uuid"] for build in history["builds"]] == ["u1", "u2"]
    assert history["last_run_uuid"] == "u2"


def test_publishing_a_build_twice_lists_it_once(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    publish_build(path, BUILD)
    first = path.read_text()
    publish_build(path, BUILD)
    assert path.read_text() == first


@pytest.mark.parametrize("content", ["{", "[]", '{"builds": {}}', '{"builds": [1]}', "\xff"])
def test_an_unreadable_history_is_never_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(PublishFailed):
        publish_build(path, BUILD)
    assert path.read_text(encoding="latin-1") == content


def test_a_work_tree_that_cannot_be_written_is_a_publishing_failure(tmp_path: Path) -> None:
    with pytest.raises(PublishFailed, match="Cannot write"):
        publish_images(tmp_path / "missing" / "images.yaml", {"local": "sha256:aa"})
