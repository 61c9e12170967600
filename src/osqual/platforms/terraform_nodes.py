"""From a module's outputs to nodes that answer ssh, whatever the module calls its outputs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osqual.cancellation import Cancellation
from osqual.errors import ProvisionFailed
from osqual.machine import Machine, known_hosts_line
from osqual.model import Cluster, Node, Role, SshIdentity, node_name
from osqual.platforms.terraform_variables import UnsuitableModule
from osqual.process import run
from osqual.scope import RunScope
from osqual.sockets import socket_directory
from osqual.ssh_route import reach

POLL_S = 2.0
KEYSCAN_TIMEOUT_S = 20.0
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


def nodes_of(
    outputs: Mapping[str, Any],
    *,
    ssh_user: str,
    ssh_config: Path | None,
    cancellation: Cancellation,
) -> tuple[Node, ...]:
    """The nodes of a module's outputs, masters first. Raises ProvisionFailed."""
    found = {normal_name(name): value for name, value in outputs.items()}
    nodes = []
    for role in Role:
        private = _addresses(found, f"{role.value}_private_ips")
        public = _addresses(found, f"{role.value}_public_ips") or private
        if len(public) != len(private):
            raise ProvisionFailed(
                f"The module tells {len(private)} private and {len(public)} public addresses of "
                f"its {role.value} nodes."
            )
        for number, (inside, outside) in enumerate(zip(private, public, strict=True), 1):
            host, port = reach(outside, ssh_config, cancellation)
            nodes.append(
                Node(
                    name=node_name(role, number),
                    role=role,
                    ssh_host=host,
                    ssh_port=port,
                    ssh_user=ssh_user,
                    private_address=inside,
                    public_address=outside,
                )
            )
    return tuple(nodes)


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
    for done, node in enumerate(cluster.nodes, 1):
        lines.append(known_hosts_line(node.name, _host_key(node, token)))
        cluster.identity.known_hosts.write_text("".join(lines))
        Machine(node, cluster.identity, control_dir, token).wait_ready(timeout_s)
        scope.progress(f"{node.name} answers ssh", node=node.name, done=done, total=total)


def _host_key(node: Node, token: Cancellation) -> str:
    """The first host key that a node shows, as `ssh-keyscan` prints it, without the host."""
    argv = ["ssh-keyscan", "-T", "5", "-p", str(node.ssh_port), node.ssh_host]
    while True:
        done = run(argv, timeout_s=KEYSCAN_TIMEOUT_S, cancellation=token, check=False)
        keys = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if " " in line]
        preferred = sorted(
            (key for key in keys if not key.startswith("#")), key=lambda key: "ed25519" not in key
        )
        if preferred:
            return preferred[0]
        token.sleep(POLL_S)


def identity_of(keys: Path, private_key: Path) -> SshIdentity:
    """The key pair of the run and where its nodes' host keys are pinned."""
    return SshIdentity(
        private_key=private_key,
        public_key=private_key.with_name(private_key.name + ".pub"),
        known_hosts=keys / "known_hosts",
    )
