"""From a base image reference to a disk image on this machine."""

from pathlib import Path

from osqual.bases.cache import BaseCache
from osqual.bases.debian.build import build_debian, check_buildable, debian_key
from osqual.bases.files import check_file, describe_file, find_file
from osqual.bases.image import BaseImage
from osqual.bases.reference import (
    DebianReference,
    DownloadReference,
    FileReference,
    parse_reference,
)
from osqual.effects.retry import retry
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError
from osqual.settings import Settings


def resolve_base(
    reference: str, *, relative_to: Path, scope: RunScope, refresh: bool = False
) -> BaseImage:
    """The disk image a reference of `base_images.json` means; made or fetched when it must be.

    `relative_to` is the directory of that file. `refresh` makes a Debian base anew. Raises
    InvalidInput (reference, checksum, file), MissingProgram or InfrastructureError.
    """
    parsed = parse_reference(reference, relative_to)
    cache = BaseCache(scope.settings.directories.cache)
    if isinstance(parsed, FileReference):
        return describe_file(parsed, cache, scope.cancellation)
    key = _key(parsed, scope.settings)
    found = None if refresh else cache.find(key)
    if found is not None:
        return found
    with cache.lock(key, scope):
        # Another process may have made it while this one waited.
        found = None if refresh else cache.find(key)
        try:
            return found or _make(parsed, key, cache, scope)
        except OSError as error:
            raise InfrastructureError(
                f"The base image {reference} could not be put into the cache.",
                details=str(error),
                resolution=f"make room or correct the permissions of {cache.root}: "
                "`osqual cache prune`, or OSQUAL_CACHE_DIR",
            ) from error


def _make(
    parsed: DebianReference | DownloadReference, key: str, cache: BaseCache, scope: RunScope
) -> BaseImage:
    if isinstance(parsed, DebianReference):
        what = f"making the base image {parsed.text}"
        return retry(lambda: build_debian(parsed, key, cache, scope), what, scope)
    # The HTTP client takes half a second to import; most runs download nothing.
    from osqual.bases.download import download

    return download(parsed, key, cache, scope)


def check_base(reference: str, *, relative_to: Path, scope: RunScope) -> None:
    """Refuse what could not be resolved later. Nothing is made, fetched or written.

    Raises InvalidInput (reference, file), MissingProgram or InfrastructureError.
    """
    parsed = parse_reference(reference, relative_to)
    if isinstance(parsed, FileReference):
        check_file(parsed, scope.cancellation)
    elif isinstance(parsed, DebianReference) and not BaseCache(
        scope.settings.directories.cache
    ).find(_key(parsed, scope.settings)):
        check_buildable(scope.cancellation)


def cached_base(reference: str, *, relative_to: Path, settings: Settings) -> BaseImage | None:
    """The same, only if no work is needed for it; None when something would be made or fetched."""
    parsed = parse_reference(reference, relative_to)
    cache = BaseCache(settings.directories.cache)
    if isinstance(parsed, FileReference):
        return find_file(parsed, cache)
    return cache.find(_key(parsed, settings))


def _key(parsed: DebianReference | DownloadReference, settings: Settings) -> str:
    if isinstance(parsed, DebianReference):
        return debian_key(parsed, settings.qemu.debian_mirror)
    return f"sha256={parsed.sha256}"
