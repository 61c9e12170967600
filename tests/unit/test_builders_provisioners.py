import json
from datetime import UTC, datetime
from typing import Any

import pytest

from osqual.builders.functions import isotime
from osqual.builders.inputs import BuildInputs, read_inputs
from osqual.builders.provisioners import FileProvisioner, ShellProvisioner
from osqual.errors import InvalidInput
from osqual.templates.template import parse_template

STARTED = datetime(2024, 3, 9, 14, 5, 7, tzinfo=UTC)


def read(*provisioners: dict[str, Any], **rest: Any) -> BuildInputs:
    builder = {"type": "qemu", "ssh_username": "root", **rest.pop("builder", {})}
    document = {"builders": [builder], "provisioners": list(provisioners), **rest}
    return read_inputs(parse_template(json.dumps(document), "packer.json"), {"X": "y"}, STARTED)


def shell(**options: Any) -> ShellProvisioner:
    (found,) = read({"type": "shell", **options}).live
    assert isinstance(found, ShellProvisioner)
    return found


def refusal(*provisioners: dict[str, Any], **rest: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(*provisioners, **rest)
    return str(caught.value)


def test_inline_commands_become_one_script_of_sh_e() -> None:
    assert shell(inline=["a", "b"]).inline_script == "#!/bin/sh -e\na\nb\n"
    assert shell(inline=["a"], inline_shebang="/bin/bash").inline_script == "#!/bin/bash\na\n"


def test_variables_are_sorted_and_quoted_like_packer_does() -> None:
    provisioner = shell(script="x", environment_vars=["Z=it's", "A=1=2"])
    flat = provisioner.variables({"PACKER_BUILD_NAME": "qemu"})
    assert flat == """A='1=2' PACKER_BUILD_NAME='qemu' Z='it'"'"'s' """


def test_the_command_is_packers_unless_the_template_has_one() -> None:
    assert shell(script="x").command(variables="A='1' ", path="/tmp/s") == (
        "chmod +x /tmp/s; A='1'  /tmp/s"
    )
    own = shell(script="x", execute_command="echo 'p' | sudo -S env {{ .Vars }} sh {{.Path}}")
    assert own.command(variables="A='{{x}}' ", path="/s") == (
        "echo 'p' | sudo -S env A='{{x}}'  sh /s"
    )
    from_file = shell(script="x", use_env_var_file=True)
    assert from_file.command(variables="", path="/s", var_file="/v") == "chmod +x /s; . /v && /s"
    assert from_file.variables({"A": "1"}) == "export A='1'\n"


def test_user_variables_reach_every_string_of_a_provisioner() -> None:
    inputs = read(
        {
            "type": "shell",
            "inline": ["echo {{user `v`}}"],
            "execute_command": "P={{user `v`}} {{.Path}}",
        },
        variables={"v": "{{env `X`}}1"},
    )
    (found,) = inputs.live
    assert isinstance(found, ShellProvisioner)
    assert found.inline == ("echo y1",)
    assert found.command(variables="", path="/s") == "P=y1 /s"


def test_what_differs_in_every_build_is_run_but_not_keyed() -> None:
    inputs = read({"type": "shell", "inline": ["{{timestamp}} {{isotime `2006-01-02`}} {{uuid}}"]})
    (live,), (stable,) = inputs.live, inputs.stable
    assert isinstance(live, ShellProvisioner)
    assert isinstance(stable, ShellProvisioner)
    assert live.inline[0].startswith("1709993107 2024-03-09 ")
    assert stable.inline == ("{{timestamp}} {{isotime `2006-01-02`}} {{uuid}}",)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (None, "2024-03-09T14:05:07Z"),
        ("2006-01-02", "2024-03-09"),
        ("20060102150405", "20240309140507"),
        ("Jan 02 03:04 PM 06", "Mar 09 02:05 PM 24"),
        ("100%", "100%"),
    ],
)
def test_times_in_gos_notation(layout: str | None, expected: str) -> None:
    assert isotime(STARTED, layout) == expected


def test_only_except_and_override_know_the_builder_by_its_name() -> None:
    inputs = read(
        {"type": "shell", "inline": ["1"], "only": ["other"]},
        {"type": "shell", "inline": ["2"], "except": ["mine"]},
        {"type": "shell", "inline": ["3"], "override": {"mine": {"inline": ["4"]}}},
        builder={"name": "mine"},
    )
    assert [p.inline for p in inputs.live if isinstance(p, ShellProvisioner)] == [("4",)]


def test_files_go_both_ways_and_a_download_ends_the_layers() -> None:
    inputs = read(
        {"type": "shell", "inline": ["1"]},
        {"type": "file", "source": "a", "destination": "b", "direction": "download"},
        {"type": "shell", "inline": ["2"]},
    )
    assert isinstance(inputs.live[1], FileProvisioner)
    assert inputs.layered_count == 1
    both = read({"type": "file", "source": "a", "sources": ["b"], "destination": "/x/"}).live[0]
    assert isinstance(both, FileProvisioner)
    assert both.all_sources == ("b", "a")


@pytest.mark.parametrize(
    ("provisioner", "parts"),
    [
        ({"type": "ansible"}, ["provisioners[0]", "'ansible'", "--builder packer"]),
        ({"type": "shel"}, ["did you mean 'shell'?"]),
        ({"type": "shell"}, ["one of inline, script and scripts is needed"]),
        ({"type": "shell", "script": "a", "inline": ["b"]}, ["inline and script"]),
        (
            {"type": "shell", "script": "a", "enviroment_vars": []},
            ["did you mean 'environment_vars'"],
        ),
        ({"type": "shell", "script": "a", "environment_vars": ["=b"]}, ["key=value"]),
        (
            {"type": "shell", "script": "a", "timeout": "soon"},
            ["timeout: 'soon' is not a duration"],
        ),
        ({"type": "shell", "script": "a", "env_var_format": "%d"}, ["must hold %s twice"]),
        ({"type": "shell", "inline": ["{{.Nope}}"]}, ["provisioners[0]", "{{.Nope}}"]),
        ({"type": "shell", "inline": ["{{env `X`}}"]}, ["works only in `variables`"]),
        ({"type": "shell", "inline": ["{{user `nope`}}"]}, ["'nope'", "variables"]),
        ({"type": "shell", "inline": ["{{vault `a` `b`}}"]}, ["--builder packer"]),
        ({"type": "file", "source": "a"}, ["destination: Field required"]),
        ({"type": "file", "destination": "a"}, ["source is needed"]),
        ({"type": "file", "source": "a", "destination": "b", "direction": "up"}, ["direction"]),
    ],
)
def test_a_provisioner_that_cannot_be_run_is_named(
    provisioner: dict[str, Any], parts: list[str]
) -> None:
    message = refusal(provisioner)
    assert all(part in message for part in ["packer.json", *parts]), message


def test_other_parts_of_the_template() -> None:
    manifest = [{"type": "manifest", "output": "x"}, ["manifest"], "checksum"]
    inputs = read(**{"post-processors": manifest, "_comment": "fine"})
    assert any("checksum" in warning for warning in inputs.warnings)
    assert "'vagrant'" in refusal(**{"post-processors": [[{"type": "vagrant"}]]})
    assert "did you mean 'provisioners'?" in refusal(provisoners=[])
    ebs = parse_template('{"builders":[{"type":"amazon-ebs"}]}', "packer.json")
    with pytest.raises(InvalidInput, match="amazon-ebs"):
        read_inputs(ebs, {}, STARTED)


def test_each_line_of_a_long_secret_is_one_and_longer_ones_come_first() -> None:
    key = "-----BEGIN KEY-----\nAAAAsecretBBBB\n}\n-----END KEY-----\n"
    variables = {"key": key, "word": "secret", "empty": ""}
    inputs = read(variables=variables, **{"sensitive-variables": ["key", "word", "empty"]})
    assert inputs.secrets == (
        "-----BEGIN KEY-----",
        "-----END KEY-----",
        "AAAAsecretBBBB",
        "secret",
    )


def test_secrets_are_the_values_of_sensitive_variables() -> None:
    inputs = read(variables={"a": "s3cret", "b": ""}, **{"sensitive-variables": ["a", "b"]})
    assert inputs.secrets == ("s3cret",)
