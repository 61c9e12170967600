"""Terraform's program, modules and words: versions, declared names, outputs, causes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from osqual.cancellation import Cancellation
from osqual.errors import InfrastructureError, InvalidInput
from osqual.model import Configuration, Role, SshIdentity, Topology
from osqual.platforms.base import ProvisionRequest, TerraformWish
from osqual.platforms.terraform_nodes import Access, check_outputs, nodes_of, normal_name
from osqual.platforms.terraform_variables import (
    Given,
    MissingVariable,
    UnknownVariable,
    UnsuitableModule,
    cluster_variables,
)
from osqual.settings import Aws
from osqual.terraform.failure import ModuleUnavailable, NoCapacity, VariablesRefused, explain
from osqual.terraform.module import BUILT_IN_MODULES, Declared, module_source, read_declared
from osqual.terraform.planned import images, instance_types, on_demand_types
from osqual.terraform.program import TerraformMismatch, WantedVersion, find_terraform
from osqual.terraform.workspace import Workspace
from tests.scopes import Surroundings


@pytest.mark.parametrize(
    ("text", "version", "allowed"),
    [
        ("1.5.7", "1.5.7", True),
        ("v1.5.7\n", "1.5.7", True),
        ("0.11.14", "1.11.4", False),
        (">= 1.5, < 2", "1.11.4", True),
        ("~> 1.5", "1.11.4", True),
        ("~> 1.5.0", "1.11.4", False),
        ("latest:^1.5", "1.11.4", True),
    ],
)
def test_a_wanted_version_is_one_or_a_range(text: str, version: str, allowed: bool) -> None:
    assert WantedVersion(text=text, source="test").allows(Version(version)) is allowed


def test_a_version_that_is_neither_is_named_with_its_source() -> None:
    with pytest.raises(InvalidInput, match=r"osqual\.yaml: 'newest' is not a version"):
        WantedVersion(text="newest", source="osqual.yaml").allows(Version("1.0"))


def program(tmp_path: Path, says: str) -> str:
    path = tmp_path / "terraform"
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("says", ["Terraform v1.11.4", "OpenTofu v1.11.4"])
def test_the_program_says_its_version(tmp_path: Path, says: str) -> None:
    wanted = WantedVersion(text="1.11.4", source="test")
    found = find_terraform(program(tmp_path, says), wanted, Cancellation())
    assert found.version == Version("1.11.4")
    assert found.environment["TFENV_TERRAFORM_VERSION"] == "1.11.4"


def test_another_version_and_another_program_are_named(tmp_path: Path) -> None:
    wanted = WantedVersion(text="0.11.14", source="the product dcos")
    with pytest.raises(TerraformMismatch, match=r"version 1\.11\.4, and 0\.11\.14 is wanted"):
        find_terraform(program(tmp_path, "Terraform v1.11.4"), wanted, Cancellation())
    with pytest.raises(InvalidInput, match="does not say"):
        find_terraform(program(tmp_path, "hello"), None, Cancellation())


@pytest.mark.parametrize(("version", "told"), [("0.11.14", True), ("1.11.4", False)])
def test_an_old_terraform_validates_without_values_for_variables(
    tmp_path: Path, version: str, told: bool
) -> None:
    path = tmp_path / "terraform"
    path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\necho Terraform v{version}\n')
    path.chmod(0o755)
    terraform = find_terraform(str(path), None, Cancellation())
    Workspace.create(tmp_path / "workspace", terraform, {}, 60)
    workspace = Workspace.open(tmp_path / "workspace")
    assert workspace is not None
    workspace.validate(Surroundings(tmp_path).scope)
    said = (tmp_path / "said").read_text().splitlines()[-1]
    assert said.startswith("validate")
    assert ("-check-variables=false" in said) is told


MODULE = """\
# variable "commented" {
variable "needed" {}
variable "plain" { default = "a } brace" }
variable "described" {
  description = "the default = x of it {"
  type = map(string)
}
variable "block" {
  type    = "map"
  default {
    a = "b"
  }
}
output "Master Public IPs" {
  value = ["${aws_instance.master.*.public_ip}"]
}
"""


def test_a_module_is_read_whatever_its_age(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(MODULE)
    (tmp_path / "more.tf.json").write_text(
        json.dumps({"variable": {"json": {"default": 1}}, "output": {"out": {"value": 1}}})
    )
    declared = read_declared(tmp_path)
    assert declared.variables == {
        "needed": True,
        "plain": False,
        "described": True,
        "block": False,
        "json": False,
    }
    assert declared.outputs == {"Master Public IPs", "out"}


@given(st.text(alphabet='variableoutput "{}=\n#\\x', max_size=200))
def test_any_text_as_a_module_is_read_without_an_error(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "main.tf").write_text(text)
        read_declared(Path(directory))


def test_module_sources(tmp_path: Path) -> None:
    assert module_source("aws-cluster", tmp_path) == str(BUILT_IN_MODULES / "aws-cluster")
    (tmp_path / "own").mkdir()
    assert module_source("./own", tmp_path) == str(tmp_path / "own")
    remote = "github.com/example/module?ref=1"
    assert module_source(remote, tmp_path) == remote
    for missing in ("./nowhere", "aws-clutser"):
        with pytest.raises(InvalidInput):
            module_source(missing, tmp_path)


def request(**variables: object) -> ProvisionRequest:
    return ProvisionRequest(
        configuration=Configuration(root=Path("/"), path="x", dimensions={}),
        topology=Topology(),
        ssh_user="core",
        variables=variables,
    )


WISH = TerraformWish(
    module="m", region="us-west-2", stand_in="ami-1", product_variables=("installer",)
)
GIVEN = Given(
    cluster_name="osqual-1",
    ssh_public_key="key",
    operator_cidr="192.0.2.1/32",
    run_tags={"osqual_run": "1"},
    image="ami-2",
)
DECLARED = Declared(
    variables={"aws_ami": True, "aws_region": False, "ssh_user": False, "size": False},
    outputs=frozenset(),
)


def test_what_the_run_knows_wins_over_the_profile_and_that_over_the_settings() -> None:
    found = cluster_variables(
        request(aws_ami="ami-old", ssh_user="root", size="l", installer="url"),
        WISH,
        DECLARED,
        GIVEN,
        {"size": "s", "aws_region": "eu-west-1"},
    )
    assert found == {
        "aws_ami": "ami-2",
        "ssh_user": "core",
        "aws_region": "eu-west-1",
        "size": "l",
    }


def test_unknown_and_missing_variables_are_named() -> None:
    with pytest.raises(UnknownVariable) as unknown:
        cluster_variables(request(siez="l"), WISH, DECLARED, GIVEN, {})
    assert "siez (did you mean size?)" in unknown.value.details
    needs = Declared(variables={"aws_ami": True, "zone": True}, outputs=frozenset())
    with pytest.raises(MissingVariable, match="needs zone"):
        cluster_variables(request(), WISH, needs, GIVEN, {})
    with pytest.raises(UnsuitableModule, match="no variable 'aws_ami'"):
        cluster_variables(request(), WISH, Declared(variables={}, outputs=frozenset()), GIVEN, {})


def test_outputs_of_any_style_become_nodes(tmp_path: Path) -> None:
    outputs = {
        "Master Public IPs": ["198.51.100.1"],
        "Master Private IPs": ["10.0.0.1"],
        "Private Agent Private IPs": ["10.0.0.2", "10.0.0.3"],
        "Public Agent Private IPs": [],
    }
    check_outputs(frozenset(outputs), "m")
    config = tmp_path / "config"
    config.write_text("Host 198.51.100.1\n  HostName 127.0.0.1\n  Port 2201\n")
    nodes = nodes_of(outputs, access(tmp_path, ssh_config=config))
    assert [node.name for node in nodes] == ["master-1", "private-agent-1", "private-agent-2"]
    assert (nodes[0].ssh_host, nodes[0].ssh_port) == ("127.0.0.1", 2201)
    assert (nodes[1].ssh_host, nodes[1].ssh_port) == ("10.0.0.2", 22)
    assert nodes[0].role is Role.MASTER
    with pytest.raises(UnsuitableModule, match="public_agent_private_ips"):
        check_outputs(frozenset({"master_public_ips"}), "m")


def access(tmp_path: Path, **aws: object) -> Access:
    key = tmp_path / "key"
    identity = SshIdentity(private_key=key, public_key=key, known_hosts=tmp_path / "known")
    return Access(
        user="core",
        identity=identity,
        aws=Aws.model_validate(aws),
        cancellation=Cancellation(),
    )


INSIDE = {
    "master_public_ips": [],
    "master_private_ips": ["10.0.0.1"],
    "private_agent_private_ips": ["10.0.0.2"],
    "public_agent_public_ips": ["198.51.100.3"],
    "public_agent_private_ips": ["10.0.0.3"],
}


def test_nodes_without_a_public_address_are_reached_through_one_that_has_one(
    tmp_path: Path,
) -> None:
    master, agent, entrance = nodes_of(INSIDE, access(tmp_path))
    assert (entrance.ssh_host, entrance.ssh_proxy) == ("198.51.100.3", "")
    for node in (master, agent):
        assert node.ssh_host == node.private_address
        assert node.ssh_proxy.startswith("ssh -W '[%h]:%p' ")
        assert node.ssh_proxy.endswith(" -p 22 core@198.51.100.3")
        assert "HostKeyAlias=public-agent-1" in node.ssh_proxy


def test_a_jump_host_of_ones_own_stands_before_all_nodes_or_none_does(tmp_path: Path) -> None:
    nodes = nodes_of(INSIDE, access(tmp_path, jump_host="me@jump.example.org:2222"))
    assert {node.ssh_proxy.split()[-1] for node in nodes} == {"ssh://me@jump.example.org:2222"}
    assert [node.ssh_host for node in nodes] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert {node.ssh_proxy for node in nodes_of(INSIDE, access(tmp_path, jump_host="none"))} == {""}
    with pytest.raises(ValueError, match="jump_host"):
        access(tmp_path, jump_host="-oProxyCommand=x")


def test_jumps_of_an_ssh_configuration_are_made(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host 10.* 198.*\n  ProxyJump first.example.org,me@second.example.org:2222\n")
    nodes = nodes_of(INSIDE, access(tmp_path, ssh_config=config))
    for node in nodes:
        words = node.ssh_proxy.split()
        assert words[-3:] == ["-J", "first.example.org", "ssh://me@second.example.org:2222"]
        assert str(config) in words


@pytest.mark.parametrize("name", ["Master Public IPs", "master-public-ips", "master_public_ips"])
def test_names_of_outputs_compare_without_style(name: str) -> None:
    assert normal_name(name) == "master_public_ips"


def test_what_a_plan_creates() -> None:
    def change(kind: str, *actions: str) -> dict[str, Any]:
        after = {"instance_type": "m5.large", "ami": "ami-1"}
        return {"type": kind, "change": {"actions": list(actions), "after": after}}

    plan = {
        "resource_changes": [
            change("aws_instance", "create"),
            change("aws_instance", "delete", "create"),
            change("aws_instance", "no-op"),
            change("aws_vpc", "create"),
        ]
    }
    assert instance_types(plan) == ["m5.large", "m5.large"]
    assert images(plan) == {"ami-1"}
    assert instance_types({}) == []
    assert on_demand_types(plan) == ["m5.large", "m5.large"]
    for kind, marks in (
        ("aws_instance", {"instance_market_options": [{"market_type": "spot"}]}),
        ("aws_spot_instance_request", {"spot_price": None}),
    ):
        spot = change(kind, "create")
        spot["change"]["after"].update(marks)
        assert instance_types({"resource_changes": [spot]}) == ["m5.large"]
        assert on_demand_types({"resource_changes": [spot]}) == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("api error InsufficientInstanceCapacity: no", NoCapacity),
        ("Error: Failed to query available provider packages", ModuleUnavailable),
        ('Error: No value for required variable "x"', VariablesRefused),
        ("Error: something else", InfrastructureError),
    ],
)
def test_terraforms_words_become_named_errors(words: str, kind: type[Exception]) -> None:
    assert isinstance(explain("apply", words), kind)
