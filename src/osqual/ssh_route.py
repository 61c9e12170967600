"""How addresses in a cloud are reached from here, and by which address it sees this machine."""

import ipaddress
from pathlib import Path

import httpx

from osqual.cancellation import Cancellation
from osqual.errors import InfrastructureError, InvalidInput
from osqual.process import run

SSH_PORT = 22
ASK = "https://checkip.amazonaws.com"


def reach(address: str, ssh_config: Path | None, cancellation: Cancellation) -> tuple[str, int]:
    """Host and port for an address, as an OpenSSH configuration maps it (`ssh -G`)."""
    if ssh_config is None:
        return address, SSH_PORT
    if not ssh_config.is_file():
        raise InvalidInput(f"aws.ssh_config: {ssh_config} is not a file.")
    argv = ["ssh", "-G", "-F", str(ssh_config), address]
    lines = run(argv, cancellation=cancellation).stdout.splitlines()
    values = dict(line.partition(" ")[::2] for line in lines)
    return values.get("hostname", address), int(values.get("port", SSH_PORT))


def operator_cidr(setting: str) -> str:
    """The network that may reach the nodes: as set, or this machine's own address (`auto`)."""
    text = setting if setting != "auto" else f"{_public_address()}/32"
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise InvalidInput(
            f"aws.operator_cidr: {text!r} is not a network.",
            resolution="write it like 203.0.113.7/32",
        ) from error


def _public_address() -> str:
    try:
        response = httpx.get(ASK, timeout=15)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise InfrastructureError(
            "This machine's public address could not be found out.",
            details=f"{ASK}: {error}",
            resolution="set aws.operator_cidr in osqual.yaml",
        ) from error
    return response.text.strip()
