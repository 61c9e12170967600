"""Which file of this machine a published image is."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from osqual.catalogue.catalogue import Catalogue

PREFIX = "sha256:"


@dataclass(frozen=True)
class LocalImages:
    """The built images of the data directory; it is looked for when one is asked about."""

    root: Path

    @cached_property
    def _directory(self) -> Path:
        from osqual.settings import load_settings  # 0.3 s that a cloud's images do without

        return load_settings(self.root, os.environ).directories.data

    def locate(self, image: str) -> Path | None:
        """The file of an image; None for one of a cloud, or that is not on this machine."""
        if not image.startswith(PREFIX):
            return None
        from osqual.builders.images import ImageStore
        from osqual.errors import InvalidInput

        try:
            return ImageStore(self._directory).require(image)
        except InvalidInput:
            return None


def local_images(catalogue: Catalogue) -> LocalImages:
    """The images that the catalogue's settings lead to."""
    return LocalImages(catalogue.root)
