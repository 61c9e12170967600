import json
from pathlib import Path

import pytest

from osqual.catalogue.catalogue import Catalogue, open_catalogue
from osqual.catalogue.inputs import ConfigurationInputs, load_inputs
from osqual.changes.apply import apply
from osqual.changes.assignment import parse_assignment, parse_removal
from osqual.changes.cover import covering
from osqual.changes.edit import Edited, Editor
from osqual.errors import InvalidInput, UsageError
from tests.fixtures.catalogue_small import small_catalogue, write

ONE = "centos/7.6/aws/DCOS-2.0.1/docker-19.03.5-ce/selinux_enforcing"
TWO = "centos/7.6/aws/DCOS-2.1.0/docker-19.03.5-ce/selinux_enforcing"
THREE = "centos/7.6/aws/DCOS-2.1.0/docker-19.03.5-ce/selinux_disabled"
OTHER = "rhel/7.7/aws/DCOS-2.1.0/docker-19.03.5-ce"
ALL = (ONE, TWO, THREE, OTHER)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return small_catalogue(tmp_path, *ALL)


def edit(catalogue: Catalogue, *assignments: str, at: str = "**", write_it: bool = True) -> Edited:
    parsed = [parse_assignment(a) if "=" in a else parse_removal(a) for a in assignments]
    edited = Editor(catalogue, catalogue.select([at])).edit(parsed)
    if write_it:
        apply(catalogue.root, edited.draft.changes())
    return edited


def inputs(catalogue: Catalogue, path: str) -> ConfigurationInputs:
    found = open_catalogue(catalogue.root)
    return load_inputs(found, found.configuration(path))


def test_a_key_is_set_in_every_selected_configuration(catalogue: Catalogue) -> None:
    edit(catalogue, "profile.aws_master_instance_type=m5.2xlarge", at="centos/**")
    for path in (ONE, TWO, THREE):
        profile = inputs(catalogue, path).profile
        assert profile == {"num_of_private_agents": "2", "aws_master_instance_type": "m5.2xlarge"}
    assert "aws_master_instance_type" not in inputs(catalogue, OTHER).profile


def test_kinds_and_types(catalogue: Catalogue) -> None:
    edited = edit(
        catalogue,
        "profile.num_of_private_agents=5",
        "template.builders.0.ebs_optimized=true",
        "template.builders.0.source_ami=12",
        "config.run_framework_tests=true",
        'config.tests_to_run=["a.py"]',
        "base_images.us-west-2=ami-5",
        at=ONE,
    )
    found = inputs(catalogue, ONE)
    assert found.profile["num_of_private_agents"] == "5"  # as text, as it was
    assert found.template.builder["ebs_optimized"] is True
    assert found.template.builder["source_ami"] == "12"
    assert found.publish_and_test.run_framework_tests
    assert found.publish_and_test.tests_to_run == ("a.py",)
    assert found.base_images == {"us-west-2": "ami-5"}
    assert inputs(catalogue, TWO).base_images == {"us-west-2": "ami-1"}
    assert any("used by 2 more" in note for note in edited.notes)


def test_dimensions_stand_for_each_configurations_own(catalogue: Catalogue) -> None:
    edit(
        catalogue, "profile.url=https://x.org/{release}/{variant}/{other}/${a}".partition("/${")[0]
    )
    assert inputs(catalogue, ONE).profile["url"] == "https://x.org/2.0.1/selinux_enforcing/{other}"
    assert inputs(catalogue, OTHER).profile["url"] == "https://x.org/2.1.0/none/{other}"
    edit(catalogue, "template.builders.0.ami_name=x-{{user `a`}}-{os}", at=OTHER)
    assert inputs(catalogue, OTHER).template.builder["ami_name"] == "x-{{user `a`}}-rhel"


def test_a_shared_file_is_edited_in_place_only_when_all_its_users_are_selected(
    catalogue: Catalogue,
) -> None:
    shared = "centos/7.6/aws/cluster_profile.tfvars"
    write(catalogue.root, {shared: 'expiration = "2h" # short\n'})
    for path in (ONE, TWO, THREE):
        (catalogue.root / path / "cluster_profile.tfvars").unlink()
    catalogue = open_catalogue(catalogue.root)
    edited = edit(catalogue, "profile.expiration=4h", at="centos/**")
    assert [change.path for change in edited.draft.changes()] == [shared]
    assert "all 3 configurations" in edited.notes[0]
    edited = edit(catalogue, "profile.expiration=6h", at="centos/7.6/aws/DCOS-2.1.0/**")
    changes = edited.draft.changes()
    copy = "centos/7.6/aws/DCOS-2.1.0/docker-19.03.5-ce/cluster_profile.tfvars"
    assert [(change.path, change.copied_from) for change in changes] == [(copy, shared)]
    assert inputs(catalogue, ONE).profile == {"expiration": "4h"}
    assert inputs(catalogue, THREE).profile == {"expiration": "6h"}
    assert (catalogue.root / copy).read_text() == 'expiration = "6h" # short\n'
    edited = edit(open_catalogue(catalogue.root), "profile.expiration=8h", at=TWO)
    assert [change.path for change in edited.draft.changes()] == [f"{TWO}/cluster_profile.tfvars"]


def test_what_lies_below_an_edited_configuration_keeps_what_it_had(tmp_path: Path) -> None:
    outer = "centos/7.6/aws/DCOS-2.0.1/docker-19.03.5-ce"
    inner = f"{outer}/tmp_noexec"
    catalogue = small_catalogue(tmp_path, outer, inner)
    (tmp_path / inner / "publish_and_test_config.yaml").unlink()
    (tmp_path / inner / "cluster_profile.tfvars").unlink()
    (tmp_path / outer / "cluster_profile.tfvars").unlink()
    catalogue = open_catalogue(tmp_path)
    before = inputs(catalogue, inner)
    targets = [catalogue.configuration(outer)]
    edited = Editor(catalogue, targets).edit(
        [parse_assignment("config.run_framework_tests=true"), parse_assignment("profile.x=1")]
    )
    apply(tmp_path, edited.draft.changes())
    assert inputs(catalogue, outer).publish_and_test.run_framework_tests
    assert inputs(catalogue, outer).profile == {"x": 1}
    assert inputs(catalogue, inner).digests == before.digests
    assert any("below one that changes" in note for note in edited.notes)


def test_a_missing_file_is_made_where_it_is_needed(catalogue: Catalogue) -> None:
    for path in ALL:
        (catalogue.root / path / "publish_and_test_config.yaml").unlink()
    catalogue = open_catalogue(catalogue.root)
    edited = edit(catalogue, "config.run_framework_tests=false", at=OTHER)
    assert [change.path for change in edited.draft.changes()] == [
        f"{OTHER}/publish_and_test_config.yaml"
    ]
    assert inputs(catalogue, ONE).publish_and_test.run_framework_tests


def test_unset(catalogue: Catalogue) -> None:
    edited = edit(catalogue, "profile.num_of_private_agents", "config.nothing", at="centos/**")
    assert inputs(catalogue, ONE).profile == {}
    assert len(edited.draft.changes()) == 3


def test_what_is_so_already_is_left_alone(catalogue: Catalogue) -> None:
    edited = edit(catalogue, "config.run_framework_tests=false")
    assert edited.draft.changes() == ()
    assert edited.unchanged == sorted(ALL)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("config.run_framework_tests=maybe", "true or false"),
        ("config.unknown=1", "not known"),
        ("config.publish_dcos_images_after=sometimes", "must be one of"),
        ("profile.num_of_masters=0", "number of nodes"),
        ("profile.x=${y}", "holds no"),
        ("template.builders=x", "is a list"),
        ("template.builders.4.type=x", "has 1 items"),
        ("base_images.us-west-2=", "must be a base image"),
        ("setup.x=1", "does not begin with a kind"),
        ("profile=1", "does not name a key"),
        ("profile.a..b=1", "does not name a key"),
        ("profile.x=\udcff", "not UTF-8"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_planned(
    catalogue: Catalogue, assignment: str, message: str
) -> None:
    with pytest.raises((UsageError, InvalidInput)) as caught:
        edit(catalogue, assignment)
    assert message in str(caught.value)


def test_every_broken_file_of_the_selection_is_named(catalogue: Catalogue) -> None:
    write(catalogue.root, {f"{ONE}/packer.json": "{", f"{TWO}/packer.json": "[]"})
    with pytest.raises(InvalidInput) as caught:
        edit(catalogue, "template.builders.0.x=1")
    assert f"{ONE}/packer.json:1" in caught.value.details
    assert TWO in caught.value.details
    edit(catalogue, "template.builders.0.x=1", at=OTHER)
    assert json.loads((catalogue.root / OTHER / "packer.json").read_text())["builders"][0]["x"] == 1


def test_a_key_with_dots_in_it(catalogue: Catalogue) -> None:
    edit(catalogue, r"template.variables.a\.b=1", at=ONE)
    assert inputs(catalogue, ONE).template.variables == {"a.b": 1}


def test_covering_is_as_high_as_it_is_exact_and_no_higher() -> None:
    everyone = ["a/1/x", "a/1/y", "a/2/x", "b/1/x"]
    assert covering(["a/1/x"], everyone) == {"a/1/x": ["a/1/x"]}
    assert covering(["a/1/x", "a/1/y"], everyone) == {"a/1": ["a/1/x", "a/1/y"]}
    assert covering(everyone[:3], everyone) == {"a": everyone[:3]}
    assert covering(everyone, everyone) == {"": everyone}
    assert covering(["a/1/x", "a/2/x"], everyone) == {"a/1/x": ["a/1/x"], "a/2/x": ["a/2/x"]}
    assert covering(["b/1/x"], everyone) == {"b/1/x": ["b/1/x"]}
    assert covering(everyone[:3], everyone, "a/1") == {
        "a/1": ["a/1/x", "a/1/y"],
        "a/2/x": ["a/2/x"],
    }
    nested = ["a", "a/b"]
    assert covering(["a"], nested) == {"a": ["a"]}
    assert covering(nested, nested) == {"a": nested}
