"""Finished images: files named by their sha256, and an index that finds them by what made them."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from osqual.builders.keys import digest_file
from osqual.errors import InfrastructureError, InvalidInput
from osqual.model import Image
from osqual.process import write_atomic
from osqual.scope import RunScope
from osqual.teardown import short_lived

REGION = "local"


class ImageStore:
    """`images/<sha256>.qcow2` and `images/index/<image key>.json` in the data directory."""

    def __init__(self, data: Path) -> None:
        self.directory = data / "images"

    def lock_path(self, key: str) -> Path:
        """The lock that makes the same image be built only once at a time."""
        return self._index(key).with_suffix(".lock")

    def find(self, key: str) -> Image | None:
        """The image that was made for this key, if its file is still what it was.

        Size and time of the file decide; when the time has changed, the whole file is read.
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
            return _image(entry["sha256"], file, entry["build_record"], reused=True)
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

    def add(self, key: str, file: Path, record: Mapping[str, Any]) -> Image:
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
        return _image(digest, target, whole, reused=False)

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

    def _index(self, key: str) -> Path:
        return self.directory / "index" / f"{key}.json"

    def _write_index(self, key: str, entry: Mapping[str, Any]) -> None:
        write_atomic(self._index(key), json.dumps(entry, indent=2) + "\n")


def _image(digest: str, file: Path, record: Mapping[str, Any], *, reused: bool) -> Image:
    return Image(ids={REGION: f"sha256:{digest}"}, file=file, reused=reused, build_record=record)
