"""A configuration's files: nearest wins, and every mistake is named with its place."""

from pathlib import Path

import pytest

from osqual.catalogue.catalogue import open_catalogue
from osqual.catalogue.files import (
    find_file,
    find_profile,
    parse_base_images,
    parse_packer_template,
    parse_publish_and_test,
    require_file,
)
from osqual.catalogue.inputs import load_inputs
from osqual.errors import InvalidFile, InvalidInput
from osqual.model import PublishAndTest, PublishPoint, Topology
from tests.fixtures.catalogue_small import LEAF, small_catalogue, write
from tests.fixtures.sample import SAMPLE, needs_sample

RUNTIME = LEAF.rpartition("/")[0]


def test_the_nearest_file_wins(tmp_path: Path) -> None:
    catalogue = small_catalogue(
        tmp_path, files={"setup.sh": "", "centos/setup.sh": "", f"{RUNTIME}/setup.sh": ""}
    )
    leaf = catalogue.configuration(LEAF)
    for directory in (RUNTIME, "centos", "."):
        found = tmp_path / directory / "setup.sh"
        assert find_file(catalogue, leaf, "setup.sh") == found
        found.unlink()
    assert find_file(catalogue, leaf, "setup.sh") is None


def test_paths_in_a_template_resolve_the_same_way(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, files={"centos/common/a.sh": "", "centos/b.sh": ""})
    leaf = catalogue.configuration(LEAF)
    assert require_file(catalogue, leaf, "./common/a.sh") == tmp_path / "centos/common/a.sh"
    assert require_file(catalogue, leaf, "common/../b.sh") == tmp_path / "centos/b.sh"
    assert require_file(catalogue, leaf, "common/") == tmp_path / "centos/common"
    with pytest.raises(InvalidInput, match=r"c\.sh' is missing"):
        require_file(catalogue, leaf, "c.sh")


def test_no_file_outside_of_the_catalogue_is_taken(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    write(tmp_path, {"secret": "s", "outside/a": "x"})
    catalogue = small_catalogue(root)
    leaf = catalogue.configuration(LEAF)
    (root / LEAF / "link").symlink_to(tmp_path / "secret")
    (root / LEAF / "folder").symlink_to(tmp_path / "outside")
    (root / LEAF / "dangling").symlink_to("nowhere")
    for name in ("/etc/passwd", "../" * 7 + "secret", "a\0b", "link", "folder/a"):
        with pytest.raises(InvalidInput, match=r"out(side)? of the catalogue"):
            find_file(catalogue, leaf, name)
    with pytest.raises(InvalidInput, match="leads nowhere"):
        find_file(catalogue, leaf, "dangling")
    assert find_file(catalogue, leaf, "../" * 6 + "secret") is None


def test_the_old_profile_name_is_accepted_and_the_nearest_wins(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    leaf = catalogue.configuration(LEAF)
    new, old = "cluster_profile.tfvars", "desired_cluster_profile.tfvars"
    write(tmp_path, {f"{RUNTIME}/{new}": "", f"{LEAF}/{old}": ""})
    assert find_profile(catalogue, leaf) == tmp_path / LEAF / new
    (tmp_path / LEAF / new).unlink()
    assert find_profile(catalogue, leaf) == tmp_path / LEAF / old
    assert any("old name" in warning for warning in load_inputs(catalogue, leaf).warnings)
    (tmp_path / LEAF / old).unlink()
    assert find_profile(catalogue, leaf) == tmp_path / RUNTIME / new


def test_everything_a_run_needs(tmp_path: Path) -> None:
    catalogue = small_catalogue(
        tmp_path, files={f"{LEAF}/dcos_images.yaml": "us-west-2: ami-9\n", "setup.sh": "true\n"}
    )
    inputs = load_inputs(catalogue, catalogue.configuration(LEAF))
    assert inputs.base_images == {"us-west-2": "ami-1"}
    assert inputs.topology == Topology(private_agents=2)
    assert inputs.publish_and_test == PublishAndTest(run_framework_tests=False)
    assert inputs.images == {"us-west-2": "ami-9"}
    assert inputs.setup_script == tmp_path / "setup.sh"
    assert inputs.files["base_images"] == tmp_path / "centos/7.6/aws/base_images.json"
    assert inputs.find_file("install.sh") == tmp_path / LEAF / "install.sh"
    assert set(inputs.digests) == {*inputs.recipe.inputs, "profile", "config", "setup"}


def test_missing_files_have_their_defaults(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    for name in ("cluster_profile.tfvars", "publish_and_test_config.yaml"):
        (tmp_path / LEAF / name).unlink()
    inputs = load_inputs(catalogue, catalogue.configuration(LEAF))
    assert inputs.topology == Topology()
    assert inputs.publish_and_test == PublishAndTest()
    assert inputs.images == {}
    assert inputs.setup_script is None


def test_moving_a_file_to_a_parent_or_commenting_it_changes_no_digest(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    leaf = catalogue.configuration(LEAF)
    before = load_inputs(catalogue, leaf).digests
    for name in ("install.sh", "cluster_profile.tfvars", "packer.json"):
        (tmp_path / LEAF / name).rename(tmp_path / "centos" / name)
    write(tmp_path, {f"{LEAF}/publish_and_test_config.yaml": "# why\nrun_framework_tests: false\n"})
    assert load_inputs(catalogue, leaf).digests == before


def test_a_published_file_of_a_parent_tells_nothing(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, files={"centos/dcos_images.yaml": "us-west-2: ami-9\n"})
    assert load_inputs(catalogue, catalogue.configuration(LEAF)).images == {}


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("", PublishAndTest()),
        ("tests_to_run:\n", PublishAndTest()),
        ("tests_to_run:\n  - -k 'not test_a'\n", PublishAndTest(tests_to_run=("-k 'not test_a'",))),
        ("publish_dcos_images_after: never\n", PublishAndTest(publish_after=PublishPoint.NEVER)),
    ],
)
def test_publish_and_test(text: str, config: PublishAndTest) -> None:
    assert parse_publish_and_test(text, "f") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "f:1: must be a mapping"),
        ("\npublish_dcos_images_afer: never", "f:2: publish_dcos_images_afer: is not known"),
        ("publish_dcos_images_after: nevr", "f:1: publish_dcos_images_after: must be one of"),
        ("publish_dcos_images_after: [never]", "f:1: publish_dcos_images_after: must be one of"),
        ("run_framework_tests: 'yes'", "f:1: run_framework_tests: must be true or false"),
        ("tests_to_run: a", "f:1: tests_to_run: must be a list"),
        ("tests_to_run:\n- a\n- 1\n", "f:3: tests_to_run: 1 must be text"),
        ("1: a", "f:1: 1: is not known"),
        ("a: [", "f:1: not valid YAML"),
    ],
)
def test_broken_publish_and_test(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        parse_publish_and_test(text, "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "f:1: must be an object"),
        ('{"us-west-2": "ami-1",\n "us-east-1": 1}', "f:2: us-east-1: must be a base image"),
        ('{"a": " "}', "f:1: a: must be"),
    ],
)
def test_broken_base_images(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        parse_base_images(text, "f")


def test_a_template_s_syntax_error_names_its_line() -> None:
    with pytest.raises(InvalidFile, match="f:2: not valid JSON"):
        parse_packer_template('{"builders":\n[}', "f")


@needs_sample
def test_the_sample_of_the_original_is_readable() -> None:
    catalogue = open_catalogue(SAMPLE / "centos" / "7.6")
    configurations = catalogue.configurations()
    assert len(configurations) == 125
    for configuration in configurations:
        with pytest.raises(InvalidInput, match="is missing"):  # the sample has no scripts
            load_inputs(catalogue, configuration)
