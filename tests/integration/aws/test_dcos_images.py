"""Configurations of dcos/dcos-images plan as they are, each from its right base image.

All of them go into one plan: planning each alone would start the provider a hundred times.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osqual.aws.tags import run_tags
from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import Catalogue, open_catalogue
from osqual.catalogue.inputs import ConfigurationInputs, load_inputs
from osqual.model import Configuration, Role
from osqual.platforms.base import ProvisionRequest, TerraformWish
from osqual.platforms.terraform_nodes import check_outputs
from osqual.platforms.terraform_variables import Given, cluster_variables
from osqual.products.definition import load_product
from osqual.recipe import build_region
from osqual.settings import Settings
from osqual.terraform.module import BUILT_IN_MODULES, Declared, read_declared
from osqual.terraform.planned import images, instance_types
from osqual.terraform.program import find_terraform
from osqual.terraform.workspace import Workspace
from tests.archives import unpack
from tests.integration.aws.conftest import REGION, World
from tests.scopes import Surroundings

pytestmark = [pytest.mark.aws, pytest.mark.timeout(900)]

FILES = Path(__file__).parents[2] / "fixtures" / "dcos_images" / "configurations.tar.xz"
MODULE = BUILT_IN_MODULES / "aws-cluster"
PROVIDER = re.compile(r'^provider "aws" \{.*?^\}\n', re.DOTALL | re.MULTILINE)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """The original's files, and an empty script wherever one is named."""
    root = tmp_path / "dcos-images"
    unpack(FILES, root)
    for path in root.rglob("packer.json"):
        for entry in json.loads(path.read_text())["provisioners"]:
            for name in [entry.get("script"), *entry.get("scripts", []), entry.get("source")]:
                if name and not (path.parent / name).exists():
                    (path.parent / name).write_text("#!/bin/sh\n")
    return open_catalogue(root)


def nearest_base(configuration: Configuration, region: str) -> str:
    """The base image as the files say, found without the program's own code."""
    directory = configuration.directory
    while not (directory / "base_images.json").exists():
        directory = directory.parent
    return str(json.loads((directory / "base_images.json").read_text())[region])


def variables_of(
    inputs: ConfigurationInputs, declared: Declared, catalogue: Catalogue
) -> dict[str, Any]:
    """What a run would give to the module before there is an image."""
    product = load_product("DCOS", catalogue.root, Settings())
    region = build_region(inputs.template)
    wish = TerraformWish(
        module="aws-cluster",
        region=region,
        stand_in=inputs.base_images[region],
        product_variables=product.variables,
    )
    request = ProvisionRequest(
        configuration=inputs.configuration,
        topology=inputs.topology,
        ssh_user=str(inputs.template.builder["ssh_username"]),
        variables=inputs.profile,
        terraform=wish,
    )
    given = Given(
        cluster_name="osqual",
        ssh_public_key="ssh-ed25519 AAAA test",
        operator_cidr="192.0.2.1/32",
        run_tags=run_tags("run", 0, 1),
        image=wish.stand_in,
    )
    return cluster_variables(request, wish, declared, given, {})


def write_modules(directory: Path, variables: Mapping[str, Mapping[str, Any]]) -> None:
    """A root module with the built-in one once for each configuration, all on one provider."""
    shutil.copytree(MODULE, directory / "cluster")
    main = directory / "cluster" / "main.tf"
    text, found = PROVIDER.subn("", main.read_text())
    assert found == 1
    main.write_text(text)
    document = {
        "provider": {"aws": {"region": REGION}},
        "module": {name: {"source": "./cluster", **given} for name, given in variables.items()},
    }
    (directory / "main.tf.json").write_text(json.dumps(document))


def test_every_configuration_plans_from_its_right_base_image(
    world: World, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in world.env.items():
        if name.startswith(("AWS_", "TF_")):
            monkeypatch.setenv(name, value)
    declared = read_declared(MODULE)
    check_outputs(declared.outputs, "aws-cluster")
    configurations = catalogue.configurations()
    assert len(configurations) == 125
    inputs = {
        f"c{number}": load_inputs(catalogue, item) for number, item in enumerate(configurations)
    }
    variables = {name: variables_of(item, declared, catalogue) for name, item in inputs.items()}
    assert {given["aws_region"] for given in variables.values()} == {REGION}

    # Equal variables make equal plans.
    kinds = {json.dumps(given, sort_keys=True): name for name, given in variables.items()}
    planned_as = {
        name: kinds[json.dumps(given, sort_keys=True)] for name, given in variables.items()
    }
    write_modules(tmp_path / "all", {name: variables[name] for name in kinds.values()})
    scope = Surroundings(tmp_path).scope
    terraform = find_terraform("terraform", None, Cancellation())
    workspace = Workspace.create(tmp_path / "workspace", terraform, {}, 60)
    workspace.init(str(tmp_path / "all"), scope)
    workspace.set_variables({})
    workspace.plan(scope)
    changes = workspace.planned(scope)["resource_changes"]
    for name, item in inputs.items():
        module = f"module.{planned_as[name]}"
        mine = [each for each in changes if each["module_address"] == module]
        planned = {"resource_changes": mine}
        assert images(planned) == {nearest_base(item.configuration, REGION)}, item.configuration
        profile = item.profile
        sizes = {
            Role.MASTER: profile["aws_master_instance_type"],
            Role.PRIVATE_AGENT: profile["aws_agent_instance_type"],
            Role.PUBLIC_AGENT: profile["aws_public_agent_instance_type"],
        }
        wanted = [sizes[role] for _, role in item.topology.names()]
        assert sorted(instance_types(planned)) == sorted(wanted), item.configuration
