"""Bad input is a named error, exit code 2, before anything is created."""

import json
from collections.abc import Callable

import pytest

from tests.integration.aws.conftest import LEAF, OUTPUTS, World

pytestmark = [pytest.mark.aws, pytest.mark.timeout(900)]


def no_builder(world: World) -> None:
    (world.leaf / "packer.json").write_text('{"builders": []}')


def several_builders(world: World) -> None:
    path = world.leaf / "packer.json"
    document = json.loads(path.read_text())
    document["builders"] *= 2
    path.write_text(json.dumps(document))


def append_to_profile(world: World, line: str) -> None:
    path = world.leaf / "cluster_profile.tfvars"
    path.write_text(path.read_text() + line + "\n")


def other_module(world: World, text: str) -> None:
    module = world.catalogue / "module"
    module.mkdir()
    (module / "main.tf").write_text(text)
    world.settings("terraform: {module: ./module}\n")


def old_terraform(world: World) -> None:
    (world.leaf / ".terraform-version").write_text("0.11.14\n")


NO_OUTPUTS = 'variable "aws_ami" {}\nvariable "aws_region" {}\n'

KEYED = 'provider "aws" {\n  region = var.aws_region\n}\nvariable "ssh_key_name" {}\n'


def no_base_image(world: World) -> None:
    (world.leaf / "base_images.json").write_text('{"eu-west-1": "ami-0123456789abcdef0"}')
    world.edit_template(source_ami="")


def key_pair_of_the_account(world: World) -> None:
    outputs = "".join(f'output "{name}" {{\n  value = []\n}}\n' for name in OUTPUTS)
    other_module(world, NO_OUTPUTS + KEYED + outputs)
    profile = f'ssh_key_name = "nobody"\nthing_url = "{world.cloud.direct}"\n'
    (world.leaf / "cluster_profile.tfvars").write_text(profile)
    key = world.root.parent / "ssh" / "builder"
    world.settings(f"terraform: {{module: ./module}}\naws: {{ssh_private_key: {key}}}\n")


# What is broken -> how it is broken, and what the error says. Those that need no Terraform first.
CASES: dict[str, tuple[Callable[[World], object], str]] = {
    "no builder": (no_builder, "no builder"),
    "several builders": (several_builders, "there are 2 builders"),
    "provisioner file missing": (
        lambda world: (world.leaf / "provision.sh").unlink(),
        "'provision.sh' is missing",
    ),
    "unknown region": (lambda world: world.edit_template(region="us-west-9"), "us-west-9"),
    "base image gone": (
        lambda world: (world.leaf / "base_images.json").write_text(
            '{"us-west-2": "ami-0123456789abcdef0"}'
        ),
        "ami-0123456789abcdef0 does not exist in us-west-2",
    ),
    "no base image for the region": (no_base_image, "there is no base image for us-west-2"),
    "no image where the cluster is": (
        lambda world: append_to_profile(world, 'aws_region = "eu-west-1"'),
        "no image in eu-west-1",
    ),
    "unknown instance type": (
        lambda world: world.edit_template(instance_type="m4.gigantic"),
        "does not offer the instance type m4.gigantic",
    ),
    "credential in the template": (
        lambda world: world.edit_template(secret_key="literally"),
        "secret_key holds a credential",
    ),
    "undefined template variable": (
        lambda world: world.edit_template(ami_name="x-{{user `nmae`}}"),
        "nmae",
    ),
    "installer missing": (
        lambda world: append_to_profile(world, f'thing_url = "{world.cloud.direct}/nothing/here"'),
        "answers with status",
    ),
    "terraform of another version": (old_terraform, "0.11.14 is wanted"),
    "unknown built-in module": (
        lambda world: world.settings("terraform: {module: aws-clutser}\n"),
        "no built-in Terraform module",
    ),
    "unknown variable": (
        lambda world: append_to_profile(world, 'num_of_mastres = "3"'),
        "num_of_mastres (did you mean num_of_masters?)",
    ),
    "module without outputs": (
        lambda world: other_module(world, NO_OUTPUTS),
        "does not have the outputs master_public_ips",
    ),
    "too expensive": (
        lambda world: world.settings("aws: {prices: {us-west-2: {m5.large: 100}}}\n"),
        "600.00 USD",
    ),
    "key pair missing": (key_pair_of_the_account, "no key pair 'nobody'"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_named_before_anything_is_created(world: World, name: str) -> None:
    spoil, words = CASES[name]
    spoil(world)
    done = world.osqual("run", LEAF, "--max-cost", "10", *_without_limit(name))
    assert done.returncode == 2
    assert words in done.stderr + done.stdout
    assert world.cloud.left() == {}
    assert world.cloud.own_images() == []
    assert world.published() == set()


def _without_limit(name: str) -> tuple[str, ...]:
    """Only one case is about the cost; the others have no prices, and no limit."""
    return () if name == "too expensive" else ("--max-cost", "1000000")


def test_no_credentials(world: World) -> None:
    done = world.osqual("run", LEAF, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert done.returncode == 2
    assert "no credentials for AWS" in done.stderr + done.stdout
