import re
from pathlib import Path

import pytest

from osqual.builders.options import (
    IGNORED,
    REFUSED,
    QemuOptions,
    known_options,
    parse_duration,
    parse_size,
    read_options,
)
from osqual.errors import InvalidInput

REFERENCE = Path(__file__).parents[2] / "docs/reference/qemu-template.md"


def read(**options: object) -> QemuOptions:
    return read_options({"type": "qemu", "ssh_username": "root", **options}, "packer.json")


def refusal(**options: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(**options)
    return str(caught.value)


def test_defaults_are_those_of_packer() -> None:
    options = read()
    assert (options.memory, options.cpus, options.disk_size) == (512, 1, 40960 << 20)
    assert (options.ssh_timeout_s, options.shutdown_timeout) == (300, 300)
    assert options.build_name == "qemu"


def test_strings_are_decoded_as_packer_does() -> None:
    options = read(memory="2048", cpus="0", disk_size="8G", disk_image="true", ssh_timeout="1h30m")
    assert (options.memory, options.cpus) == (2048, 1)
    assert (options.disk_size, options.ssh_timeout_s) == (8 << 30, 5400)


def test_a_template_for_an_iso_keeps_its_harmless_options() -> None:
    read(iso_url="x", iso_checksum="none", boot_command=[], http_directory="", ssh_port=22)


def test_qemuargs_become_arguments() -> None:
    options = read(
        qemuargs=[
            ["-cpu", "host"],
            ["--display", "none"],
            ["-serial", "stdio"],
            ["-device", "virtio-rng-pci,", "max-bytes=1024"],
            ["-no-hpet", ""],
        ]
    )
    assert options.extra_arguments == (
        *("-cpu", "host"),
        *("-device", "virtio-rng-pci,max-bytes=1024"),
        "-no-hpet",
    )


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"memmory": 1}, ["memmory: unknown option", "did you mean 'memory'?"]),
        ({"boot_command": ["<enter>"]}, ["boot_command:", "--builder packer"]),
        ({"http_directory": "http"}, ["http_directory:", "--builder packer"]),
        ({"ssh_password": "x"}, ["ssh_password:", "--builder packer"]),
        ({"communicator": "winrm"}, ["communicator:", "--builder packer"]),
        ({"disk_image": False}, ["disk_image: an installation from an ISO"]),
        ({"memory": "lots"}, ["memory: Input should be a valid integer"]),
        ({"disk_size": "8 GB"}, ["disk_size: '8 GB' is not a disk size"]),
        ({"ssh_timeout": "10"}, ["ssh_timeout: '10' is not a duration"]),
        ({"ssh_timeout": 10}, ["must be a string with a unit"]),
        ({"disk_interface": "ide"}, ["disk_interface:", "--builder packer"]),
        ({"net_device": "e1000"}, ["net_device:", "--builder packer"]),
        ({"qemuargs": [["-drive", "file=x"]]}, ["-drive cannot be set here", "--builder packer"]),
        ({"qemuargs": [["-device", "virtio-net,netdev=user.0"]]}, ["-device cannot be set here"]),
        ({"ssh_username": "a b"}, ["ssh_username:"]),
    ],
)
def test_what_cannot_be_built_in_layers_is_named(
    options: dict[str, object], parts: list[str]
) -> None:
    message = refusal(**options)
    assert all(part in message for part in ["packer.json", *parts]), message


def test_every_problem_is_shown_at_once() -> None:
    message = refusal(boot_command=["x"], memorry=1, cpus="many")
    assert all(name in message for name in ("boot_command", "memorry", "cpus"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("1.5m", 90), ("500ms", 0.5), ("0", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("value", "size"), [(8192, 8 << 30), ("8192", 8 << 30), ("10G", 10 << 30), ("512k", 512 << 10)]
)
def test_sizes(value: object, size: int) -> None:
    assert parse_size(value) == size


def test_an_option_is_handled_in_one_way_only() -> None:
    assert not IGNORED.keys() & REFUSED.keys()
    assert not set(QemuOptions.model_fields) & (IGNORED.keys() | REFUSED.keys())


def test_the_reference_names_every_option_and_no_other() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    section = text.partition("## Options of the builder")[2].partition("### qemuargs")[0]
    cells = re.findall(r"^\| (`[a-z0-9_`, ]+`) \|", section, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([a-z0-9_]+)`", cell)}
    assert named == known_options()
