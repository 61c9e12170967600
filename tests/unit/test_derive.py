import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osqual.catalogue.catalogue import Catalogue, open_catalogue
from osqual.catalogue.inputs import load_inputs
from osqual.changes.apply import apply
from osqual.changes.derive import Deriver
from osqual.changes.derived import Derived
from osqual.changes.follow import Followed, Rename, follow
from osqual.changes.proof import prove
from osqual.changes.sources import find_targets
from osqual.errors import InvalidInput, UsageError
from tests.fixtures.catalogue_small import leaf_files, small_catalogue, template, write
from tests.fixtures.sample import SAMPLE, needs_sample

OLD = "centos/7.6/aws/DCOS-2.0.1/docker-18.09.9-ce/selinux_enforcing"
URL = "https://downloads.dcos.io/dcos/stable/{}/dcos_generate_config.sh"

RELEASE = Rename(
    dimension="release", old="2.0.1", new="2.1.5", words=frozenset({"dcos", "release"})
)
DOCKER = Rename(
    dimension="docker", old="18.09.9-ce", new="19.03.13-ce", words=frozenset({"docker"})
)
SYSTEM = Rename(
    dimension="os_version", old="7.6", new="7.7", words=frozenset({"centos", "osversion"})
)


def followed(text: str, *renames: Rename) -> Followed:
    return follow(
        text, renames or (RELEASE, DOCKER, SYSTEM), "a/7.6/DCOS-2.0.1", "a/7.7/DCOS-2.1.5"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'path = "{URL.format("2.0.1")}"', f'path = "{URL.format("2.1.5")}"'),
        ('"ami_description": "a/7.6/DCOS-2.0.1"', '"ami_description": "a/7.7/DCOS-2.1.5"'),
        ("yum install docker-ce-18.09.9 x", "yum install docker-ce-19.03.13 x"),
        ("docker-ce-cli-18.09.9", "docker-ce-cli-19.03.13"),
        (
            "apt install docker-ce=5:18.09.9~3-0~ubuntu",
            "apt install docker-ce=5:19.03.13~3-0~ubuntu",
        ),
        ("docker-18.09.9-ce.tgz", "docker-19.03.13-ce.tgz"),
        ("dcos-2.0.1.tar.gz v2.0.1", "dcos-2.1.5.tar.gz v2.1.5"),
        ("VERSION=2.0.1", "VERSION=2.1.5"),
        ("http://vault.centos.org/7.6/os/", "http://vault.centos.org/7.7/os/"),
        (
            'echo "7.6" > /etc/yum/vars/dockerosversion',
            'echo "7.7" > /etc/yum/vars/dockerosversion',
        ),
        ("os_version: 7.6\r\n", "os_version: 7.7\r\n"),
    ],
)
def test_an_old_value_is_replaced_where_it_stands_as_that_version(before: str, after: str) -> None:
    found = followed(before)
    assert found.text == after
    assert found.replacements


@pytest.mark.parametrize(
    "text",
    ["12.0.1", "2.0.10", "1.2.0.1", "x = 2.0.12", "ami-02.0.1f", "118.09.9", "18.09.91"],
)
def test_a_longer_number_is_not_even_alike(text: str) -> None:
    found = followed(text)
    assert found.text == text
    assert not found.hints


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://vault.centos.org/7.6.1810/os/", "goes on as '.1810'"),
        ("dcos/2.0.1-beta/x", "goes on as '-beta'"),
        ("yum install containerd.io-2.0.1", "a version of 'containerd.io'"),
        ("pip install thing==2.0.1", "a version of 'thing'"),
        ("https://x.org/lib/2.0.1/lib-2.0.1.tgz", "nothing tells that it is the release"),
        ("volume_size = 7.6", "nothing tells that it is the os version"),
        ("docker-ce-18.09.9-ee", "goes on as '-ee'"),
        ("tee centos76.repo", "it may be os version 7.6"),
    ],
)
def test_what_only_looks_alike_is_a_hint(text: str, why: str) -> None:
    found = followed(text)
    assert found.text == text
    assert [hint.why for hint in found.hints if why in hint.why]


def test_a_replaced_place_may_still_need_a_look() -> None:
    commit = "7a518dc4ec0c95333cc874d1b95c92f91c90bb45"
    found = followed(f"u = https://x.org/dcos/testing/2.0.1/commit/{commit}/x.sh")
    assert "/2.1.5/commit/" in found.text
    assert "commit" in found.hints[0].why
    found = followed("yum install docker-ce-18.09.9.ce-1.el7\n")
    assert found.text == "yum install docker-ce-19.03.13.ce-1.el7\n"
    assert "'.ce-1.el7' was kept" in found.hints[0].why


def test_the_same_value_of_two_dimensions_is_told_apart_by_the_names_near_it() -> None:
    docker = Rename(
        dimension="docker",
        old="20.10",
        new="24.0",
        words=frozenset({"docker"}),
        rivals=frozenset({"swarm", "release"}),
    )
    text = "DOCKER_VERSION=20.10\nswarm 20.10\ndocker for swarm 20.10\n20.10\n"
    found = followed(text, docker)
    assert found.text == "DOCKER_VERSION=24.0\nswarm 20.10\ndocker for swarm 20.10\n20.10\n"
    assert [hint.line for hint in found.hints] == [2, 3, 4]


def test_words_are_only_pointed_out() -> None:
    variant = Rename(dimension="variant", old="selinux_disabled", new="selinux_enforcing")
    found = followed("sed s/SELINUX=.*/SELINUX=disabled/\nvariant = selinux_disabled\n", variant)
    assert found.text == "sed s/SELINUX=.*/SELINUX=disabled/\nvariant = selinux_enforcing\n"
    assert [hint.line for hint in found.hints] == [1]


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return small_catalogue(
        tmp_path,
        OLD,
        files={
            f"{OLD}/cluster_profile.tfvars": f'x_path = "{URL.format("2.0.1")}" # dcos\n',
            f"{OLD}/install.sh": "#!/bin/sh\nyum install docker-ce-18.09.9\n",
            f"{OLD}/README.md": "About DC/OS 2.0.1 (dcos)\n",
            f"{OLD}/dcos_images.yaml": "us-west-2: ami-9\n",
            f"{OLD}/packer_build_history.json": {"builds": [], "last_run_uuid": ""},
            f"{OLD}/qualification.json": {"verdict": "qualified"},
        },
    )


def derive(
    catalogue: Catalogue,
    values: Mapping[str, str],
    *patterns: str,
    base_images: str | None = None,
    write_it: bool = True,
) -> list[Derived]:
    targets = find_targets(catalogue, catalogue.select(patterns), values)
    assert not targets.existing
    deriver = Deriver(catalogue, targets, base_images)
    derived = deriver.derive()
    prove(catalogue, deriver.draft, derived)
    if write_it:
        apply(catalogue.root, deriver.draft.changes())
    return derived


def files_in(root: Path, path: str) -> set[str]:
    return {item.relative_to(root / path).as_posix() for item in (root / path).rglob("*.*")}


def test_a_new_release(catalogue: Catalogue) -> None:
    before = load_inputs(catalogue, catalogue.configuration(OLD))
    (derived,) = derive(catalogue, {"release": "2.1.5"})
    new = OLD.replace("2.0.1", "2.1.5")
    found = open_catalogue(catalogue.root)
    inputs = load_inputs(found, found.configuration(new))
    assert inputs.profile["x_path"] == URL.format("2.1.5")
    assert inputs.template.builder["ami_description"] == new
    assert inputs.recipe.digest == before.recipe.digest
    assert derived.same_recipe
    assert files_in(found.root, new) == {
        "packer.json",
        "install.sh",
        "setup_volumes.sh",
        "cluster_profile.tfvars",
        "publish_and_test_config.yaml",
        "README.md",
    }
    assert (found.root / new / "README.md").read_text() == "About DC/OS 2.1.5 (dcos)\n"
    assert "base_images.json" in derived.inherited
    again = load_inputs(found, found.configuration(OLD))
    assert again.digests == before.digests


def test_several_dimensions_at_once(catalogue: Catalogue) -> None:
    derive(catalogue, {"release": "2.1.5", "docker": "19.03.13-ce"}, "centos/7.6/**")
    new = "centos/7.6/aws/DCOS-2.1.5/docker-19.03.13-ce/selinux_enforcing"
    assert (catalogue.root / new / "install.sh").read_text().endswith("docker-ce-19.03.13\n")


def test_permissions_binary_files_and_folders_are_copied_as_they_are(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, OLD, files={f"{OLD}/files/deep/list.txt": "x"})
    (tmp_path / OLD / "install.sh").chmod(0o755)
    (tmp_path / OLD / "files/blob.bin").write_bytes(b"\xff\x00 2.0.1")
    derive(catalogue, {"release": "2.1.5"})
    new = tmp_path / OLD.replace("2.0.1", "2.1.5")
    assert os.access(new / "install.sh", os.X_OK)
    assert not os.access(new / "setup_volumes.sh", os.X_OK)
    assert (new / "files/blob.bin").read_bytes() == b"\xff\x00 2.0.1"
    assert (new / "files/deep/list.txt").read_text() == "x"


def test_what_a_parent_gives_is_not_copied(tmp_path: Path) -> None:
    parent = "centos/7.6/aws"
    shared = {
        f"{parent}/install.sh": "echo 1\n",
        f"{parent}/publish_and_test_config.yaml": "run_framework_tests: false\n",
    }
    catalogue = small_catalogue(tmp_path, OLD, files=shared)
    (tmp_path / OLD / "install.sh").unlink()
    (derived,) = derive(catalogue, {"release": "2.1.5"})
    new = OLD.replace("2.0.1", "2.1.5")
    assert files_in(tmp_path, new) == {"packer.json", "setup_volumes.sh", "cluster_profile.tfvars"}
    assert set(derived.inherited) == {
        "base_images.json",
        "install.sh",
        "publish_and_test_config.yaml",
    }


def test_a_shared_file_that_has_to_change_becomes_a_copy(tmp_path: Path) -> None:
    parent = "centos/7.6/aws"
    shared = {f"{parent}/install.sh": "yum install docker-ce-18.09.9\n"}
    catalogue = small_catalogue(tmp_path, OLD, files=shared)
    (tmp_path / OLD / "install.sh").unlink()
    derive(catalogue, {"docker": "19.03.13-ce"})
    new = tmp_path / OLD.replace("18.09.9", "19.03.13")
    assert (new / "install.sh").read_text() == "yum install docker-ce-19.03.13\n"
    assert (tmp_path / parent / "install.sh").read_text() == "yum install docker-ce-18.09.9\n"


def test_files_between_the_leaf_and_what_is_common_keep_their_height(tmp_path: Path) -> None:
    other = OLD.replace("selinux_enforcing", "selinux_disabled")
    between = "centos/7.6/aws/DCOS-2.0.1"
    catalogue = small_catalogue(
        tmp_path,
        OLD,
        other,
        files={
            f"{between}/base_images.json": {"us-west-2": "ami-2"},
            f"{between}/cluster_profile.tfvars": f'x = "{URL.format("2.0.1")}"\n',
            f"{between}/mutes.yaml": "- test: test_x\n  scope:\n    release: 2.0.1\n",
        },
    )
    for leaf in (OLD, other):
        (tmp_path / leaf / "cluster_profile.tfvars").unlink()
    derive(catalogue, {"release": "2.1.5"})
    new = "centos/7.6/aws/DCOS-2.1.5"
    assert json.loads((tmp_path / new / "base_images.json").read_text()) == {"us-west-2": "ami-2"}
    assert URL.format("2.1.5") in (tmp_path / new / "cluster_profile.tfvars").read_text()
    assert "release: 2.1.5" in (tmp_path / new / "mutes.yaml").read_text()
    assert not (
        tmp_path / new / "docker-18.09.9-ce/selinux_disabled/cluster_profile.tfvars"
    ).exists()


def test_a_file_at_that_height_that_would_reach_others_goes_into_the_leaf(tmp_path: Path) -> None:
    between = "centos/7.6/aws/DCOS-2.0.1"
    existing = "centos/7.6/aws/DCOS-2.1.5/docker-1.13.1"
    catalogue = small_catalogue(
        tmp_path, OLD, existing, files={f"{between}/base_images.json": {"us-west-2": "ami-2"}}
    )
    before = load_inputs(catalogue, catalogue.configuration(existing))
    derive(catalogue, {"release": "2.1.5"}, OLD)
    found = open_catalogue(tmp_path)
    assert load_inputs(found, found.configuration(existing)).digests == before.digests
    new = load_inputs(found, found.configuration(OLD.replace("2.0.1", "2.1.5")))
    assert new.base_images == {"us-west-2": "ami-2"}


def test_a_configuration_inside_of_another_is_neither_copied_nor_lost(tmp_path: Path) -> None:
    outer = "centos/7.6/aws/DCOS-2.0.1/docker-18.09.9-ce"
    inner = f"{outer}/tmp_noexec"
    catalogue = small_catalogue(tmp_path, outer, inner)
    derive(catalogue, {"release": "2.1.5"}, f"{inner}")
    new = outer.replace("2.0.1", "2.1.5")
    found = [item.path for item in open_catalogue(tmp_path).configurations()]
    assert f"{new}/tmp_noexec" in found
    assert new not in found
    other = small_catalogue(tmp_path / "second", outer, inner)
    targets = find_targets(other, [other.configuration(outer)], {"release": "2.1.5"})
    deriver = Deriver(other, targets)
    deriver.derive()
    assert all("tmp_noexec" not in change.path for change in deriver.draft.changes())


def test_the_nearest_older_version_is_the_source(tmp_path: Path) -> None:
    paths = [OLD.replace("2.0.1", release) for release in ("1.13.9", "2.0.10", "2.1.0", "2.2.0")]
    catalogue = small_catalogue(tmp_path, *paths)
    targets = find_targets(catalogue, catalogue.configurations(), {"release": "2.1.5"})
    (target,) = targets.new
    assert target.source.dimensions["release"] == "2.1.0"
    assert len(target.passed_over) == 3
    targets = find_targets(catalogue, catalogue.configurations(), {"release": "1.12.0"})
    assert targets.new[0].source.dimensions["release"] == "1.13.9"


def test_existing_configurations_are_told_and_left_alone(catalogue: Catalogue) -> None:
    write(catalogue.root, leaf_files(OLD.replace("2.0.1", "2.1.5")))
    catalogue = open_catalogue(catalogue.root)
    targets = find_targets(catalogue, catalogue.configurations(), {"release": "2.1.5"})
    assert targets.new == ()
    assert targets.existing == (OLD.replace("2.0.1", "2.1.5"),)


def test_a_file_in_the_way_is_not_overwritten(catalogue: Catalogue) -> None:
    new = OLD.replace("2.0.1", "2.1.5")
    write(catalogue.root, {f"{new}/README.md": "mine"})
    with pytest.raises(UsageError, match=r"README.md exists"):
        derive(open_catalogue(catalogue.root), {"release": "2.1.5"})
    assert files_in(catalogue.root, new) == {"README.md"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": "red"}, "not a dimension"),
        ({"release": ""}, "cannot be empty"),
        ({"release": "../../x"}, "No path of the layout"),
        ({"release": "a/b"}, "No path of the layout"),
        ({"release": "2.0\n"}, "No path of the layout"),
        ({"docker": "1/2"}, "No path of the layout"),
        ({"os": ".git"}, "No path of the layout"),
        ({"os": "a\u202eb"}, None),
    ],
)
def test_values_that_cannot_be_directories_are_refused(
    catalogue: Catalogue, values: dict[str, str], message: str | None
) -> None:
    if message is None:
        find_targets(catalogue, catalogue.configurations(), values)
    else:
        with pytest.raises((UsageError, InvalidInput), match=message):
            find_targets(catalogue, catalogue.configurations(), values)


def test_an_optional_dimension_can_be_taken_away(catalogue: Catalogue) -> None:
    derive(catalogue, {"variant": "none"})
    new = OLD.rpartition("/")[0]
    builder = json.loads((catalogue.root / new / "packer.json").read_text())["builders"][0]
    assert builder["ami_description"] == new


def test_a_new_os_version_warns_of_its_base_images_or_takes_new_ones(catalogue: Catalogue) -> None:
    (derived,) = derive(catalogue, {"os_version": "7.7"}, write_it=False)
    assert any("base images are still those of os_version 7.6" in text for text in derived.warnings)
    (derived,) = derive(catalogue, {"os_version": "7.7"}, base_images='{"us-west-2": "ami-77"}')
    assert not derived.warnings
    found = open_catalogue(catalogue.root)
    inputs = load_inputs(found, found.configuration(OLD.replace("7.6", "7.7")))
    assert inputs.base_images == {"us-west-2": "ami-77"}
    assert inputs.files["base_images"] == found.root / "centos/7.7/aws/base_images.json"
    assert inputs.template.builder["source_ami"] == "ami-77"


def test_base_images_that_stand_there_already_are_used(catalogue: Catalogue) -> None:
    write(catalogue.root, {"centos/7.7/aws/base_images.json": {"us-west-2": "ami-7"}})
    (derived,) = derive(open_catalogue(catalogue.root), {"os_version": "7.7"})
    assert not derived.warnings
    found = open_catalogue(catalogue.root)
    inputs = load_inputs(found, found.configuration(OLD.replace("7.6", "7.7")))
    assert inputs.base_images == {"us-west-2": "ami-7"}
    assert inputs.template.builder["source_ami"] == "ami-7"


def test_a_broken_source_makes_an_equally_broken_configuration(catalogue: Catalogue) -> None:
    (catalogue.root / OLD / "setup_volumes.sh").unlink()
    (derived,) = derive(catalogue, {"release": "2.1.5"})
    assert any("as broken as its source" in text for text in derived.warnings)


def test_a_wrong_description_is_set_right(catalogue: Catalogue) -> None:
    wrong = template(ami_description="centos/7.5/aws/DCOS-1.13.2/docker-18.09.2-ce")
    write(catalogue.root, {f"{OLD}/packer.json": wrong})
    derive(catalogue, {"release": "2.1.5"})
    new = OLD.replace("2.0.1", "2.1.5")
    builder: dict[str, Any] = json.loads((catalogue.root / new / "packer.json").read_text())
    assert builder["builders"][0]["ami_description"] == new


def test_a_configuration_that_has_everything_from_above_still_becomes_one(tmp_path: Path) -> None:
    parent = "centos/7.6/aws"
    files = {
        name.replace(OLD, parent): content
        for name, content in leaf_files(OLD).items()
        if isinstance(content, str)
    }
    plain = template()
    catalogue = small_catalogue(tmp_path, OLD, files={**files, f"{parent}/packer.json": plain})
    for name in leaf_files(OLD):
        (tmp_path / name).unlink()
    write(tmp_path, {f"{OLD}/dcos_images.yaml": "us-west-2: ami-1\n"})
    catalogue = open_catalogue(tmp_path)
    derive(catalogue, {"release": "2.1.5"})
    found = open_catalogue(tmp_path)
    new = found.configuration(OLD.replace("2.0.1", "2.1.5"))
    assert files_in(tmp_path, new.path) == {"publish_and_test_config.yaml"}
    load_inputs(found, new)


def test_links_out_of_the_catalogue_and_dangling_ones_stop_it(catalogue: Catalogue) -> None:
    link = catalogue.root / OLD / "link"
    for leads_to in ("/etc/hostname", "nowhere", "link"):
        link.unlink(missing_ok=True)
        link.symlink_to(leads_to)
        with pytest.raises(InvalidInput, match="link"):
            derive(catalogue, {"release": "2.1.5"})
    link.unlink()
    link.symlink_to("/etc")
    with pytest.raises(InvalidInput, match="link to a directory"):
        derive(catalogue, {"release": "2.1.5"})
    assert not (catalogue.root / OLD.replace("2.0.1", "2.1.5")).exists()


@needs_sample
def test_the_original_catalogue_gets_a_release_for_two_systems(tmp_path: Path) -> None:
    import shutil

    shutil.copytree(SAMPLE, tmp_path / "c")
    catalogue = open_catalogue(tmp_path / "c")
    before = {item.path for item in catalogue.configurations()}
    derived = derive(catalogue, {"release": "2.1.5"}, "*/7.*/**")
    found = {item.path for item in open_catalogue(tmp_path / "c").configurations()}
    assert found - before == {item.target.path for item in derived}
    assert len(derived) > 10
    for item in derived:
        leaf = tmp_path / "c" / item.target.path
        assert not (leaf / "dcos_images.yaml").exists()
        text = (leaf / "packer.json").read_text()
        assert f'"ami_description": "{item.target.path}"' in text
