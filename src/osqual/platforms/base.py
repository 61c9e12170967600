"""What a platform is given and what it must do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.model import Cluster, Configuration, Image, Topology
from osqual.room import Room
from osqual.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ProvisionRequest:
    """The cluster to make. `variables` is the profile as written (strings, lists, maps)."""

    configuration: Configuration
    topology: Topology
    ssh_user: str
    variables: Mapping[str, Any]
    terraform: "TerraformWish | None" = None
    """What a platform that works with Terraform is told besides; None elsewhere."""


@dataclass(frozen=True, kw_only=True)
class TerraformWish:
    """Which module makes the cluster, with which Terraform, and what stands in for the image.

    `region` is where the template builds; `stand_in` the base image there, for the plan that is
    made before there is an image. `product_variables` are those that only the product reads.
    """

    module: str
    region: str
    stand_in: str
    version: str = ""
    version_source: str = ""
    product_variables: tuple[str, ...] = ()
    image_regions: tuple[str, ...] = ()
    """Where the image is or will be; empty where nobody knows."""
    max_cost_usd: float | None = None


class Platform(Protocol):
    """Turns an image into a cluster, and a cluster into nothing."""

    def validate(self, request: ProvisionRequest, scope: RunScope) -> None:
        """Refuse what cannot be provisioned, before an image is built: memory, disk, programs."""

    def room(
        self, request: ProvisionRequest, settings: Settings, cancellation: Cancellation
    ) -> Room:
        """What the cluster takes of this machine, from first plan to last clean-up."""

    def provision(self, request: ProvisionRequest, image: Image, scope: RunScope) -> Cluster:
        """Boot every node and return when each answers ssh. Raises ProvisionFailed.

        May leave machines behind when it raises: the caller always calls `destroy`.
        """

    def accelerator(self, scope: RunScope) -> str:
        """How its machines' processors are made: `kvm`, `tcg`; empty where the cloud decides."""

    def destroy(self, scope: RunScope) -> None:
        """End everything `provision` made, from the run directory and the journal alone.

        Safe to call again, from another process, and when nothing was made. Goes on past failures
        and raises CleanupIncomplete with what is left.
        """


@runtime_checkable
class ForkingPlatform(Platform, Protocol):
    """A platform that can also copy a running cluster. A scope's directory has one cluster."""

    def hold(self, scope: RunScope) -> None:
        """Pause the run's cluster; the first time its memory and disks are saved as well."""

    def go_on(self, scope: RunScope) -> None:
        """Let the cluster go on, with the time of now."""

    def fork(self, source: Path, scope: RunScope) -> Cluster:
        """A copy that goes on from where the cluster in the directory `source` was last saved.

        It and the original cannot reach each other. The caller ends what the scope's journal has,
        also when this raises.
        """

    def save(self, scope: RunScope) -> None:
        """Pause the cluster and save it as it is now, so that it can be forked."""
