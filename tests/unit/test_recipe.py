"""A recipe's digest: what belongs to an image, and what does not."""

import json
from pathlib import Path
from typing import Any

import pytest

from osqual.errors import InvalidInput
from osqual.model import Recipe
from osqual.recipe import digest_of_path, recipe_of
from osqual.templates.template import parse_template
from tests.fixtures.catalogue_small import template, write

BASE = {"us-west-2": "ami-1", "us-east-1": "ami-2"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write(tmp_path, {"install.sh": "set -e\n", "setup_volumes.sh": "set -e\n", "conf/a": "1"})
    return tmp_path


def recipe(files: Path, document: Any, base: dict[str, str] | None = None) -> Recipe:
    parsed = parse_template(json.dumps(document), "packer.json")
    return recipe_of(parsed, BASE if base is None else base, lambda name: files / name)


def test_every_input_is_listed(files: Path) -> None:
    assert sorted(recipe(files, template()).inputs) == [
        "base",
        "file:install.sh",
        "file:setup_volumes.sh",
        "template",
    ]


@pytest.mark.parametrize(
    "same",
    [
        {"ami_description": "another/path"},
        {"ami_name": "other"},
        {"tags": {"release": "2.0.1"}},
        {"source_ami": "ami-does-not-count"},
        {"access_key": "{{user `key`}}"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_does_not_determine_the_image_does_not_count(
    files: Path, same: dict[str, Any]
) -> None:
    assert recipe(files, template(**same)) == recipe(files, template())


def test_order_comments_post_processors_and_unused_variables_do_not_count(files: Path) -> None:
    changed = {
        "_comment": "x",
        "variables": {"unused": "1"},
        "post-processors": [[{"type": "manifest"}]],
        **dict(reversed(template().items())),
    }
    changed["provisioners"][1]["script"] = "./install.sh"
    assert recipe(files, changed) == recipe(files, template())


@pytest.mark.parametrize(
    "other",
    [{"instance_type": "m5.large"}, {"region": "us-east-1"}, {"ami_groups": "all"}],
    ids=lambda change: next(iter(change)),
)
def test_what_determines_the_image_counts(files: Path, other: dict[str, Any]) -> None:
    assert recipe(files, template(**other)).digest != recipe(files, template()).digest


def test_a_change_is_named_by_its_input(files: Path) -> None:
    before = recipe(files, template())
    write(files, {"install.sh": "set -eu\n"})
    after = recipe(files, template())
    changed = {name for name in before.inputs if before.inputs[name] != after.inputs[name]}
    assert changed == {"file:install.sh"}
    assert before.digest != after.digest


def test_only_the_region_that_is_built_in_counts(files: Path) -> None:
    moved = {**BASE, "us-east-1": "ami-3"}
    assert recipe(files, template(), moved) == recipe(files, template())
    moved = {**BASE, "us-west-2": "ami-3"}
    assert recipe(files, template(), moved).digest != recipe(files, template()).digest


def test_without_base_images_the_template_s_own_counts(files: Path) -> None:
    assert recipe(files, template(), {}) != recipe(files, template(source_ami="ami-9"), {})


def test_qemu_builds_on_the_local_base(files: Path) -> None:
    document = {**template(), "builders": [{"type": "qemu", "iso_url": "a", "vm_name": "x"}]}
    other = {**template(), "builders": [{"type": "qemu", "iso_url": "b", "vm_name": "y"}]}
    local = {"local": "debian:bookworm"}
    assert recipe(files, document, local) == recipe(files, other, local)
    assert recipe(files, document, {}) != recipe(files, other, {})


def test_used_variables_count_and_are_put_into_paths(files: Path) -> None:
    document = template()
    document["provisioners"][1] = {"type": "shell", "script": "{{user `dir`}}/install.sh"}
    document["variables"] = {"dir": ".", "other": "{{env `HOME`}}"}
    first = recipe(files, document)
    assert "file:install.sh" in first.inputs
    document["variables"]["other"] = "changed, and used nowhere"
    assert recipe(files, document) == first
    document["variables"]["dir"] = "conf/.."
    assert recipe(files, document) != first


def test_an_uploaded_directory_counts_with_all_that_is_in_it(files: Path) -> None:
    document = template()
    document["provisioners"][0]["source"] = "conf/"
    before = recipe(files, document)
    write(files, {"conf/deeper/b": ""})
    assert recipe(files, document) != before


def test_the_permission_of_an_upload_counts_and_that_of_a_script_does_not(files: Path) -> None:
    before = recipe(files, template())
    (files / "install.sh").chmod(0o755)
    assert recipe(files, template()) == before
    (files / "setup_volumes.sh").chmod(0o755)
    assert recipe(files, template()).digest != before.digest


def test_downloads_need_no_file(files: Path) -> None:
    document = template()
    document["provisioners"] = [
        {"type": "file", "direction": "download", "source": "/var/log/x", "destination": "x"}
    ]
    assert sorted(recipe(files, document).inputs) == ["base", "template"]


def test_what_is_no_file_is_refused(files: Path) -> None:
    with pytest.raises(InvalidInput, match="not a regular file"):
        digest_of_path(files / "missing")
    with pytest.raises(InvalidInput, match="not a regular file"):
        digest_of_path(Path("/dev/null"))


def test_unknown_variables_are_refused(files: Path) -> None:
    document = template()
    document["provisioners"][1]["script"] = "{{user `nothing`}}.sh"
    with pytest.raises(InvalidInput, match="nothing"):
        recipe(files, document)
