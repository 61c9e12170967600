"""What a disk image file is, as qemu-img sees it."""

import json
from dataclasses import dataclass
from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.errors import CommandFailed, InvalidInput
from osqual.processes.process import run

# What can be the bottom of a chain of disks; others would need to be converted first.
FORMATS = ("qcow2", "raw")
# No system fits into less; a text file that was named by mistake does.
SMALLEST = 1 << 20
_BOOT_SIGNATURE = b"\x55\xaa"
"""The last bytes of a disk's first sector, with GPT as well: firmware boots nothing else."""


@dataclass(frozen=True, kw_only=True)
class DiskFacts:
    """A disk image's format and the size that a machine would see, in bytes."""

    format: str
    virtual_size: int


def inspect_disk(path: Path, reference: str, cancellation: Cancellation) -> DiskFacts:
    """Look into a disk image. Raises InvalidInput when it cannot be a base image."""
    try:
        done = run(
            ["qemu-img", "info", "--output=json", "--force-share", str(path)],
            cancellation=cancellation,
        )
    except CommandFailed as error:
        raise InvalidInput(
            f"The base image {reference} is not a disk image.",
            details=error.details,
            resolution="name a qcow2 or raw disk image in base_images.json",
        ) from error
    facts = json.loads(done.stdout)
    # A file that names other files would read whatever it names on this machine.
    data_file = facts.get("format-specific", {}).get("data", {}).get("data-file")
    other = facts.get("full-backing-filename") or facts.get("backing-filename") or data_file
    if other:
        raise InvalidInput(
            f"The base image {reference} rests on another file ({other}).",
            resolution="flatten it first: qemu-img convert -O qcow2 OLD NEW",
        )
    if facts["format"] not in FORMATS:
        raise InvalidInput(
            f"The base image {reference} has the format {facts['format']}.",
            resolution="convert it first: qemu-img convert -O qcow2 OLD NEW",
        )
    size = int(facts["virtual-size"])
    if size < SMALLEST or (facts["format"] == "raw" and not _has_boot_sector(path)):
        raise InvalidInput(
            f"The base image {reference} is not a disk image that boots.",
            details=f"It is {size} bytes of {facts['format']} without a boot sector."
            if facts["format"] == "raw"
            else f"Its disk has {size} bytes.",
            resolution="name a whole disk (qcow2 or raw), not a file system or an archive",
        )
    return DiskFacts(format=facts["format"], virtual_size=size)


def _has_boot_sector(path: Path) -> bool:
    with path.open("rb") as disk:
        return disk.read(512)[510:] == _BOOT_SIGNATURE
