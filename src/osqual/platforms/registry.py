"""Every platform by the name that a configuration's path gives it."""

from collections.abc import Mapping

from osqual.platforms.base import Platform
from osqual.platforms.qemu import QemuPlatform

PLATFORMS: Mapping[str, Platform] = {
    "qemu": QemuPlatform(),
}
