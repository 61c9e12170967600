"""From a module's outputs to nodes that answer ssh, whatever the module calls its outputs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import ProvisionFailed
from osqual.model import Cluster, Node, Role, SshIdentity, node_name
from osqual.platforms.terraform_variables import UnsuitableModule
from osqual.settings import Aws
from osqual.ssh.machine import Machine, known_hosts_line
from osqual.ssh.route import Route, proxy_through, reach, through_jump_host

POLL_S = 2.0
REQUIRED = (
    "master_public_ips",
    "master_private_ips",
    "private_agent_private_ips",
    "public_agent_private_ips",
)


def normal_name(name: str) -> str:
    """`Master Public IPs`, `masters-ips` and `master_public_ips` compare without their style."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def check_outputs(names: frozenset[str], module: str) -> None:
    """Refuse a module that will not tell its nodes' addresses. Raises UnsuitableModule."""
    missing = [name for name in REQUIRED if name not in {normal_name(name) for name in names}]
    if missing:
        raise UnsuitableModule(
            f"The Terraform module {module} does not have the outputs {', '.join(missing)}.",
            details=f"It has: {', '.join(sorted(names)) or 'none'}",
            resolution="add them to the module: each a list of addresses, one a node",
        )


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What a module tells of a node; `outside` is empty for one without a public address."""

    name: str
    role: Role
    inside: str
    outside: str


@dataclass(frozen=True, kw_only=True)
class Access:
    """How the nodes of a cluster are logged in to."""

    user: str
    identity: SshIdentity
    aws: Aws
    cancellation: Cancellation

    def node(self, told: _Told, entrance: Node | None) -> Node:
        """The node, reached through `entrance` where there is no other way."""
        route = self._route(told, entrance)
        return Node(
            name=told.name,
            role=told.role,
            ssh_host=route.host,
            ssh_port=route.port,
            ssh_proxy=route.proxy,
            ssh_user=self.user,
            private_address=told.inside,
            public_address=told.outside or told.inside,
        )

    def _route(self, told: _Told, entrance: Node | None) -> Route:
        config, jump_host = self.aws.ssh_config, self.aws.jump_host
        if jump_host not in ("auto", "none"):
            return through_jump_host(jump_host, told.inside, config)
        route = reach(told.outside or told.inside, config, self.cancellation)
        if told.outside or route.proxy or entrance is None or jump_host == "none":
            return route
        login = Machine(entrance, self.identity, Path(), self.cancellation).ssh_argv()
        return replace(route, proxy=proxy_through(login))


def nodes_of(outputs: Mapping[str, Any], access: Access) -> tuple[Node, ...]:
    """The nodes of a module's outputs, masters first. Raises ProvisionFailed.

    Nodes without a public address are reached through the first one that has one.
    """
    told = list(_told(outputs))
    first = next((each for each in told if each.outside), None)
    entrance = None if first is None else access.node(first, None)
    return tuple(access.node(each, entrance) for each in told)


def _told(outputs: Mapping[str, Any]) -> Iterator[_Told]:
    found = {normal_name(name): value for name, value in outputs.items()}
    for role in Role:
        private = _addresses(found, f"{role.value}_private_ips")
        public = _addresses(found, f"{role.value}_public_ips") or [""] * len(private)
        if len(public) != len(private):
            raise ProvisionFailed(
                f"The module tells {len(private)} private and {len(public)} public addresses of "
                f"its {role.value} nodes."
            )
        for number, (inside, outside) in enumerate(zip(private, public, strict=True), 1):
            yield _Told(name=node_name(role, number), role=role, inside=inside, outside=outside)


def _addresses(outputs: Mapping[str, Any], name: str) -> list[str]:
    value = outputs.get(name) or []
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise ProvisionFailed(f"The output {name} is not a list of addresses.", details=repr(value))
    return [item for item in values if item]


def wait_nodes(cluster: Cluster, timeout_s: float, scope: RunScope) -> None:
    """Return once every node answers ssh.

    Nobody can make a cloud instance's host key beforehand without a secret in its user data, so
    the key that a node shows first is pinned for the rest of the run.
    """
    control_dir = socket_directory(scope)
    token = scope.cancellation.limited(timeout_s, "waiting for the cluster's nodes")
    total = len(cluster.nodes)
    lines: list[str] = []
    # Whoever is reached through another node comes after it.
    for done, node in enumerate(sorted(cluster.nodes, key=lambda node: bool(node.ssh_proxy)), 1):
        machine = Machine(node, cluster.identity, control_dir, token)
        lines.append(known_hosts_line(node.name, _host_key(machine, token)))
        cluster.identity.known_hosts.write_text("".join(lines))
        machine.wait_ready(timeout_s)
        scope.progress(f"{node.name} answers ssh", node=node.name, done=done, total=total)


def _host_key(machine: Machine, token: Cancellation) -> str:
    """The first host key that a node shows."""
    while not (key := machine.first_host_key(token)):
        token.sleep(POLL_S)
    return key


def identity_of(keys: Path, private_key: Path) -> SshIdentity:
    """The key pair of the run and where its nodes' host keys are pinned."""
    return SshIdentity(
        private_key=private_key,
        public_key=private_key.with_name(private_key.name + ".pub"),
        known_hosts=keys / "known_hosts",
    )
