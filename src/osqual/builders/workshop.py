"""The machine that is being built, as provisioners see it, and what fails around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from osqual.errors import BuildFailed, OsqualError
from osqual.ssh.banner import Watch
from osqual.ssh.machine import Machine

# What a shell, a package manager or tar says when the guest's disk is full (strerror ENOSPC).
NO_SPACE = "No space left on device"


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """The machine that is being built, and what provisioners need around it."""

    machine: Machine
    watch: Watch
    """Raises when the machine itself has ended; see `banner.Watch`."""
    find_file: Callable[[str], Path]
    directory: Path
    """Receives a log of each script, and downloads with a relative destination."""
    build_name: str
    secrets: tuple[str, ...] = ()
    """Values of sensitive variables, kept out of logs."""

    @property
    def packer_variables(self) -> Mapping[str, str]:
        """What Packer puts into the environment of every script."""
        return {
            "PACKER_BUILDER_TYPE": "qemu",
            "PACKER_BUILD_NAME": self.build_name,
            # No file server runs; Packer says so like this.
            "PACKER_HTTP_ADDR": "10.0.2.2:0",
            "PACKER_HTTP_IP": "10.0.2.2",
            "PACKER_HTTP_PORT": "0",
        }


def not_prepared(error: OsqualError) -> BuildFailed:
    """The failure of putting a file into the machine."""
    full = NO_SPACE in error.details
    return BuildFailed(
        "The disk of the machine is full." if full else "A file cannot be put into the machine.",
        details=error.details,
        resolution="raise disk_size in the template"
        if full
        else "the directory must exist and the ssh user must be allowed to write there",
    )
