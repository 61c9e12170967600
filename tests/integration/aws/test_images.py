"""Published images: verified in each region, cleaned up by tag, withdrawn; bases renewed."""

import json

import pytest
import yaml

from tests.integration.aws.conftest import BASE, LEAF, NEWER, OTHER_REGION, REGION, World

pytestmark = [pytest.mark.aws, pytest.mark.timeout(900)]


def publish(world: World) -> dict[str, str]:
    """Have an image built and published, without a cluster."""
    if not (world.catalogue / "module").exists():
        world.without_cluster()
    config = world.leaf / "publish_and_test_config.yaml"
    config.write_text("publish_dcos_images_after: packer_build\n")
    images: dict[str, str] = world.run()["images"]
    return images


def test_images_from_publishing_to_revoking(world: World) -> None:
    images = publish(world)
    done = world.osqual("images", "verify", "--json")
    assert done.returncode == 0
    assert [(item["region"], item["problems"]) for item in json.loads(done.stdout)] == [
        (OTHER_REGION, []),
        (REGION, []),
    ]

    # Somebody makes one private, and removes the other.
    world.cloud.client().modify_image_attribute(
        ImageId=images[REGION],
        Attribute="launchPermission",
        LaunchPermission={"Remove": [{"Group": "all"}]},
    )
    world.cloud.client(region=OTHER_REGION).deregister_image(ImageId=images[OTHER_REGION])
    done = world.osqual("images", "verify")
    assert done.returncode == 1
    assert "it does not exist" in done.stdout
    assert "it is private" in done.stdout

    # The base is withdrawn: everything that descends from it goes with it.
    done = world.osqual("images", "revoke", BASE, "--reason", "CVE-1", "--quiet")
    assert done.returncode == 0, done.stderr
    withdrawn = yaml.safe_load((world.catalogue / "withdrawn_images.yaml").read_text())
    assert withdrawn[images[REGION]]["derives_from"] == BASE
    tags = world.cloud.own_images()[0]["Tags"]
    assert {"Key": "osqual_revoked", "Value": "CVE-1"} in tags
    found = world.osqual("find", "--os", "centos")
    assert found.returncode == 1
    assert "is revoked" in found.stderr
    assert "is revoked" in world.osqual("plan").stdout


def test_gc_removes_what_nothing_refers_to(world: World) -> None:
    images = publish(world)
    (world.leaf / "provision.sh").write_text("#!/bin/sh\ntrue\n")
    newer = publish(world)
    assert newer != images
    assert json.loads(world.osqual("images", "gc", "--json").stdout) == []
    listed = world.osqual("images", "gc", "--older-than", "0", "--json")
    assert {row["id"] for row in json.loads(listed.stdout)} == set(images.values())
    assert len(world.cloud.own_images()) == 2
    assert world.osqual("images", "gc", "--older-than", "0", "--delete").returncode == 0
    assert [image["ImageId"] for image in world.cloud.own_images()] == [newer[REGION]]


def test_a_machine_is_booted_from_each_image_and_ended(world: World) -> None:
    publish(world)
    done = world.osqual("images", "verify", "--boot")
    assert done.returncode == 0, done.stdout
    assert world.cloud.proxy.calls.count("RunInstances") == 3
    assert world.cloud.left() == {}


def test_a_newer_base_is_found_and_taken_over(world: World) -> None:
    done = world.osqual("base", "check")
    assert done.returncode == 1
    assert NEWER in done.stdout
    assert world.osqual("base", "update", "--force", "**").returncode == 0
    base = world.catalogue / "centos" / "7.6" / "aws" / "base_images.json"
    assert json.loads(base.read_text()) == {REGION: NEWER}
    assert world.osqual("base", "check").returncode == 0
    assert LEAF in world.osqual("plan").stdout
