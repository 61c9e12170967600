"""How addresses in a cloud are reached from here, and by which address it sees this machine."""

import ipaddress
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from osqual.cancellation import Cancellation
from osqual.errors import InfrastructureError, InvalidInput
from osqual.processes.process import run

SSH_PORT = 22
ASK = "https://checkip.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where ssh connects to, and the command that carries the connection (empty: none)."""

    host: str
    port: int = SSH_PORT
    proxy: str = ""


def proxy_through(ssh: Sequence[str]) -> str:
    """A `ProxyCommand`: the host that this command logs in to carries connections on."""
    program, *rest = ssh
    return f"{program} -W '[%h]:%p' {shlex.join(rest).replace('%', '%%')}"


def reach(address: str, ssh_config: Path | None, cancellation: Cancellation) -> Route:
    """The way to an address, as an OpenSSH configuration describes it (`ssh -G`)."""
    if ssh_config is None:
        return Route(host=address)
    if not ssh_config.is_file():
        raise InvalidInput(f"aws.ssh_config: {ssh_config} is not a file.")
    argv = ["ssh", "-G", "-F", str(ssh_config), address]
    lines = run(argv, cancellation=cancellation).stdout.splitlines()
    values = dict(line.partition(" ")[::2] for line in lines)
    proxy = values.get("proxycommand", "")
    if values.get("proxyjump", "none") != "none":
        *before, last = values["proxyjump"].split(",")
        hops = ["-J", ",".join(before)] if before else []
        proxy = proxy_through(["ssh", "-F", str(ssh_config), *hops, *_target(last)])
    return Route(
        host=values.get("hostname", address),
        port=int(values.get("port", SSH_PORT)),
        proxy="" if proxy == "none" else proxy,
    )


def through_jump_host(name: str, address: str, ssh_config: Path | None) -> Route:
    """The way over a host that the user's own configuration of ssh knows how to log in to."""
    config = ["-F", str(ssh_config)] if ssh_config else []
    ssh = ["ssh", *config, "-o", "BatchMode=yes", *_target(name)]
    return Route(host=address, proxy=proxy_through(ssh))


def _target(written: str) -> list[str]:
    """`[user@]host[:port]` as arguments of ssh; a URI is what it reads a port in."""
    return [written if "://" in written else f"ssh://{written}"]


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
