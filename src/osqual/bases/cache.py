"""The cache of base images: content-addressed files and one small record for each reference.

`bases/<sha256>.<format>` are the images, `bases/references/<key>.json` say what a reference meant
last, `bases/locks` serialise the making, `bases/partial` holds what can be resumed.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from osqual.bases.image import BaseImage
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError
from osqual.processes.process import write_atomic

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class BaseCache:
    """The part of the cache directory that holds base images; `root` is the whole cache."""

    root: Path

    @property
    def directory(self) -> Path:
        """Where the images are."""
        return self.root / "bases"

    def prepare(self) -> None:
        """Make the directories, or say why that is not possible."""
        try:
            for name in ("references", "locks", "partial"):
                (self.directory / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InfrastructureError(
                f"Cannot write to the cache directory {self.root}.",
                details=str(error),
                resolution="set OSQUAL_CACHE_DIR to a directory that you may write to",
            ) from error

    def partial(self, key: str) -> Path:
        """Where unfinished work for a key is kept."""
        return self.directory / "partial" / key_name(key)

    def record_path(self, key: str) -> Path:
        """The record of a key."""
        return self.directory / "references" / f"{key_name(key)}.json"

    def lock_path(self, name: str) -> Path:
        """The lock file of a key, by its file name."""
        return self.directory / "locks" / f"{name}.lock"

    @contextmanager
    def lock(self, key: str, scope: RunScope) -> Iterator[None]:
        """Hold the key's lock; others that want the same base wait, and can be cancelled."""
        self.prepare()
        lock = FileLock(self.lock_path(key_name(key)))
        told = False
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                if not told:
                    scope.progress("waiting for another run that makes the same base image")
                    told = True
                scope.cancellation.sleep(0.2)
        try:
            yield
        finally:
            lock.release()

    def find(self, key: str) -> BaseImage | None:
        """The image of a key when it is whole; marks it as used."""
        path = self.record_path(key)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            image = self._image(record)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if image is None:
            return None
        with suppress(OSError):  # somebody else's cache serves as well
            os.utime(path)
        return image

    def _image(self, record: Mapping[str, Any]) -> BaseImage | None:
        path = self.directory / record["file"]
        if not path.is_file() or path.stat().st_size != record["size"]:
            return None
        return BaseImage(
            reference=record["reference"],
            digest=record["digest"],
            path=path,
            virtual_size=record["virtual_size"],
            format=record["format"],
            kind=record["kind"],
            kernel=self._beside(path, ".kernel"),
            initrd=self._beside(path, ".initrd"),
        )

    def _beside(self, path: Path, suffix: str) -> Path | None:
        beside = path.with_suffix(suffix)
        return beside if beside.is_file() else None

    def add(
        self,
        key: str,
        file: Path,
        image: BaseImage,
        *,
        kernel: Path | None = None,
        initrd: Path | None = None,
    ) -> BaseImage:
        """Move a finished file into the cache under its digest and record it for the key.

        `image` describes it; its paths are replaced by those in the cache.
        """
        target = self.directory / f"{image.digest}.{image.format}"
        for source, destination in (
            (kernel, target.with_suffix(".kernel")),
            (initrd, target.with_suffix(".initrd")),
            (file, target),
        ):
            if source is not None:
                source.chmod(0o644)
                source.replace(destination)
        record = {
            "reference": image.reference,
            "key": key,
            "digest": image.digest,
            "file": target.name,
            "size": target.stat().st_size,
            "virtual_size": image.virtual_size,
            "format": image.format,
            "kind": image.kind,
            "made": time.time(),
        }
        write_atomic(self.record_path(key), json.dumps(record, indent=2) + "\n")
        found = self.find(key)
        if found is None:
            raise InfrastructureError(f"{target} vanished while it was put into the cache.")
        return found


def key_name(key: str) -> str:
    """A file name for a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def digest_file(path: Path, cancellation: Cancellation) -> str:
    """The sha256 (hex) of a file; can be cancelled between chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            cancellation.check()
    return digest.hexdigest()
