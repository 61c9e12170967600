"""Vendors' feeds of images (CoreOS, Flatcar) as base images: region to image id."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from osqual.errors import InvalidFile
from osqual.formats.documents import json_line, load_json

KINDS = ("hvm", "pv")
"""How an image is virtualised. Every instance type of today wants hvm."""

_IMAGE = re.compile(r"ami-[0-9a-f]{8}(?:[0-9a-f]{9})?")


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a feed holds. `skipped` are its regions that have no image of the kind."""

    images: Mapping[str, str]
    skipped: tuple[str, ...] = ()

    def as_base_images(self) -> str:
        """The text of a `base_images.json`, sorted by region."""
        return json.dumps(dict(sorted(self.images.items())), indent=2) + "\n"


def is_feed(text: str, source: str) -> bool:
    """Whether a JSON text is a feed rather than base images. Raises InvalidFile."""
    data = load_json(text, source)
    return isinstance(data, dict) and isinstance(data.get("amis"), list)


def parse_feed(text: str, source: str, kind: str = "hvm") -> Feed:
    """`{"amis": [{"name": region, "hvm": image}]}`. Raises InvalidFile with line and key."""
    data = load_json(text, source)
    entries = data.get("amis") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        message = "is no feed of images: it needs a list `amis` of objects with `name` and `hvm`"
        raise InvalidFile(source, message, line=1)
    images: dict[str, str] = {}
    skipped = []
    for index, entry in enumerate(entries):
        region, image = _entry(entry, index, kind, text, source)
        if image is None:
            skipped.append(region)
        elif images.setdefault(region, image) != image:
            raise _broken(f"the region {region!r} has two images", index, text, source)
    if not images:
        raise InvalidFile(source, f"has no image of the kind {kind!r}", line=1)
    return Feed(images=images, skipped=tuple(skipped))


def _entry(entry: Any, index: int, kind: str, text: str, source: str) -> tuple[str, str | None]:
    region = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(region, str) or not region.strip() or not region.isprintable():
        raise _broken("needs the region as `name`", index, text, source)
    image = entry.get(kind)
    if image in (None, ""):
        return region, None
    if not isinstance(image, str) or not _IMAGE.fullmatch(image):
        raise _broken(f"`{kind}` must be an image id such as ami-0123abcd", index, text, source)
    return region, image


def _broken(problem: str, index: int, text: str, source: str) -> InvalidFile:
    line = json_line(text, ["amis", index])
    return InvalidFile(source, problem, line=line, key=f"amis[{index}]")
