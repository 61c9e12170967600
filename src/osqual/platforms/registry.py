"""Every platform by the name that a configuration's path gives it."""

from collections.abc import Mapping

from osqual.platforms.base import Platform
from osqual.platforms.qemu import QemuPlatform
from osqual.platforms.terraform import TerraformPlatform

PLATFORMS: Mapping[str, Platform] = {
    "aws": TerraformPlatform(),
    "qemu": QemuPlatform(),
}
