"""Every builder by the name that `--builder` takes."""

from collections.abc import Mapping

from osqual.builders.base import Builder
from osqual.builders.layered import LayeredBuilder
from osqual.builders.packer import PackerBuilder

BUILDERS: Mapping[str, Builder] = {
    "layered": LayeredBuilder(),
    "packer": PackerBuilder(),
}
