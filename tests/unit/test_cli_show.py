"""`osqual show`, `recipes` and `ancestry`: where things are from, and who shares them."""

from tests.fixtures.asking import BETA, IMAGES, NEWER, RHEL, Osqual, root
from tests.fixtures.catalogue_small import (
    LEAF,
    publish,
    write,
)


def test_show_tells_where_everything_is_from(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES, verdict="rejected", run="r7", reasons=["1 test failed"])
    text = osqual("show", f"{LEAF}/").out
    for part in (
        "centos/7.6/aws/base_images.json",
        "us-west-2  ami-1",
        "private agents  2",
        "shared with 2:",
        NEWER,
        "rejected",
        "1 test failed",
        "us-east-1  ami-0e",
    ):
        assert part in text
    document = osqual("show", LEAF, "--json").json
    assert document["files"]["install.sh"] == f"{LEAF}/install.sh"
    assert document["files"]["base_images.json"] == "centos/7.6/aws/base_images.json"
    assert document["recipe"]["shared_with"] == sorted([LEAF, NEWER, BETA])
    assert document["run"] == "r7"
    assert document["cluster"] == {"masters": 1, "private_agents": 2, "public_agents": 1}
    assert document["tests"]["run_integration_tests"] is True
    assert document["missing"] == []
    assert document["files"]["setup.sh"] is None


def test_show_tells_what_is_missing_and_broken_beside_the_rest(osqual: Osqual) -> None:
    (root() / LEAF / "install.sh").unlink()
    write(
        root(),
        {
            f"{LEAF}/dcos_images.yaml": "us-west-2: [",
            f"{LEAF}/publish_and_test_config.yaml": "run_framework_tests: maybe\n",
            f"{LEAF}/cluster_profile.tfvars": "num_of_masters = 0\n",
            f"{LEAF}/qualification.json": "{}",
        },
    )
    shown = osqual("show", LEAF)
    assert shown.code == 0
    assert "install.sh" in shown.out
    assert "MISSING" in shown.out
    assert "unknown: the file" in shown.out
    for place in (
        "dcos_images.yaml:1",
        "publish_and_test_config.yaml:1: run_framework_tests",
        "cluster_profile.tfvars:1: num_of_masters",
        "qualification.json: verdict",
    ):
        assert place in shown.err
    document = osqual("show", LEAF, "--json").json
    assert document["missing"] == ["install.sh"]
    assert document["files"]["install.sh"] is None
    assert document["tests"] is None, "its file is broken"
    assert document["recipe"]["digest"] is None


def test_recipes_group_what_is_built_once(osqual: Osqual) -> None:
    document = osqual("recipes", "--json").json
    assert [group["configurations"] for group in document["recipes"]] == [
        sorted([LEAF, NEWER, BETA]),
        [RHEL],
    ]
    assert "2 recipes for 4 configurations" in osqual("recipes").out
    assert len(osqual("recipes", "--shared", "--json").json["recipes"]) == 1
    (root() / RHEL / "install.sh").unlink()
    broken = osqual("recipes")
    assert "install.sh' is missing" in broken.err
    assert "1 recipe for 3 configurations" in broken.out


def test_ancestry_of_a_base_and_of_what_was_built_on_it(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    write(root(), {"rhel/7.5/aws/base_images.json": {"us-west-2": "ami-0f"}})
    document = osqual("ancestry", "ami-1", "--json").json
    assert document["base_in"] == [
        {"file": "centos/7.6/aws/base_images.json", "region": "us-west-2"}
    ]
    derived = {item["configuration"]: item for item in document["derived"]}
    assert sorted(derived) == sorted([LEAF, NEWER, BETA])
    assert [item["configuration"] for item in derived[LEAF]["derived"]] == [RHEL]
    built = osqual("ancestry", "ami-0f")
    assert f"published by {LEAF} (us-west-2)" in built.out
    assert "built on ami-1 (us-west-2)" in built.out
    assert f"    {RHEL}" in built.out
    assert osqual("ancestry", "ami-unknown").code == 1
    # what leads to a configuration that is wanted stands above it
    document = osqual("ancestry", "ami-1", "--os", "rhel", "--json").json
    assert [item["configuration"] for item in document["derived"]] == [LEAF]
    newer = osqual("ancestry", "ami-1", "--release", "2.0.10", "--json").json
    assert [item["configuration"] for item in newer["derived"]] == [NEWER]


def test_ancestry_survives_images_that_are_their_own_base(osqual: Osqual) -> None:
    publish(root(), LEAF, {"us-west-2": "ami-1"})
    assert osqual("ancestry", "ami-1").code == 0


def test_show_is_silent_about_what_is_broken_elsewhere(osqual: Osqual) -> None:
    (root() / RHEL / "publish_and_test_config.yaml").write_text("[")
    assert osqual("show", LEAF).err == ""
    assert f"{RHEL}/publish_and_test_config.yaml:1" in osqual("show", RHEL).err


def test_show_tells_which_mutes_are_in_force(osqual: Osqual) -> None:
    entry = "- {{test: {}, reason: broken, ticket: 'https://example.org/{}', until: {}}}\n"
    text = entry.format("test_a", 1, "2999-01-01") + entry.format("test_b", 2, "2020-01-01")
    write(root(), {"centos/mutes.yaml": text})
    muted = osqual("show", LEAF, "--json").json["muted"]
    assert [(item["test"], item["file"], item["until"]) for item in muted] == [
        ("test_a", "centos/mutes.yaml", "2999-01-01")
    ]
    assert "https://example.org/1" in osqual("show", LEAF).out
    assert osqual("show", RHEL, "--json").json["muted"] == []
