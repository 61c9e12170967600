"""The identity a machine is handed at boot, in the two forms that guests understand.

A cloud-init NoCloud disk for vendor images, and fw_cfg files for the agent in our own bases. Both
are always attached; a guest takes the one it knows.
"""

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pycdlib
import yaml

from osqual.errors import InvalidInput
from osqual.processes.process import write_atomic

VOLUME_ID = "cidata"
"""The label by which cloud-init finds a NoCloud seed."""
FW_CFG_PREFIX = "opt/osqual/"

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+")
_NETWORK = re.compile(rf"{_ADDRESS.pattern}/[0-9]+")
_KEY = re.compile(r"[^\s]+ [^\s]+( [^\r\n]*)?")

# Replaces our block in /etc/hosts by the lines it is given.
_HOSTS_SCRIPT = """\
sed -i '/^# osqual-seed begin$/,/^# osqual-seed end$/d' /etc/hosts
{ echo '# osqual-seed begin'; printf '%s\\n' "$@"; echo '# osqual-seed end'; } >> /etc/hosts
"""


@dataclass(frozen=True, kw_only=True)
class StaticNetwork:
    """A fixed address on the network card with this MAC: `10.77.0.11/24`."""

    mac: str
    address_cidr: str


@dataclass(frozen=True, kw_only=True)
class NodeIdentity:
    """Who a machine is. Keys are OpenSSH texts; `hosts` maps a name to its address.

    `outside_mac` is the card that takes its address from DHCP; without it, every card does that is
    not in `networks` (cloud-init on other than systemd-networkd or netplan needs it named).
    """

    hostname: str
    user: str
    authorized_key: str
    host_private_key: str
    host_public_key: str
    outside_mac: str | None = None
    networks: tuple[StaticNetwork, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Seed:
    """Files to attach to a machine: a read-only disk, and fw_cfg name → file."""

    iso: Path
    fw_cfg: Mapping[str, Path]


def write_seed(directory: Path, identity: NodeIdentity) -> Seed:
    """Write both forms into `directory`; the files hold a private key and are the owner's only.

    Raises InvalidInput for an identity that no machine can have.
    """
    _check(identity)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    iso = directory / "seed.iso"
    write_atomic(iso, _iso(_no_cloud(identity)), mode=0o600)
    fw_cfg = {}
    for name, content in _fw_cfg(identity).items():
        path = directory / name
        write_atomic(path, content, mode=0o600)
        fw_cfg[FW_CFG_PREFIX + name] = path
    return Seed(iso=iso, fw_cfg=fw_cfg)


def _check(identity: NodeIdentity) -> None:
    """Each value stands in one line of a file that a guest obeys as root."""
    macs = [network.mac for network in identity.networks]
    macs += [identity.outside_mac] if identity.outside_mac else []
    keys = [identity.authorized_key.strip(), identity.host_public_key.strip()]
    cases = (
        ("host name", _NAME, [identity.hostname, *identity.hosts]),
        ("user name", _USER, [identity.user]),
        ("MAC address", _MAC, macs),
        ("ssh key", _KEY, keys),
        ("address", _ADDRESS, [*identity.hosts.values()]),
        ("address", _NETWORK, [network.address_cidr for network in identity.networks]),
    )
    for what, pattern, values in cases:
        for value in values:
            if not pattern.fullmatch(value):
                raise InvalidInput(f"{value!r} cannot be the {what} of a machine.")


def _fw_cfg(identity: NodeIdentity) -> dict[str, str]:
    """`identity`: a word and its value a line, in the order that the agent needs them."""
    lines = [
        f"hostname {identity.hostname}",
        f"user {identity.user}",
        f"authorized_key {identity.authorized_key.strip()}",
        f"host_key {identity.host_public_key.strip()}",
        *(f"network {network.mac} {network.address_cidr}" for network in identity.networks),
        *(f"host {line}" for line in _host_lines(identity)),
    ]
    return {
        "identity": "\n".join(lines) + "\n",
        "host_key": identity.host_private_key.strip() + "\n",
    }


def _host_lines(identity: NodeIdentity) -> list[str]:
    own = [] if identity.hostname in identity.hosts else [f"127.0.1.1 {identity.hostname}"]
    return own + [f"{address} {name}" for name, address in identity.hosts.items()]


def _no_cloud(identity: NodeIdentity) -> dict[str, str]:
    """The files of a NoCloud seed, by name."""
    user_data = {
        "hostname": identity.hostname,
        "preserve_hostname": False,
        "users": [_user(identity)],
        "disable_root": identity.user != "root",
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {
            "ed25519_private": identity.host_private_key.strip() + "\n",
            "ed25519_public": identity.host_public_key.strip(),
        },
        "no_ssh_fingerprints": True,
        "ssh": {"emit_keys_to_console": False},
        "package_update": False,
        "package_upgrade": False,
        "manage_etc_hosts": False,
        "bootcmd": [["sh", "-c", _HOSTS_SCRIPT, "sh", *_host_lines(identity)]],
    }
    # A new instance id makes cloud-init do its work again on a disk that another machine used.
    meta_data = {
        "instance-id": f"osqual-{_fingerprint(identity)}",
        "local-hostname": identity.hostname,
    }
    return {
        "meta-data": json.dumps(meta_data, indent=1) + "\n",
        "user-data": "#cloud-config\n" + yaml.safe_dump(user_data, sort_keys=False, width=10**6),
        "network-config": yaml.safe_dump(_network_config(identity), sort_keys=False),
    }


def _user(identity: NodeIdentity) -> dict[str, Any]:
    user: dict[str, Any] = {
        "name": identity.user,
        "ssh_authorized_keys": [identity.authorized_key.strip()],
    }
    if identity.user != "root":
        user |= {"sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash", "lock_passwd": True}
    return user


def _network_config(identity: NodeIdentity) -> dict[str, Any]:
    """Netplan's version 2. Cards are given names because older cloud-init takes the key for one."""
    static = {network.mac.lower(): network.address_cidr for network in identity.networks}
    outside: dict[str, Any] = {"match": {"name": "e*"}, "dhcp4": True}
    if identity.outside_mac:
        outside = _card(identity.outside_mac, "eth0") | {"dhcp4": True}
    cards = {
        f"eth{number}": _card(mac, f"eth{number}") | {"addresses": [address]}
        for number, (mac, address) in enumerate(static.items(), start=1)
    }
    # First match wins: the pattern must come after the cards that it would match too.
    name = "eth0" if identity.outside_mac else "outside"
    return {"version": 2, "ethernets": {**cards, name: outside}}


def _card(mac: str, name: str) -> dict[str, Any]:
    return {"match": {"macaddress": mac.lower()}, "set-name": name}


def _fingerprint(identity: NodeIdentity) -> str:
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]


def _iso(content: Mapping[str, str]) -> bytes:
    """An ISO 9660 image with the files at its root, under their own names in both extensions."""
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=VOLUME_ID)
    for number, (name, text) in enumerate(content.items()):
        data = text.encode()
        image.add_fp(
            io.BytesIO(data),
            len(data),
            f"/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
        )
    result = io.BytesIO()
    image.write_fp(result)
    image.close()
    return result.getvalue()
