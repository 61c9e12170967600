"""Names, addresses and places of a QEMU cluster's nodes: all derived, no I/O."""

from dataclasses import dataclass
from pathlib import Path

from osqual.cluster_file import CLUSTER_DIRECTORY
from osqual.errors import InvalidInput
from osqual.model import Role, Topology

# Far from what products hand out first: Swarm's overlays start at 10.0.0.0, Kubernetes' networks
# at 10.96 and 10.244, Docker's bridges are in 172.16/12 and 192.168/16.
PRIVATE_NETWORK = "10.214.0"
PRIVATE_PREFIX = 24
FIRST_HOST = 11
MAX_NODES = 200


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """One node before it exists."""

    name: str
    role: Role
    directory: Path
    address: str
    outside_mac: str
    inside_mac: str

    @property
    def disk(self) -> Path:
        """Its copy-on-write disk."""
        return self.directory / "disk.qcow2"

    @property
    def console(self) -> Path:
        """What it wrote on its serial line."""
        return self.directory / "console.log"

    @property
    def seed(self) -> Path:
        """The directory of its identity; holds a private key."""
        return self.directory / "seed"


def plan_nodes(topology: Topology, run_directory: Path) -> tuple[NodePlan, ...]:
    """Every node of the topology, masters first. Raises InvalidInput for none or too many."""
    if not 1 <= topology.total <= MAX_NODES:
        raise InvalidInput(
            f"A cluster of {topology.total} machines cannot be made on QEMU.",
            resolution=f"let the profile ask for 1 to {MAX_NODES} machines",
        )
    root = run_directory / CLUSTER_DIRECTORY
    return tuple(
        NodePlan(
            name=name,
            role=role,
            directory=root / name,
            address=f"{PRIVATE_NETWORK}.{FIRST_HOST + index}",
            # 52:54:00 is QEMU's own prefix; each cluster's networks are closed.
            outside_mac=f"52:54:00:00:00:{FIRST_HOST + index:02x}",
            inside_mac=f"52:54:00:d6:00:{FIRST_HOST + index:02x}",
        )
        for index, (name, role) in enumerate(topology.names())
    )
