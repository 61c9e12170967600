"""Channels: which images of the catalogue are promoted to `candidate`, `stable`, …

A channel is a file `channels/<name>.yaml` at the catalogue's root. What it names stays what it is
when newer images are published.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osqual.catalogue.facts import Facts, Standing
from osqual.errors import InvalidFile, NotFound, UsageError
from osqual.formats.documents import load_yaml, read_document, yaml_line

DIRECTORY = "channels"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_TEXTS = ("run", "ended_at", "promoted_at")


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """The images of one configuration in a channel, and the run that qualified them."""

    images: Mapping[str, str]
    run: str = ""
    ended_at: str = ""
    promoted_at: str = ""


Channel = Mapping[str, Promoted]
"""Configuration to what is promoted of it."""


def channel_path(name: str) -> str:
    """The file of a channel, relative to the root. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a channel.",
            resolution="use lower-case letters, digits, '-' and '_', a letter first",
        )
    return f"{DIRECTORY}/{name}.yaml"


def read_channel(root: Path, name: str) -> Channel:
    """A channel of the catalogue. Raises NotFound with those that exist, or InvalidFile."""
    path = channel_path(name)
    if not (root / path).is_file():
        known = sorted(each.stem for each in (root / DIRECTORY).glob("*.yaml"))
        raise NotFound(
            f"There is no channel {name!r}.",
            details=f"known: {', '.join(known) or 'none'}",
            resolution=f"osqual promote LEAF --to {name}",
        )
    return parse_channel(read_document(root, path), path)


def parse_channel(text: str, source: str) -> Channel:
    """The file's content. Raises InvalidFile with the line."""
    data = load_yaml(text, source)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidFile(source, "must map configurations to their images", line=1)
    return {str(path): _entry(str(path), value, text, source) for path, value in data.items()}


def channel_document(channel: Channel) -> dict[str, dict[str, Any]]:
    """The file's content as it is written, sorted."""
    return {
        path: {
            "images": dict(sorted(entry.images.items())),
            **{name: value for name in _TEXTS if (value := getattr(entry, name))},
        }
        for path, entry in sorted(channel.items())
    }


def facts_in(channel: Channel, facts: list[Facts]) -> list[Facts]:
    """Of these configurations those in the channel, with the images that were promoted."""
    return [
        item._replace(
            images=channel[item.path].images,
            standing=Standing.QUALIFIED,
            when=channel[item.path].ended_at,
        )
        for item in facts
        if item.path in channel
    ]


def _entry(path: str, value: Any, text: str, source: str) -> Promoted:
    images = value.get("images") if isinstance(value, dict) else None
    valid = isinstance(images, dict) and all(
        isinstance(part, str) for pair in images.items() for part in pair
    )
    if not images or not valid:
        message = "needs `images`: region to image id"
        raise InvalidFile(source, message, line=yaml_line(text, [path]), key=path)
    return Promoted(images=images, **{name: str(value.get(name, "")) for name in _TEXTS})
