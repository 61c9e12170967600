"""`osqual matrix`: who has what."""

from tests.fixtures.asking import BETA, IMAGES, NEWER, RHEL, Osqual, root
from tests.fixtures.catalogue_small import (
    LEAF,
    leaf_files,
    publish,
    write,
)


def test_the_matrix_counts_by_standing(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES, verdict="qualified")
    publish(root(), NEWER, IMAGES, verdict="rejected")
    publish(root(), BETA, IMAGES, verdict="inconclusive")
    publish(root(), RHEL, IMAGES)
    write(root(), leaf_files(LEAF.replace("enforcing", "disabled")))
    shown = osqual("matrix").out.splitlines()
    assert shown[0].split() == ["OS", "OS", "VERSION", "2.0.1", "2.0.10", "2.1.0-beta1"]
    assert shown[1].split() == ["centos", "7.6", "1+", "1-", "x", "?"]
    assert shown[2].split() == ["rhel", "7.5", "o"]
    document = osqual("matrix", "--rows", "os", "--cols", "os-version,release", "--json").json
    assert document["rows"] == ["os"]
    assert document["cells"][0]["dimensions"] == {
        "os": "centos",
        "os_version": "7.6",
        "release": "2.0.1",
    }
    assert [item["verdict"] for item in document["cells"][0]["configurations"]] == [
        "no image",
        "qualified",
    ]


def test_evidence_for_other_images_is_no_evidence(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES, verdict="qualified")
    write(root(), {f"{LEAF}/dcos_images.yaml": "us-west-2: ami-99\n"})
    (match,) = osqual("find", "--json").json
    assert match["verdict"] == "published without evidence"


def test_missing_tells_who_lacks_what(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    publish(root(), NEWER, IMAGES, verdict="rejected")
    gaps = osqual("matrix", "--missing", "--json").json
    assert [
        (gap["dimensions"]["os"], gap["dimensions"]["release"], gap["why"]) for gap in gaps
    ] == [
        ("centos", "2.0.10", "rejected"),
        ("centos", "2.1.0-beta1", "no image"),
        ("rhel", "2.0.1", "no image"),
        ("rhel", "2.0.10", "no configuration"),
        ("rhel", "2.1.0-beta1", "no configuration"),
    ]
    only = osqual("matrix", "--missing", "--release", "2.0.10").out.splitlines()[1:]
    assert [line.split()[0] for line in only] == ["centos", "rhel"]
    assert (
        "Nothing is missing"
        in osqual("matrix", "--missing", "--release", "2.0.1", "--os", "centos").err
    )


def test_aliases_share_a_column(osqual: Osqual) -> None:
    write(root(), leaf_files(RHEL.replace("19.03.5-ce", "19.03.5")))
    assert osqual("matrix", "--cols", "docker").out.splitlines()[0].split()[3:] == ["19.03.5-ce"]


def test_a_dimension_that_is_none_is_refused(osqual: Osqual) -> None:
    refused = osqual("matrix", "--rows", "os,flavour")
    assert refused.code == 2
    assert "os, os_version, platform" in refused.err
