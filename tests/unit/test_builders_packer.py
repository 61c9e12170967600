import copy
import json
from pathlib import Path
from typing import Any

import pytest

from osqual.builders.cleaning import clean_script, key_variable, shutdown_command
from osqual.builders.packer_template import (
    Looks,
    QemuSurroundings,
    effective_template,
    first_look,
    last_look,
    local_files,
    qemu_builder,
)
from osqual.templates.template import PackerTemplate, parse_template

AROUND = QemuSurroundings(
    base=Path("/run/base.qcow2"),
    base_sha256="ab" * 32,
    accelerator="tcg",
    cpu="max,la57=off",
    private_key=Path("/cache/key"),
    seed_iso=Path("/run/seed.iso"),
    seed_fw_cfg={"opt/osqual/identity": Path("/run/a,b")},
    output_directory=Path("/run/output"),
)
LOOKS = Looks(
    clean_script=Path("/run/osqual-clean.sh"),
    clean_variable=("OSQUAL_BUILD_KEY", "AAAA"),
    collect_script=Path("/run/collect.sh"),
    base_inventory=Path("/run/base.inventory"),
    image_inventory=Path("/run/image.inventory"),
)


def template(builder: dict[str, Any] | None = None, **rest: Any) -> PackerTemplate:
    document = {"builders": [{"type": "qemu", "ssh_username": "root", **(builder or {})}], **rest}
    return parse_template(json.dumps(document), "packer.json")


def effective(given: PackerTemplate) -> dict[str, Any]:
    return effective_template(
        given,
        qemu_builder(given, AROUND),
        locate=lambda name: Path("/catalogue") / name,
        manifest=Path("/run/manifest.json"),
        first_provisioners=first_look(LOOKS),
        last_provisioners=last_look(LOOKS),
    )


def test_the_base_image_replaces_what_the_template_names() -> None:
    builder = qemu_builder(template({"iso_urls": ["x"], "iso_checksum": "none"}), AROUND)
    assert builder["iso_url"] == "/run/base.qcow2"
    assert builder["iso_checksum"] == f"sha256:{'ab' * 32}"
    assert "iso_urls" not in builder
    assert builder["disk_image"] is True
    assert builder["output_directory"] == "/run/output"
    assert builder["ssh_private_key_file"] == "/cache/key"
    assert builder["accelerator"] == "tcg"


def test_the_seed_does_not_displace_packers_own_drives() -> None:
    given = template({"qemuargs": [["-drive", "file=mine"], ["-m", "2048M"]]})
    assert qemu_builder(given, AROUND)["qemuargs"] == [
        ["-drive", "file=mine"],
        ["-m", "2048M"],
        ["-fw_cfg", "name=opt/osqual/identity,file=/run/a,,b"],
        ["-cdrom", "/run/seed.iso"],
        ["-cpu", "max,la57=off"],
    ]


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ({"qemuargs": [["-cpu", "host"]]}, "qemuargs", "host"),
        ({"shutdown_command": "halt"}, "shutdown_command", "halt"),
        ({"disk_discard": "ignore"}, "disk_discard", "ignore"),
        ({"ssh_password": "p"}, "ssh_private_key_file", None),
    ],
)
def test_the_templates_own_wishes_stay(given: dict[str, Any], name: str, expected: Any) -> None:
    builder = qemu_builder(template(given), AROUND)
    if name == "qemuargs":
        assert [words[1] for words in builder[name] if words[0] == "-cpu"] == [expected]
    else:
        assert builder.get(name) == expected


def test_paths_become_absolute_and_downloads_stay_relative() -> None:
    provisioners = [
        {"type": "shell", "script": "a.sh"},
        {"type": "shell", "scripts": ["a.sh", "b.sh"]},
        {"type": "file", "source": "conf/", "destination": "/etc/x"},
        {"type": "file", "source": "/var/x", "destination": "x", "direction": "download"},
        {"type": "file", "source": "later", "destination": "/x", "generated": True},
        {"type": "ansible", "playbook_file": "p.yml"},
    ]
    given = template(provisioners=provisioners)
    found = effective(given)["provisioners"][len(first_look(LOOKS)) :]
    assert found[0]["script"] == "/catalogue/a.sh"
    assert found[1]["scripts"] == ["/catalogue/a.sh", "/catalogue/b.sh"]
    assert found[2]["source"] == "/catalogue/conf/"
    assert found[3:6] == provisioners[3:]
    assert local_files(given) == ("a.sh", "b.sh", "conf/")


def test_the_machine_is_looked_at_first_and_cleaned_and_looked_at_last() -> None:
    found = effective(template(provisioners=[{"type": "shell", "inline": ["x"]}]))["provisioners"]
    base, fetched_base, own, live, clean, disk, fetched = found
    assert own == {"type": "shell", "inline": ["x"]}
    assert clean["script"] == "/run/osqual-clean.sh"
    assert clean["environment_vars"] == ["OSQUAL_BUILD_KEY=AAAA"]
    assert [one["script"] for one in (base, live, disk)] == ["/run/collect.sh"] * 3
    assert " live disk >" in base["execute_command"]
    assert " live >" in live["execute_command"]
    assert " disk secrets >>" in disk["execute_command"], "added to what ran before cleaning"
    assert fetched_base["destination"] == "/run/base.inventory"
    assert fetched["destination"] == "/run/image.inventory"


def test_only_our_manifest_is_written() -> None:
    processors: list[Any] = [
        {"type": "manifest", "output": "h.json"},
        ["checksum", "manifest"],
        ["manifest"],
    ]
    found = effective(template({}, **{"post-processors": processors}))["post-processors"]
    assert found == [["checksum"], {"type": "manifest", "output": "/run/manifest.json"}]


def test_only_the_first_builder_is_built_and_the_template_is_not_changed() -> None:
    given = template(variables={"a": "1"})
    two = parse_template(
        json.dumps({**given.data, "builders": [*given.data["builders"], {"type": "docker"}]}), "x"
    )
    before = copy.deepcopy(two.data)
    found = effective(two)
    assert [builder["type"] for builder in found["builders"]] == ["qemu"]
    assert found["variables"] == {"a": "1"}
    assert two.data == before


def test_the_cleaning_removes_the_key_that_logged_in() -> None:
    name, value = key_variable("ssh-ed25519 AAAAC3 osqual-build")
    assert value == "AAAAC3"
    assert f"${{{name}:-}}" in clean_script()


def test_power_off_needs_root() -> None:
    assert shutdown_command("root") == "systemctl poweroff"
    assert shutdown_command("debian") == "sudo -n systemctl poweroff"
