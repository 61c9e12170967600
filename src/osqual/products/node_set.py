"""Which nodes of a cluster something is done on, by the names that product definitions use."""

from enum import StrEnum

from osqual.model import Cluster, Node, Role


class NodeSet(StrEnum):
    """Which nodes a script runs on."""

    ALL = "all"
    FIRST_MASTER = "first_master"
    MASTERS = "masters"
    OTHER_MASTERS = "other_masters"
    OTHERS = "others"
    """Every node but the first master."""
    AGENTS = "agents"
    PRIVATE_AGENTS = "private_agents"
    PUBLIC_AGENTS = "public_agents"

    def of(self, cluster: Cluster) -> tuple[Node, ...]:
        """The nodes of a cluster that this names, masters first."""
        masters = cluster.by_role(Role.MASTER)
        private = cluster.by_role(Role.PRIVATE_AGENT)
        public = cluster.by_role(Role.PUBLIC_AGENT)
        return {
            NodeSet.ALL: (*masters, *private, *public),
            NodeSet.FIRST_MASTER: masters[:1],
            NodeSet.MASTERS: masters,
            NodeSet.OTHER_MASTERS: masters[1:],
            NodeSet.OTHERS: (*masters[1:], *private, *public),
            NodeSet.AGENTS: (*private, *public),
            NodeSet.PRIVATE_AGENTS: private,
            NodeSet.PUBLIC_AGENTS: public,
        }[self]
