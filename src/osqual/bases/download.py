"""Base images fetched by URL: resumed where they were cut off, checked before they are used."""

import errno
import os
import shutil
import time
from pathlib import Path

import httpx

from osqual.bases.cache import BaseCache, digest_file
from osqual.bases.image import BaseImage
from osqual.bases.inspect import inspect_disk
from osqual.bases.reference import DownloadReference
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError, InvalidInput
from osqual.events import EventKind

ATTEMPTS = 5
"""Attempts in a row that may bring nothing before giving up; every byte starts the count anew."""
PAUSE_S = 1.0
REPORT_EVERY_S = 1.0
TIMEOUT = httpx.Timeout(20.0, read=15.0)


def download(
    reference: DownloadReference,
    key: str,
    cache: BaseCache,
    scope: RunScope,
    *,
    pause_s: float = PAUSE_S,
) -> BaseImage:
    """Fetch the image into the cache; the caller holds the key's lock.

    What was fetched before stays in a `.part` file and is continued. Raises InvalidInput when the
    checksum is another one, InfrastructureError when the server cannot be reached.
    """
    part = cache.partial(key).with_suffix(".part")
    resumed = part.exists()
    _fetch(reference, part, scope, pause_s)
    scope.progress(f"checking {reference.url}")
    digest = digest_file(part, scope.cancellation)
    if digest != reference.sha256 and resumed:
        # The remains may be of another file; the whole one deserves a chance.
        part.unlink()
        scope.warn(f"what was left of {reference.url} does not fit; fetching it anew")
        _fetch(reference, part, scope, pause_s)
        digest = digest_file(part, scope.cancellation)
    if digest != reference.sha256:
        part.unlink()
        raise InvalidInput(
            f"The checksum of {reference.url} is not the one in base_images.json.",
            details=f"expected {reference.sha256}\nreceived {digest}",
            resolution="if its publisher has replaced the file, check the new one and correct "
            "the checksum; otherwise do not trust this server",
        )
    try:
        facts = inspect_disk(part, reference.text, scope.cancellation)
    except InvalidInput:
        part.unlink()
        raise
    image = BaseImage(
        reference=reference.text,
        digest=digest,
        path=part,
        virtual_size=facts.virtual_size,
        format=facts.format,
        kind="download",
    )
    return cache.add(key, part, image)


def _fetch(reference: DownloadReference, part: Path, scope: RunScope, pause_s: float) -> None:
    """Bring the part file to its full length."""
    idle = 0
    with httpx.Client(timeout=TIMEOUT, follow_redirects=True) as client:
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                _fetch_once(client, reference, part, before, scope)
                return
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                if status < 500 and status != 429:
                    reason = error.response.reason_phrase
                    raise _refused(reference, f"HTTP {status} {reason}".rstrip()) from error
                problem = f"HTTP {status}"
            except httpx.HTTPError as error:
                problem = str(error) or type(error).__name__
            except OSError as error:
                raise _unwritable(part, error) from error
            after = part.stat().st_size if part.exists() else 0
            idle = 0 if after > before else idle + 1
            if idle >= ATTEMPTS:
                raise InfrastructureError(
                    f"{reference.url} cannot be fetched.",
                    details=f"{ATTEMPTS} attempts brought nothing more; the last one: {problem}",
                    resolution="check the network and the URL; what was fetched is kept and "
                    "continued next time",
                )
            words = f"fetching {reference.url} was cut off ({problem}); continuing"
            scope.emit(EventKind.RETRY, words, attempt=idle + 1, attempts=ATTEMPTS)
            scope.cancellation.sleep(pause_s * 2**idle)


def _fetch_once(
    client: httpx.Client, reference: DownloadReference, part: Path, start: int, scope: RunScope
) -> None:
    headers = {"Range": f"bytes={start}-"} if start else {}
    # Compression on the way would make byte ranges mean something else.
    headers["Accept-Encoding"] = "identity"
    with client.stream("GET", reference.url, headers=headers) as response:
        if response.status_code == 416:
            return  # nothing after the end: it was whole already; the checksum decides
        response.raise_for_status()
        continued = response.status_code == 206
        done = start if continued else 0
        length = response.headers.get("content-length")
        total = done + int(length) if length and length.isdigit() else None
        _check_space(part, total, done)
        reported = 0.0
        with part.open("ab" if continued else "wb") as stream:
            for chunk in response.iter_raw():
                stream.write(chunk)
                done += len(chunk)
                scope.cancellation.check()
                if time.monotonic() - reported >= REPORT_EVERY_S:
                    reported = time.monotonic()
                    _report(reference, done, total, scope)
            stream.flush()
            os.fsync(stream.fileno())
        _report(reference, done, total, scope)


def _check_space(part: Path, total: int | None, done: int) -> None:
    """Sooner said than after an hour."""
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - done > free:
        needed, there = (f"{count / 1e9:.1f} GB" for count in (total - done, free))
        problem = OSError(errno.ENOSPC, f"{needed} are to come, {there} are free")
        raise _unwritable(part, problem)


def _report(reference: DownloadReference, done: int, total: int | None, scope: RunScope) -> None:
    scope.progress(f"fetching {reference.url}", done=done, total=total, unit="B")


def _refused(reference: DownloadReference, problem: str) -> InfrastructureError:
    return InfrastructureError(
        f"{reference.url} cannot be fetched.",
        details=problem,
        resolution="correct the URL in base_images.json",
    )


def _unwritable(part: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"Cannot write {part}.",
        details=str(error),
        resolution="free space in the cache directory: `osqual cache prune`",
    )
