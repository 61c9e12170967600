"""A cluster as a JSON file, for other processes of the run: suites, `osqual ssh`, destroy."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osqual.errors import InfrastructureError
from osqual.model import Cluster, Node, Role, SshIdentity
from osqual.processes.process import write_atomic

FILE_NAME = "cluster.json"
CLUSTER_DIRECTORY = "cluster"
"""Where in the run directory a platform keeps what belongs to the cluster."""
FORKS_DIRECTORY = "forks"
"""Where in the run directory the copies of the cluster are, each in a directory of its own."""
VERSION = 1


def write_cluster(path: Path, cluster: Cluster) -> None:
    """Write it whole."""
    write_atomic(path, json.dumps(cluster_document(cluster), indent=2) + "\n")


def cluster_document(cluster: Cluster) -> dict[str, Any]:
    """A cluster as JSON; it holds paths of keys, not keys."""
    identity = {name: str(value) for name, value in vars(cluster.identity).items()}
    nodes = [
        {
            name: None if value is None else value if isinstance(value, int) else str(value)
            for name, value in vars(node).items()
        }
        for node in cluster.nodes
    ]
    return {"version": VERSION, "identity": identity, "nodes": nodes}


def read_cluster(path: Path) -> Cluster:
    """Read what `write_cluster` wrote; InfrastructureError when that cannot be."""
    try:
        return parse_cluster(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, InfrastructureError) as error:
        raise InfrastructureError(f"{path} does not describe a cluster: {error}") from error


def parse_cluster(document: Any) -> Cluster:
    """Read what `cluster_document` made; InfrastructureError when that cannot be."""
    try:
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']} is not {VERSION}")
        return Cluster(
            nodes=tuple(_node(values) for values in document["nodes"]),
            identity=SshIdentity(
                **{name: Path(value) for name, value in document["identity"].items()}
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InfrastructureError(f"This describes no cluster: {error}") from error


def _node(values: Mapping[str, Any]) -> Node:
    console = values.get("console")
    changed = {
        "role": Role(values["role"]),
        "console": None if console is None else Path(console),
    }
    return Node(**{**values, **changed})
