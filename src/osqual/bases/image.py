"""What a base image is once it is on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BaseKind = Literal["debian", "download", "file"]


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """A disk image on this machine that a build can start from.

    `digest` is the sha256 (hex) of the file's content, `virtual_size` is in bytes, `format` is
    QEMU's name of it (qcow2, raw). `kernel` and `initrd` stand beside our own bases only.
    """

    reference: str
    digest: str
    path: Path
    virtual_size: int
    format: str
    kind: BaseKind
    kernel: Path | None = None
    initrd: Path | None = None
