"""The published files' contents, and writing them."""

import json
from pathlib import Path
from typing import Any

import pytest

from osqual.conventions import FileNames
from osqual.errors import InfrastructureError, PublishFailed, UsageError
from osqual.publish.files import file_contents, history_text, images_text
from osqual.publish.outbox import Publication, keep_publication, kept_publication
from osqual.publish.worktree import read_published, write_published

NAMES = FileNames()
BUILD = {
    "name": "qemu",
    "builder_type": "qemu",
    "build_time": 1,
    "files": None,
    "artifact_id": "local:sha256:aa",
    "packer_run_uuid": "u1",
}


def publication(run_id: str = "r1", ended_at: str = "2026-01-01T00:00:00Z") -> Publication:
    return Publication(
        run_id=run_id,
        configuration="debian/12",
        images={"local": f"sha256:{run_id}"},
        build={**BUILD, "packer_run_uuid": f"build of {run_id}"},
        record={"run": run_id, "verdict": "qualified", "ended_at": ended_at},
    )


def test_the_images_file_is_flat_and_sorted() -> None:
    text = images_text({"us-west-2": "ami-2", "us-east-1": "ami-1"})
    assert text == "us-east-1: ami-1\nus-west-2: ami-2\n"


def test_the_history_has_packers_shape_and_grows() -> None:
    first = history_text(None, BUILD, "history")
    history = json.loads(history_text(first, {**BUILD, "packer_run_uuid": "u2"}, "history"))
    assert [build["packer_run_uuid"] for build in history["builds"]] == ["u1", "u2"]
    assert history["last_run_uuid"] == "u2"


def test_publishing_a_build_twice_lists_it_once() -> None:
    first = history_text(None, BUILD, "history")
    assert history_text(first, BUILD, "history") == first


@pytest.mark.parametrize("content", ["{", "[]", '{"builds": {}}', '{"builds": [1]}', "\xff"])
def test_an_unreadable_history_is_never_overwritten(content: str) -> None:
    with pytest.raises(PublishFailed, match="history"):
        history_text(content, BUILD, "the history")


def test_a_history_that_is_no_text_is_a_publishing_failure(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_bytes(b"\xff")
    with pytest.raises(PublishFailed, match="cannot be read"):
        read_published(tmp_path / "history.json")


def test_a_work_tree_that_cannot_be_written_is_a_publishing_failure(tmp_path: Path) -> None:
    with pytest.raises(PublishFailed, match="Cannot write"):
        write_published(tmp_path / "missing" / "images.yaml", "")


def published(*publications: Publication) -> dict[str, str]:
    """What is there when they are published one after the other."""
    there: dict[str, str] = {}
    for each in publications:
        there.update(file_contents(each, NAMES, there.get))
    return there


def test_a_run_that_ended_later_keeps_its_record_and_the_earlier_ones_build_is_not_lost() -> None:
    earlier, later = publication("r1"), publication("r2", "2026-01-02T00:00:00Z")
    for order in ((earlier, later), (later, earlier)):
        there = published(*order)
        assert json.loads(there[NAMES.record])["run"] == "r2"
        assert there[NAMES.images] == "local: sha256:r2\n"
        assert len(json.loads(there[NAMES.history])["builds"]) == 2


def test_publishing_again_changes_nothing() -> None:
    once = published(publication())
    assert published(publication(), publication()) == once


@pytest.mark.parametrize("broken", ["{", "[]", '{"ended_at": 7}', "null"])
def test_a_broken_record_is_replaced(broken: str) -> None:
    contents = file_contents(publication(), NAMES, {NAMES.record: broken}.get)
    assert json.loads(contents[NAMES.record])["run"] == "r1"


def test_what_a_run_publishes_is_kept_as_it_is(tmp_path: Path) -> None:
    assert kept_publication(tmp_path) is None
    keep_publication(tmp_path, publication())
    assert kept_publication(tmp_path) == publication()


@pytest.mark.parametrize(
    ("content", "kind"),
    [("{", InfrastructureError), ("[]", InfrastructureError), ('{"version": 9}', UsageError)],
)
def test_a_kept_publication_that_cannot_be_read(
    tmp_path: Path, content: str, kind: type[Exception]
) -> None:
    keep_publication(tmp_path, publication())
    (tmp_path / "publish" / "publication.json").write_text(content)
    with pytest.raises(kind):
        kept_publication(tmp_path)


def test_nothing_is_built_where_the_published_image_is_tested() -> None:
    facts: dict[str, Any] = {**vars(publication()), "build": None}
    assert NAMES.history not in file_contents(Publication(**facts), NAMES, lambda name: None)
