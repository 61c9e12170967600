"""Finished images: files named by their sha256, and an index that finds them by what made them."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osqual.builders.keys import digest_file
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError, InvalidInput
from osqual.inventory.collecting import is_current, pack
from osqual.model import Image
from osqual.processes.process import write_atomic
from osqual.teardown import short_lived

REGION = "local"
INVENTORY, BASE_INVENTORY = ".inventory.gz", ".base-inventory.gz"


@dataclass(frozen=True, kw_only=True)
class Inventories:
    """What the script of `osqual.inventory` said of an image, and of its base."""

    image: str
    base: str


class ImageStore:
    """`images/<sha256>.qcow2` and `images/index/<image key>.json` in the data directory.

    Beside each image are the inventories of it and of its base.
    """

    def __init__(self, data: Path) -> None:
        self.directory = data / "images"

    def lock_path(self, key: str) -> Path:
        """The lock that makes the same image be built only once at a time."""
        return self._index(key).with_suffix(".lock")

    def find(self, key: str) -> Image | None:
        """The image that was made for this key, if its file is still what it was.

        Size and time of the file decide; when the time has changed, the whole file is read. One
        without an inventory, which an older osqual made, has to be built again.
        """
        try:
            entry = json.loads(self._index(key).read_text(encoding="utf-8"))
            file = self.directory / f"{entry['sha256']}.qcow2"
            state = file.stat()
            if state.st_size != entry["size"]:
                return None
            if state.st_mtime_ns != entry["mtime_ns"]:
                if digest_file(file) != entry["sha256"]:
                    return None
                self._write_index(key, {**entry, "mtime_ns": state.st_mtime_ns})
            if not all(is_current(place) for place in self._inventories(entry["sha256"])):
                return None
            return self._image(entry["sha256"], entry["build_record"], reused=True)
        except (OSError, ValueError, KeyError, TypeError, InvalidInput):
            return None

    def require(self, image_id: str) -> Path:
        """The file of an image by its id, `sha256:<hex>`. Raises InvalidInput when it is gone."""
        digest = image_id.removeprefix("sha256:")
        file = self.directory / f"{digest}.qcow2"
        if not re.fullmatch(r"[0-9a-f]{64}", digest) or not file.is_file():
            raise InvalidInput(
                f"The published image {image_id} is not on this machine.",
                details=f"Looked for {file}",
                resolution="build it here (a publish_dcos_images_after other than never), or set "
                "OSQUAL_DATA_DIR to the directory that holds it",
            )
        return file

    def locate(self, image_id: str) -> Image:
        """An image by its id, with its inventories where there are any. Raises InvalidInput."""
        self.require(image_id)
        image = self._image(image_id.removeprefix("sha256:"), None, reused=True)
        known = image.inventory is not None and image.inventory.is_file()
        return image if known else replace(image, inventory=None, base_inventory=None)

    def add(
        self, key: str, file: Path, record: Mapping[str, Any], inventories: Inventories
    ) -> Image:
        """Move a finished file in, name it by its digest and index it.

        `record` is the build as an entry of Packer's manifest; its `artifact_id` is set here.
        """
        digest = digest_file(file)
        target = self.directory / f"{digest}.qcow2"
        whole = {**record, "artifact_id": f"{REGION}:sha256:{digest}"}
        try:
            file.chmod(0o444)
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            texts = (inventories.image, inventories.base)
            for place, text in zip(self._inventories(digest), texts, strict=True):
                write_atomic(place, pack(text))
            file.replace(target)
            state = target.stat()
            self._write_index(
                key,
                {
                    "sha256": digest,
                    "size": state.st_size,
                    "mtime_ns": state.st_mtime_ns,
                    "build_record": whole,
                },
            )
        except OSError as error:
            raise InfrastructureError(
                f"The finished image cannot be stored in {self.directory}.", details=str(error)
            ) from error
        return self._image(digest, whole, reused=False)

    def prepare(self) -> Path:
        """Make the directories and return one on the same file system for unfinished files."""
        partial = self.directory / "partial"
        try:
            for directory in (partial, self.directory / "index"):
                directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InfrastructureError(
                f"Cannot write to the data directory {self.directory}.",
                details=str(error),
                resolution="set OSQUAL_DATA_DIR to a directory that you may write to",
            ) from error
        return partial

    def unfinished(self, key: str, scope: RunScope) -> AbstractContextManager[Path]:
        """Where this run writes the image; what is not added before the body ends is removed."""
        path = self.prepare() / f"{scope.run_id}-{key}.qcow2"
        return short_lived("file", "unfinished image", path, scope)

    def _inventories(self, digest: str) -> tuple[Path, Path]:
        return self.directory / f"{digest}{INVENTORY}", self.directory / f"{digest}{BASE_INVENTORY}"

    def _image(self, digest: str, record: Mapping[str, Any] | None, *, reused: bool) -> Image:
        image, base = self._inventories(digest)
        return Image(
            ids={REGION: f"sha256:{digest}"},
            file=self.directory / f"{digest}.qcow2",
            reused=reused,
            build_record=record,
            inventory=image,
            base_inventory=base,
        )

    def _index(self, key: str) -> Path:
        return self.directory / "index" / f"{key}.json"

    def _write_index(self, key: str, entry: Mapping[str, Any]) -> None:
        write_atomic(self._index(key), json.dumps(entry, indent=2) + "\n")
