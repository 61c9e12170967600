"""A cluster as a JSON file, for other processes of the run: suites, `osqual ssh`, destroy."""

import json
from pathlib import Path
from typing import Any

from osqual.errors import InfrastructureError
from osqual.model import Cluster, Node, Role, SshIdentity
from osqual.process import write_atomic

FILE_NAME = "cluster.json"
VERSION = 1


def write_cluster(path: Path, cluster: Cluster) -> None:
    """Write it whole; the file holds paths of keys, not keys."""
    identity = {name: str(value) for name, value in vars(cluster.identity).items()}
    nodes = [
        {
            name: None if value is None else value if isinstance(value, int) else str(value)
            for name, value in vars(node).items()
        }
        for node in cluster.nodes
    ]
    document = {"version": VERSION, "identity": identity, "nodes": nodes}
    write_atomic(path, json.dumps(document, indent=2) + "\n")


def read_cluster(path: Path) -> Cluster:
    """Read what `write_cluster` wrote; InfrastructureError when that cannot be."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']} is not {VERSION}")
        return Cluster(
            nodes=tuple(_node(values) for values in document["nodes"]),
            identity=SshIdentity(
                **{name: Path(value) for name, value in document["identity"].items()}
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InfrastructureError(f"{path} does not describe a cluster: {error}") from error


def _node(values: dict[str, Any]) -> Node:
    console = values.pop("console", None)
    role = Role(values.pop("role"))
    return Node(**values, role=role, console=None if console is None else Path(console))
