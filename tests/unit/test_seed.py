import io
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pycdlib
import pytest
import yaml

from osqual.errors import InvalidInput
from osqual.qemu.seed import NodeIdentity, StaticNetwork, write_seed

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n-----END OPENSSH PRIVATE KEY-----\n"
IDENTITY = NodeIdentity(
    hostname="agent-1",
    user="tester",
    authorized_key="ssh-ed25519 AAAA run\n",
    host_private_key=PRIVATE,
    host_public_key="ssh-ed25519 BBBB host\n",
    outside_mac="52:54:00:AA:00:01",
    networks=(StaticNetwork(mac="52:54:00:AA:00:02", address_cidr="10.77.0.12/24"),),
    hosts={"master-1": "10.77.0.11", "agent-1": "10.77.0.12"},
)


def read_iso(path: Path) -> tuple[str, dict[str, str]]:
    """The volume id and every file of an ISO, by its Rock Ridge name."""
    image = pycdlib.PyCdlib()
    image.open(str(path))
    files = {}
    for child in image.list_children(rr_path="/"):
        if child is not None and child.is_file():
            name = child.rock_ridge.name().decode()
            data = io.BytesIO()
            image.get_file_from_iso_fp(data, rr_path=f"/{name}")
            files[name] = data.getvalue().decode()
    volume_id = image.pvd.volume_identifier.decode().strip()
    image.close()
    return volume_id, files


def user_data(path: Path) -> dict[str, Any]:
    text = read_iso(path)[1]["user-data"]
    assert text.startswith("#cloud-config\n")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def test_iso_is_a_nocloud_seed(tmp_path: Path) -> None:
    volume_id, files = read_iso(write_seed(tmp_path, IDENTITY).iso)
    assert volume_id == "cidata"
    assert sorted(files) == ["meta-data", "network-config", "user-data"]
    assert yaml.safe_load(files["meta-data"])["local-hostname"] == "agent-1"


def test_user_may_do_everything_with_the_one_key_only(tmp_path: Path) -> None:
    data = user_data(write_seed(tmp_path, IDENTITY).iso)
    assert data["users"] == [
        {
            "name": "tester",
            "ssh_authorized_keys": ["ssh-ed25519 AAAA run"],
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "shell": "/bin/bash",
            "lock_passwd": True,
        }
    ]
    assert data["ssh_pwauth"] is False
    assert data["package_upgrade"] is False


def test_root_can_be_the_user(tmp_path: Path) -> None:
    data = user_data(write_seed(tmp_path, replace(IDENTITY, user="root")).iso)
    assert data["disable_root"] is False
    assert data["users"][0]["name"] == "root"


def test_host_key_is_ours_and_the_others_go(tmp_path: Path) -> None:
    data = user_data(write_seed(tmp_path, IDENTITY).iso)
    assert data["ssh_deletekeys"] is True
    assert data["ssh_keys"] == {
        "ed25519_private": PRIVATE,
        "ed25519_public": "ssh-ed25519 BBBB host",
    }


@pytest.mark.parametrize(
    ("outside", "expected"),
    [
        (
            "52:54:00:AA:00:01",
            {
                "eth1": {
                    "match": {"macaddress": "52:54:00:aa:00:02"},
                    "set-name": "eth1",
                    "addresses": ["10.77.0.12/24"],
                },
                "eth0": {
                    "match": {"macaddress": "52:54:00:aa:00:01"},
                    "set-name": "eth0",
                    "dhcp4": True,
                },
            },
        ),
        (
            None,
            {
                "eth1": {
                    "match": {"macaddress": "52:54:00:aa:00:02"},
                    "set-name": "eth1",
                    "addresses": ["10.77.0.12/24"],
                },
                "outside": {"match": {"name": "e*"}, "dhcp4": True},
            },
        ),
    ],
)
def test_network_config(tmp_path: Path, outside: str | None, expected: object) -> None:
    seed = write_seed(tmp_path, replace(IDENTITY, outside_mac=outside))
    config = yaml.safe_load(read_iso(seed.iso)[1]["network-config"])
    assert config == {"version": 2, "ethernets": expected}


def test_hosts_are_written_once_and_replaced(tmp_path: Path) -> None:
    """Runs the command that cloud-init is given, on a file of ours."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    for identity in (IDENTITY, replace(IDENTITY, hosts={"other": "10.0.0.9"})):
        shell, option, script, *arguments = user_data(write_seed(tmp_path, identity).iso)[
            "bootcmd"
        ][0]
        script = script.replace("/etc/hosts", str(hosts))
        subprocess.run([shell, option, script, *arguments], check=True)
    assert hosts.read_text().splitlines() == [
        "127.0.0.1 localhost",
        "# osqual-seed begin",
        "127.0.1.1 agent-1",
        "10.0.0.9 other",
        "# osqual-seed end",
    ]


def test_fw_cfg_files_hold_the_same_identity(tmp_path: Path) -> None:
    seed = write_seed(tmp_path, IDENTITY)
    texts = {name: path.read_text() for name, path in seed.fw_cfg.items()}
    assert texts == {
        "opt/osqual/identity": "hostname agent-1\n"
        "user tester\n"
        "authorized_key ssh-ed25519 AAAA run\n"
        "host_key ssh-ed25519 BBBB host\n"
        "network 52:54:00:AA:00:02 10.77.0.12/24\n"
        "host 10.77.0.11 master-1\n"
        "host 10.77.0.12 agent-1\n",
        "opt/osqual/host_key": PRIVATE,
    }
    # QEMU's limit for the name of a file.
    assert all(len(name) < 56 for name in seed.fw_cfg)


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    seed = write_seed(tmp_path / "seed", IDENTITY)
    for path in (seed.iso, *seed.fw_cfg.values()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_identity_is_another_instance(tmp_path: Path) -> None:
    """cloud-init does its work again when the instance id changes, and only then."""
    first, again, other = (
        read_iso(write_seed(tmp_path, identity).iso)[1]["meta-data"]
        for identity in (IDENTITY, IDENTITY, replace(IDENTITY, hostname="agent-2"))
    )
    assert first == again != other


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "a b"},
        {"hostname": "x\nuser root"},
        {"user": "a;b"},
        {"authorized_key": "ssh-ed25519 A\nssh-ed25519 B"},
        {"networks": (StaticNetwork(mac="nonsense", address_cidr="10.0.0.1/24"),)},
        {"networks": (StaticNetwork(mac="52:54:00:aa:00:02", address_cidr="10.0.0.1"),)},
        {"hosts": {"a": "not an address"}},
        {"hosts": {"a\nb": "10.0.0.1"}},
    ],
)
def test_nothing_can_be_smuggled_into_a_guest(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="of a machine"):
        write_seed(tmp_path, replace(IDENTITY, **changes))
