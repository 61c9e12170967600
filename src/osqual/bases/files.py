"""Base images that are files of the user's own: used where they are, never copied or changed."""

import json
import os
from pathlib import Path

from osqual.bases.cache import BaseCache, digest_file
from osqual.bases.image import BaseImage
from osqual.bases.inspect import DiskFacts, inspect_disk
from osqual.bases.reference import FileReference
from osqual.cancellation import Cancellation
from osqual.errors import InvalidInput
from osqual.processes.process import write_atomic


def describe_file(
    reference: FileReference, cache: BaseCache, cancellation: Cancellation
) -> BaseImage:
    """The file as a base image; its digest is computed once for each state of the file."""
    found = find_file(reference, cache)
    if found is not None:
        return found
    facts = check_file(reference, cancellation)
    try:
        stamp = _stamp(reference.path)
        digest = digest_file(reference.path, cancellation)
    except OSError as error:
        raise _unreadable(reference, error) from error
    cache.prepare()
    record = {
        "path": str(reference.path),
        "stamp": stamp,
        "digest": digest,
        "virtual_size": facts.virtual_size,
        "format": facts.format,
    }
    write_atomic(cache.record_path(_key(reference.path)), json.dumps(record, indent=2) + "\n")
    return BaseImage(
        reference=reference.text,
        digest=digest,
        path=reference.path,
        virtual_size=facts.virtual_size,
        format=facts.format,
        kind="file",
    )


def check_file(reference: FileReference, cancellation: Cancellation) -> DiskFacts:
    """Look at the file without reading all of it. Raises InvalidInput."""
    if not reference.path.is_file():
        raise InvalidInput(
            f"The base image {reference.text} does not exist.",
            details=f"Looked for {reference.path}.",
            resolution="correct base_images.json; relative paths start at its directory",
        )
    try:
        return inspect_disk(reference.path, reference.text, cancellation)
    except OSError as error:
        raise _unreadable(reference, error) from error


def _unreadable(reference: FileReference, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"The base image {reference.text} cannot be read.",
        details=str(error),
        resolution="correct its permissions, or name another image in base_images.json",
    )


def find_file(reference: FileReference, cache: BaseCache) -> BaseImage | None:
    """The file as a base image when its digest is known and the file has not changed since."""
    path = cache.record_path(_key(reference.path))
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["stamp"] != _stamp(reference.path):
            return None
        image = BaseImage(
            reference=reference.text,
            digest=record["digest"],
            path=reference.path,
            virtual_size=record["virtual_size"],
            format=record["format"],
            kind="file",
        )
        os.utime(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return image


def _key(path: Path) -> str:
    return f"file={path}"


def _stamp(path: Path) -> list[int]:
    """What changes when a file does: size, times, inode and device."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]
