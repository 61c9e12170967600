"""Which Terraform, OpenTofu or Packer is called, and how: told by small programs in their place."""

import json
import os
from pathlib import Path

import pytest

from osqual.builders.packer_run import install_plugins, validate_template
from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import InvalidInput, MissingProgram
from osqual.run.cluster_wish import pinned_version
from osqual.terraform.program import TerraformMismatch, WantedVersion, find_terraform
from osqual.terraform.workspace import Workspace
from tests.scopes import Surroundings

LEAF = "centos/7.6/aws/thing-1.0/docker-19.03.5"
PLUGINS = {"amazon": {"version": ">= 1.2.8", "source": "github.com/hashicorp/amazon"}}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "programs"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory


def install(programs: Path, name: str, says: str, then: str = "") -> Path:
    """A program that says its version, writes down how it was called, and does one thing more."""
    calls = programs / f"{name}.calls"
    (programs / name).write_text(
        f'#!/bin/sh\necho "$TOFUENV_TOFU_VERSION" "$@" >> {calls}\n'
        f'case "$1" in version) echo "{says}" ;; esac\n{then}\n'
    )
    (programs / name).chmod(0o755)
    return calls


def test_opentofu_is_called_for_everything_when_it_is_chosen(
    programs: Path, tmp_path: Path
) -> None:
    terraform = install(programs, "terraform", "Terraform v1.11.4")
    tofu = install(programs, "tofu", "OpenTofu v1.8.3")
    wanted = WantedVersion(text="1.8.3", source="test")
    found = find_terraform("tofu", wanted, Cancellation())
    workspace = Workspace.create(tmp_path / "workspace", found, {}, 60)
    scope = Surroundings(tmp_path).scope
    workspace.init("./module", scope)
    workspace.validate(scope)
    workspace.plan(scope)
    workspace.apply(scope)
    lines = tofu.read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["version", "init", "validate", "plan", "apply"]
    assert {line.split()[0] for line in lines} == {"1.8.3"}, "a version manager is told"
    assert not terraform.exists()


def test_opentofu_of_another_version_and_a_missing_one_are_named(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(programs, "tofu", "OpenTofu v1.6.0-rc1")
    wanted = WantedVersion(text=">= 1.8", source="osqual.yaml")
    with pytest.raises(TerraformMismatch, match=r"tofu is version 1\.6\.0rc1, and >= 1\.8"):
        find_terraform("tofu", wanted, Cancellation())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingProgram) as missing:
        find_terraform("tofu", wanted, Cancellation())
    assert "opentofu.org" in missing.value.resolution


def test_the_nearest_version_file_of_the_chosen_program_counts(tmp_path: Path) -> None:
    leaf = tmp_path / LEAF
    leaf.mkdir(parents=True)
    (leaf / "packer.json").write_text('{"builders": [{"type": "amazon-ebs"}]}')
    catalogue = open_catalogue(tmp_path)
    configuration = catalogue.configuration(leaf)
    assert pinned_version(catalogue, configuration, "terraform") is None
    (tmp_path / ".terraform-version").write_text("# as everywhere\n\n1.5.7 # the last free one\n")
    (tmp_path / ".opentofu-version").write_text("1.8.3\n")
    (leaf.parent / ".terraform-version").write_text("0.11.14\n")

    def version(program: str) -> str:
        found = pinned_version(open_catalogue(tmp_path), configuration, program)
        assert found is not None
        return found[0]

    assert version("terraform") == "0.11.14"
    assert version("/opt/bin/tofu") == "1.8.3"
    (leaf.parent / ".terraform-version").unlink()
    assert version("terraform") == "1.5.7"
    (tmp_path / ".opentofu-version").unlink()
    assert version("tofu") == "1.5.7"


@pytest.mark.parametrize(
    ("says", "inits"),
    [("Packer v1.6.6", False), ("Packer v1.11.2", True), ("Packer v1.7.0", True)],
)
def test_packer_fetches_plugins_where_it_can_and_the_template_asks(
    programs: Path, tmp_path: Path, says: str, inits: bool
) -> None:
    calls = install(programs, "packer", says)
    scope = Surroundings(tmp_path).scope
    install_plugins({}, tmp_path, scope)
    assert not calls.exists(), "nothing asked for, nothing called"
    install_plugins(PLUGINS, tmp_path, scope)
    assert any(" init " in line for line in calls.read_text().splitlines()) is inits
    if inits:
        document = json.loads((tmp_path / "plugins.pkr.json").read_text())
        assert document == {"packer": {"required_plugins": PLUGINS}}


def test_what_packer_cannot_fetch_or_does_not_have_is_a_named_error(
    programs: Path, tmp_path: Path
) -> None:
    scope = Surroundings(tmp_path).scope
    fails = (
        '[ "$1" = version ] || { echo "The builder amazon-ebs is unknown by Packer" >&2; exit 1; }'
    )
    install(programs, "packer", "Packer v1.11.2", fails)
    with pytest.raises(InvalidInput, match="cannot install the plugins"):
        install_plugins(PLUGINS, tmp_path, scope)
    (tmp_path / "packer.json").write_text("{}")
    with pytest.raises(InvalidInput) as refused:
        validate_template(tmp_path / "packer.json", scope, {})
    assert "packer plugins install github.com/hashicorp" in refused.value.resolution
