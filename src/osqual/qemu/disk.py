"""Disk images through qemu-img."""

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.errors import CommandFailed, InfrastructureError
from osqual.processes.process import Completed, run

CONVERT_TIMEOUT_S = 3600.0
_NO_SPACE = os.strerror(errno.ENOSPC)


class DiskFull(InfrastructureError):
    """The file system that a disk image is on has no room left."""


@dataclass(frozen=True, kw_only=True)
class DiskInfo:
    """What qemu-img says about an image; sizes in bytes."""

    virtual_size: int
    actual_size: int
    format: str
    backing: Path | None


def create_overlay(
    path: Path,
    backing: Path,
    *,
    backing_format: str = "qcow2",
    size_gb: int | None = None,
    size: int | None = None,
    cancellation: Cancellation | None = None,
) -> None:
    """Make a copy-on-write qcow2 over `backing`, grown to `size_gb`, or `size` bytes, if larger."""
    words: list[str] = []
    wanted = size if size_gb is None else size_gb << 30
    if wanted is not None:
        virtual_size = info(backing, cancellation=cancellation).virtual_size
        words = [str(max(wanted, virtual_size))]
    argv = ["create", "-q", "-f", "qcow2", "-b", str(backing.absolute()), "-F", backing_format]
    _qemu_img([*argv, str(path), *words], path, cancellation)


def info(path: Path, *, cancellation: Cancellation | None = None) -> DiskInfo:
    """Facts of an image, also while a machine uses it."""
    argv = ["info", "--force-share", "--output=json", str(path)]
    facts = json.loads(_qemu_img(argv, path, cancellation).stdout)
    backing = facts.get("full-backing-filename") or facts.get("backing-filename")
    return DiskInfo(
        virtual_size=int(facts["virtual-size"]),
        actual_size=int(facts["actual-size"]),
        format=str(facts["format"]),
        backing=None if backing is None else Path(backing),
    )


def convert(
    source: Path,
    target: Path,
    *,
    compress: bool = True,
    cancellation: Cancellation | None = None,
) -> None:
    """Flatten `source` and its backing files into one qcow2, zstd-compressed unless told not to."""
    argv = ["convert", "-q", "-W", "-O", "qcow2"]
    if compress:
        # Twice the default cluster: a quarter less work to compress, and no slower to boot from.
        argv += ["-c", "-o", "compression_type=zstd,cluster_size=128k"]
    _qemu_img([*argv, str(source), str(target)], target, cancellation)


def rebase(
    path: Path,
    backing: Path,
    *,
    backing_format: str = "qcow2",
    cancellation: Cancellation | None = None,
) -> None:
    """Point an overlay at a moved, otherwise equal backing file; no data is copied."""
    argv = ["rebase", "-q", "-u", "-b", str(backing.absolute()), "-F", backing_format, str(path)]
    _qemu_img(argv, path, cancellation)


def _qemu_img(
    arguments: Sequence[str], written: Path, cancellation: Cancellation | None
) -> Completed:
    try:
        return run(["qemu-img", *arguments], timeout_s=CONVERT_TIMEOUT_S, cancellation=cancellation)
    except CommandFailed as error:
        if _NO_SPACE in error.details:
            raise DiskFull(
                f"No space left for {written.name}.",
                details=error.details,
                resolution=f"free space on the file system of {written.parent}",
            ) from error
        raise
