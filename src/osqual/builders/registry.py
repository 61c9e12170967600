"""Every builder by the name that `--builder` takes, or by the type of template it alone builds."""

from collections.abc import Mapping

from osqual.builders.base import Builder
from osqual.builders.layered import LayeredBuilder
from osqual.builders.packer import PackerBuilder
from osqual.builders.packer_ami import AmiBuilder

BUILDERS: Mapping[str, Builder] = {
    "layered": LayeredBuilder(),
    "packer": PackerBuilder(),
    "amazon-ebs": AmiBuilder(),
}
