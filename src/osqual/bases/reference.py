"""Base image references of the region `local`, as they stand in base_images.json."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urldefrag, urlsplit

from osqual.errors import InvalidInput

SeedKind = Literal["osqual", "cloud-init"]

_DEBIAN = re.compile(r"debian:(?P<suite>[a-z][a-z0-9-]*)(?:\?(?P<query>.*))?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A mirror may have others; one that is nearly of these is a slip of the keyboard.
_SUITES = (
    *("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "experimental"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
)
_EXAMPLES = (
    "use debian:SUITE (debian:bookworm), https://HOST/PATH.qcow2#sha256=HEX, or the path of a "
    "disk image, absolute or relative to base_images.json"
)


@dataclass(frozen=True, kw_only=True)
class DebianReference:
    """A Debian system made here from a mirror; `seed` is what gives it its identity at boot."""

    text: str
    suite: str
    seed: SeedKind = "osqual"


@dataclass(frozen=True, kw_only=True)
class DownloadReference:
    """A disk image to fetch; `sha256` is that of the file at `url`, in lower-case hex."""

    text: str
    url: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class FileReference:
    """A disk image that is already on this machine; `path` is absolute."""

    text: str
    path: Path


Reference = DebianReference | DownloadReference | FileReference


def parse_reference(text: str, relative_to: Path) -> Reference:
    """Read a reference; `relative_to` is the directory of its file. Raises InvalidInput."""
    if not text or text != text.strip() or "\0" in text:
        raise InvalidInput(f"The base image {text!r} is not usable.", resolution=_EXAMPLES)
    if text.startswith("debian:"):
        return _parse_debian(text)
    if re.match(r"https?://", text, re.IGNORECASE):
        return _parse_url(text)
    if re.match(r"[a-z][a-z0-9+.-]*:", text, re.IGNORECASE):
        raise InvalidInput(f"No such kind of base image: {text!r}.", resolution=_EXAMPLES)
    path, checksum, _ = text.partition("#sha256=")
    if checksum:
        raise InvalidInput(
            f"{path} is a file of this machine, and a path takes no checksum.",
            resolution="leave #sha256=… out: a recipe follows the content of the file by itself",
        )
    return FileReference(text=text, path=(relative_to / text).resolve())


def _parse_debian(text: str) -> DebianReference:
    match = _DEBIAN.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{text!r} does not name a Debian suite.", resolution=_EXAMPLES)
    near = difflib.get_close_matches(match["suite"], _SUITES, n=1, cutoff=0.8)
    if near and match["suite"] not in _SUITES:
        raise InvalidInput(
            f"{text!r} names no suite of Debian: did you mean debian:{near[0]}?",
            resolution=_EXAMPLES,
        )
    options = parse_qs(match["query"] or "", keep_blank_values=True)
    seeds = options.pop("seed", ["osqual"])
    if options or seeds not in (["osqual"], ["cloud-init"]):
        raise InvalidInput(
            f"{text!r} has an option that is not known.",
            resolution="the only option is ?seed=cloud-init: take the machine's identity from "
            "cloud-init instead of osqual's own first-boot agent",
        )
    seed: SeedKind = "osqual" if seeds == ["osqual"] else "cloud-init"
    return DebianReference(text=text, suite=match["suite"], seed=seed)


def _parse_url(text: str) -> DownloadReference:
    url, fragment = urldefrag(text)
    if not urlsplit(url).hostname:
        raise InvalidInput(f"{text!r} names no host.", resolution=_EXAMPLES)
    digest = fragment.removeprefix("sha256=").lower()
    if not fragment.startswith("sha256=") or not _SHA256.fullmatch(digest):
        raise InvalidInput(
            f"The base image {url} has no usable checksum.",
            details="An image without one could change under a recipe without being noticed.",
            resolution=f"add the sha256 that its publisher names (64 hex digits): {url}#sha256=…",
        )
    return DownloadReference(text=text, url=url, sha256=digest)
