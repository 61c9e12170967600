"""The whole pipeline in a cloud: from a template to published images, and nothing left."""

import json

import pytest
import yaml

from tests.integration.aws.conftest import BASE, LEAF, OTHER_REGION, REGION, World

pytestmark = [pytest.mark.aws, pytest.mark.timeout(900)]


def tags_of(item: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}


def stumble(world: World) -> None:
    """What a cloud does that is slow, overloaded, and not of one mind yet."""
    proxy = world.cloud.proxy
    proxy.fail("RunInstances", "RequestLimitExceeded", times=2)
    proxy.fail("DescribeInstances", "InternalError", status=500, times=2)
    proxy.fail("DescribeVpcs", "InvalidVpcID.NotFound", status=400, times=1, after=1)
    proxy.fail("ModifyImageAttribute", "InvalidAMIID.NotFound", status=400, times=1, after=2)
    # Terraform destroys twice in vain: what is left is ended by its tag.
    proxy.fail("DeleteKeyPair", "InternalError", status=400, times=2)


def test_from_a_template_to_published_images(world: World) -> None:
    world.own_provider()
    stumble(world)
    result = world.run()
    assert result["verdict"] == "qualified"
    assert set(result["images"]) == {REGION, OTHER_REGION}
    assert (world.root / "provisioned").exists(), "provisioners really ran"
    assert (world.root / "uploaded").read_text() == "hello\n"

    images = yaml.safe_load((world.leaf / "dcos_images.yaml").read_text())
    assert images == result["images"]
    history = json.loads((world.leaf / "packer_build_history.json").read_text())
    assert history["builds"][-1]["artifact_id"] == ",".join(
        f"{region}:{images[region]}" for region in sorted(images)
    )
    for region, image_id in images.items():
        assert world.cloud.is_public(region, image_id)
    (image,) = world.cloud.own_images()
    assert tags_of(image)["osqual_base"] == BASE
    assert tags_of(image)["osqual_run"] == result["run"]
    assert world.cloud.left() == {}
    assert "testing" not in "".join(
        path.read_text(errors="replace") for path in (world.root / "state").rglob("packer.json")
    )

    # A second run finds the image by its recipe, and builds nothing.
    world.without_cluster()
    builds = world.cloud.proxy.calls.count("CreateImage")
    again = world.run()
    assert again["image_reused"]
    assert again["images"] == result["images"]
    assert world.cloud.proxy.calls.count("CreateImage") == builds


def test_a_dry_run_plans_for_real_and_creates_nothing(world: World) -> None:
    done = world.osqual("run", LEAF, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "the image is built" in done.stdout
    assert "integration (command)" in done.stdout
    assert "master-1" in done.stdout
    assert world.cloud.left() == {}
    assert world.cloud.own_images() == []
    assert world.published() == set()
    assert not any(call.startswith(("Create", "Run")) for call in world.cloud.proxy.calls)


HCL = """
variable "region" {{
  default = "{region}"
}}

source "amazon-ebs" "thing" {{
  region               = var.region
  instance_type        = "m4.xlarge"
  source_ami           = "ami-00000000"
  ami_name             = "thing-${{timestamp()}}"
  ssh_username         = "{user}"
  ssh_host             = "127.0.0.1"
  ssh_port             = {port}
  ssh_private_key_file = "{key}"
}}

build {{
  sources = ["source.amazon-ebs.thing"]

  provisioner "shell" {{
    script = "provision.sh"
  }}
}}
"""


def test_a_template_in_hcl_builds_as_one_in_json(world: World) -> None:
    world.without_cluster()
    settings = (world.catalogue / "osqual.yaml").read_text()
    world.settings(settings + "files: {template: packer.pkr.hcl}\n")
    template = world.leaf / "packer.json"
    builder = json.loads(template.read_text())["builders"][0]
    template.unlink()
    (world.leaf / "packer.pkr.hcl").write_text(
        HCL.format(
            region=REGION,
            user=builder["ssh_username"],
            port=builder["ssh_port"],
            key=builder["ssh_private_key_file"],
        )
    )
    result = world.run()
    assert set(result["images"]) == {REGION}
    assert (world.root / "provisioned").exists()
    (image,) = world.cloud.own_images()
    assert image["Name"].startswith("thing-")
    assert not world.cloud.is_public(REGION, image["ImageId"])
