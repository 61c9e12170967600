"""What a catalogue may name its own way: layout, file names, aliases. Defaults: dcos/dcos-images.

Plain dataclasses, so that asking a catalogue without `osqual.yaml` does not load the settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

DCOS_IMAGES_LAYOUT = "{os}/{os_version}/{platform}/{product}-{release}/docker-{docker}[/{variant}]"


@dataclass(frozen=True, kw_only=True)
class FileNames:
    """Names of a configuration's files; the defaults are those of dcos/dcos-images."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # settings read these

    template: str = "packer.json"
    base_images: str = "base_images.json"
    profile: str = "cluster_profile.tfvars"
    old_profile: str = "desired_cluster_profile.tfvars"
    config: str = "publish_and_test_config.yaml"
    setup: str = "setup.sh"
    images: str = "dcos_images.yaml"
    history: str = "packer_build_history.json"
    record: str = "qualification.json"
    attestation: str = "attestation.jsonl"
    mutes: str = "mutes.yaml"

    def __post_init__(self) -> None:
        for name in self.all:
            if "/" in name or "\0" in name or name in ("", ".", ".."):
                raise ValueError(f"{name!r} is not a plain file name")

    @property
    def all(self) -> tuple[str, ...]:
        """Every name."""
        return tuple(vars(self).values())

    @property
    def published(self) -> tuple[str, ...]:
        """The files that publishing writes; everything else is an input."""
        return (self.images, self.history, self.record, self.attestation)


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """How one catalogue is laid out. `aliases`: dimension -> value -> what it means the same as."""

    layout: str = DCOS_IMAGES_LAYOUT
    files: FileNames = FileNames()
    default_region: str | None = None
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


DCOS_IMAGES: Conventions = Conventions(
    aliases=MappingProxyType(
        {
            "variant": {"selinux_enabled_enforcing": "selinux_enforcing"},
            "docker": {"19.03.5": "19.03.5-ce"},
        }
    )
)
"""What holds for a catalogue without `osqual.yaml`."""
