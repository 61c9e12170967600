"""The effective template of a cloud build: base, tags, no credential, nothing public too early."""

import json
from pathlib import Path
from typing import Any

import pytest

from osqual.builders.ami_template import (
    SecretInTemplate,
    SeveralBuilders,
    ami_builder,
    base_image,
    build_regions,
    check_template,
    is_public,
)
from osqual.builders.base import BuildRequest
from osqual.errors import InvalidInput
from osqual.model import Configuration, Recipe
from osqual.templates.template import PackerTemplate, parse_template


def template(variables: dict[str, Any] | None = None, **builder: Any) -> PackerTemplate:
    document = {
        "variables": variables or {},
        "builders": [
            {
                "type": "amazon-ebs",
                "region": "us-west-2",
                "source_ami": "ami-1",
                "ami_groups": "all",
                **builder,
            }
        ],
    }
    return parse_template(json.dumps(document), "packer.json")


def request(found: PackerTemplate, **base_images: str) -> BuildRequest:
    return BuildRequest(
        configuration=Configuration(root=Path("/c"), path="centos/7/aws", dimensions={}),
        template=found,
        recipe=Recipe(digest="d" * 64, inputs={}),
        base_images={name.replace("_", "-"): value for name, value in base_images.items()},
        find_file=Path,
    )


def built(found: PackerTemplate, **options: Any) -> dict[str, Any]:
    given = {"public_at_build": False, "endpoint": None, **options}
    return ami_builder(
        request(found),
        base="ami-2",
        run_tags={"osqual_run": "r", "osqual_expires": "later"},
        **given,
    )


def test_the_builder_is_completed_and_loses_credentials_and_publicity() -> None:
    builder = built(
        template(
            access_key="{{user `a`}}",
            secret_key="{{user `b`}}",
            tags={"team": "x"},
            ami_description="old",
        )
    )
    assert builder["source_ami"] == "ami-2"
    assert builder["ami_description"] == "centos/7/aws"
    assert not {"access_key", "secret_key", "ami_groups"} & builder.keys()
    assert builder["tags"] == {
        "team": "x",
        "osqual_recipe": "d" * 64,
        "osqual_base": "ami-2",
        "osqual_configuration": "centos/7/aws",
        "osqual_run": "r",
    }
    assert builder["run_tags"] == {"osqual_run": "r", "osqual_expires": "later"}
    assert "custom_endpoint_ec2" not in builder


def test_settings_may_publish_at_build_and_the_environment_may_name_an_endpoint() -> None:
    builder = built(template(), public_at_build=True, endpoint="http://127.0.0.1:1")
    assert builder["ami_groups"] == "all"
    assert builder["custom_endpoint_ec2"] == "http://127.0.0.1:1"
    assert is_public(template(ami_groups=["all"]))
    assert not is_public(template(ami_groups=[]))


def test_the_nearest_base_image_of_the_region_wins_over_the_template() -> None:
    assert base_image(request(template(), us_west_2="ami-3", us_east_1="ami-4")) == "ami-3"
    assert base_image(request(template())) == "ami-1"
    with pytest.raises(InvalidInput, match="no base image for us-west-2"):
        base_image(request(template(source_ami="")))
    filtered = template(source_ami="", source_ami_filter={"owners": ["self"]})
    assert base_image(request(filtered)) == ""


def test_every_region_once_the_one_of_the_build_first() -> None:
    found = template({"r": "eu-west-1"}, ami_regions=["us-east-1", "us-west-2", "{{user `r`}}"])
    assert build_regions(found, {}) == ("us-west-2", "us-east-1", "eu-west-1")


def test_what_packer_would_only_warn_about_or_never_see() -> None:
    check_template(template({"k": "{{env `K`}}"}, secret_key="{{user `k`}}"), {})
    with pytest.raises(InvalidInput, match="does not define: nmae"):
        check_template(template(ami_name="x-{{user `nmae`}}"), {})
    with pytest.raises(InvalidInput, match="'k' is required"):
        check_template(template({"k": None}), {})
    with pytest.raises(SecretInTemplate) as secret:
        check_template(template(secret_key="literally"), {})
    assert "literally" not in str(secret.value)
    two = parse_template('{"builders": [{"type": "a"}, {"type": "b"}]}', "packer.json")
    with pytest.raises(SeveralBuilders):
        check_template(two, {})
