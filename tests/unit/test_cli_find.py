"""`osqual find`: which image to use."""

from pathlib import Path

import pytest

from tests.fixtures.asking import BETA, IMAGES, NEWER, RHEL, Osqual, root
from tests.fixtures.catalogue_small import (
    LEAF,
    publish,
    write,
)


def test_find_tells_which_image_to_use(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    publish(root(), NEWER, {"us-west-2": "ami-0a"}, verdict="qualified")
    found = osqual("find", "--os", "centos", "--region", "us-west-2")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].split() == ["IMAGE", "REGION", "CONFIGURATION", "VERDICT", "WHEN"]
    assert lines[1].split() == ["ami-0a", "us-west-2", NEWER, "qualified", "2026-01-02T03:04:05Z"]
    assert lines[2].split()[:3] == ["ami-0f", "us-west-2", LEAF]
    assert "published without evidence" in lines[2]


def test_find_for_scripts(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    publish(root(), NEWER, {"us-west-2": "ami-0a"}, verdict="rejected")
    (match, *_) = osqual("find", "--release", "2.0.1", "--json").json
    assert match == {
        "image": "ami-0e",
        "region": "us-east-1",
        "configuration": LEAF,
        "dimensions": {
            "os": "centos",
            "os_version": "7.6",
            "platform": "aws",
            "product": "DCOS",
            "release": "2.0.1",
            "docker": "19.03.5-ce",
            "variant": "selinux_enforcing",
        },
        "verdict": "published without evidence",
        "when": "2019-10-03T12:08:26Z",
        "file": None,
    }
    assert osqual("find", "--id-only", "--region", "us-west-2").out == "ami-0f\n"
    rejected = osqual("find", "--id-only", "--region", "*-2", "--verdict", "rejected")
    assert rejected.out == "ami-0a\n"


def test_an_id_without_its_region_is_not_given(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    refused = osqual("find", "--id-only")
    assert (refused.code, refused.out) == (2, "")
    assert "--region" in refused.err
    write(root(), {"osqual.yaml": "default_region: us-east-1\n"})
    assert osqual("find", "--id-only").out == "ami-0e\n"


def test_find_says_so_when_nothing_is_published_at_all(osqual: Osqual) -> None:
    none = osqual("find", "--os", "centos", "--release", "9.9")
    assert (none.code, none.out) == (1, "")
    assert "No configuration of this catalogue has a published image." in none.err


def test_find_names_the_nearest_when_there_is_none(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    publish(root(), RHEL, IMAGES)
    none = osqual("find", "--os", "centos", "--os-version", "7.6", "--release", "2.0.2")
    assert none.code == 1
    assert none.out == ""
    assert "No configuration matches: os = centos, os-version = 7.6, release = 2.0.2" in none.err
    nearest = none.err.splitlines()[2]
    assert nearest.split() == [LEAF, "(release", "2.0.1)"]
    unpublished = osqual("find", "--release", "2.0.10", "--json")
    assert unpublished.json == []
    assert "1 configuration without a published image:\n  " in unpublished.err
    elsewhere = osqual("find", "--release", "2.0.1", "--region", "eu-west-1")
    assert "in the regions us-east-1, us-west-2" in elsewhere.err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--release", ">=2.0.2"], [NEWER, BETA]),
        (["--release", ">=2.0.1", "--release", "<2.1.0-beta1"], [LEAF, RHEL, NEWER]),
        (["--release", "<2.1.0"], [LEAF, RHEL, NEWER, BETA]),
        (["--release", "2.0.1", "--release", "2.1.*"], [LEAF, RHEL, BETA]),
        (["--release", "2.*", "--release", "!=2.0.1"], [NEWER, BETA]),
        (["--release", "!=2.0.*"], [BETA]),
        (["--os", "r*"], [RHEL]),
        (["--os-version", "==7.5.0"], [RHEL]),
        (["--variant", "none"], [RHEL]),
        (["--variant", "!=none"], [LEAF, NEWER, BETA]),
        (["--variant", "selinux_enabled_enforcing"], [LEAF, NEWER, BETA]),
        (["--docker", "19.03.5"], [LEAF, RHEL, NEWER, BETA]),
        (["--docker", ">19.03.4", "--docker", "<19.4"], [LEAF, RHEL, NEWER, BETA]),
        (["--product", "dcos"], []),
    ],
    ids=" ".join,
)
def test_every_dimension_is_a_filter(
    osqual: Osqual, options: list[str], expected: list[str]
) -> None:
    found = osqual("recipes", *options, "--json").json["recipes"]
    assert sorted(path for group in found for path in group["configurations"]) == sorted(expected)


@pytest.mark.parametrize(
    "value", ["", " ", ">=", ">=2.*", "[z-a]", ">>2", "=>2", "=<2", "<>2", "!!2"]
)
def test_conditions_that_say_nothing_are_refused(osqual: Osqual, value: str) -> None:
    refused = osqual("find", "--release", value)
    assert (refused.code, refused.out) == (2, "")


def test_another_layout_has_other_options(osqual: Osqual, tmp_path: Path) -> None:
    write(
        tmp_path / "other",
        {
            "osqual.yaml": "layout: '{kernel}-{arch}'\n",
            "6.1-amd64/dcos_images.yaml": "local: ami-1\n",
            "6.10-amd64/dcos_images.yaml": "local: ami-2\n",
        },
    )
    for where in (["-C", str(tmp_path / "other")], [f"--catalogue={tmp_path / 'other'}"]):
        assert osqual("find", *where, "--kernel", ">6.9", "--id-only").out == "ami-2\n"
    assert "--kernel" in osqual("find", "-C", str(tmp_path / "other"), "--help").out
    assert osqual("find", "--kernel", "6.1").code == 2
