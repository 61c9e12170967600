"""HCL templates read as JSON ones: the same recipe, and a name for what cannot be said."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.catalogue.files import parse_packer_template
from osqual.errors import InvalidFile, OsqualError
from osqual.recipe import normalised_template
from osqual.templates.template import parse_template, user_variables
from osqual.templates.template_hcl import PLUGINS

TEMPLATE = """\
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
  }
}
variable "region" {
  type    = string
  default = "us-west-2"
}
variable "secret" { default = env("SECRET") }
locals { stamp = regex_replace(timestamp(), "[- TZ:]", "") }
source "amazon-ebs" "image" {
  region      = var.region
  secret_key  = var.secret
  ami_name    = "thing-${local.stamp}"
  ami_regions = ["us-east-1", var.region]
  launch_block_device_mappings {
    device_name = "/dev/sde"
    volume_size = 50
  }
  source_ami_filter {
    filters = { name = "x*" }
    owners  = ["self"]
  }
}
build {
  sources = ["source.amazon-ebs.image"]
  provisioner "file" {
    source      = "./a"
    destination = "/tmp/a"
  }
  provisioner "shell" { inline = ["echo ${var.region}"] }
  post-processor "manifest" { output = "m.json" }
}
"""
JSON = """\
{
  "variables": {"region": "us-west-2", "secret": "{{env `SECRET`}}"},
  "builders": [{
    "type": "amazon-ebs", "region": "{{user `region`}}", "secret_key": "{{user `secret`}}",
    "ami_name": "thing-{{timestamp}}", "ami_regions": ["us-east-1", "{{user `region`}}"],
    "launch_block_device_mappings": [{"device_name": "/dev/sde", "volume_size": 50}],
    "source_ami_filter": {"filters": {"name": "x*"}, "owners": ["self"]}
  }],
  "provisioners": [
    {"type": "file", "source": "./a", "destination": "/tmp/a"},
    {"type": "shell", "inline": ["echo {{user `region`}}"]}
  ],
  "post-processors": [{"type": "manifest", "output": "m.json"}]
}
"""
NAME = "image.pkr.hcl"


def test_hcl_and_json_are_the_same_template() -> None:
    hcl, json = parse_packer_template(TEMPLATE, NAME), parse_template(JSON, "packer.json")
    assert {name: value for name, value in hcl.data.items() if name != PLUGINS} == dict(json.data)
    assert hcl.data[PLUGINS]["amazon"]["version"] == ">= 1.2.8"
    assert normalised_template(hcl) == normalised_template(json)
    assert user_variables(hcl, {"SECRET": "x"}) == {"region": "us-west-2", "secret": "x"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('sources = ["source.amazon-ebs.image"]', "", "names 0 sources"),
        ("source.amazon-ebs.image", "source.amazon-ebs.other", "no source amazon-ebs.other"),
        ("${local.stamp}", '${upper("a")}', "has no counterpart"),
        ("${local.stamp}", "${local.other}", "has no counterpart"),
        ("build {", "builds {", "0 `build` blocks"),
        ("locals { stamp =", "locals { stamp ==", "not valid HCL"),
        ('regex_replace(timestamp(), "[- TZ:]", "")', "local.stamp", "in a circle"),
    ],
)
def test_what_cannot_be_said_is_named(old: str, new: str, words: str) -> None:
    assert old in TEMPLATE
    with pytest.raises(InvalidFile, match=words):
        parse_packer_template(TEMPLATE.replace(old, new), NAME)


@given(st.text(alphabet='buildsource "{}=${}[]\n', max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(OsqualError):
        parse_packer_template(text, NAME)
