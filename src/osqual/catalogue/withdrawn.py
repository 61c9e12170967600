"""Images that nobody should use any more: `withdrawn_images.yaml` at the catalogue's root."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from osqual.errors import InvalidFile
from osqual.formats.documents import load_yaml, read_document, yaml_line

FILE_NAME = "withdrawn_images.yaml"


class Withdrawal(StrEnum):
    """How far an image is withdrawn."""

    DEPRECATED = "deprecated"
    """It works, and something newer should be used: a warning."""
    REVOKED = "revoked"
    """It must not be used."""


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """One image; `derives_from` is the one that was named when this one went with it."""

    image: str
    withdrawal: Withdrawal
    reason: str
    since: str
    derives_from: str = ""

    def __str__(self) -> str:
        derived = f" (derives from {self.derives_from})" if self.derives_from else ""
        return f"{self.image} is {self.withdrawal.value} since {self.since}: {self.reason}{derived}"


def read_withdrawn(root: Path) -> Mapping[str, Withdrawn]:
    """Image id -> how it is withdrawn; empty without the file. Raises InvalidFile."""
    if not (root / FILE_NAME).exists():
        return {}
    return parse_withdrawn(read_document(root, FILE_NAME), FILE_NAME)


def parse_withdrawn(text: str, source: str) -> Mapping[str, Withdrawn]:
    """The file's content. Raises InvalidFile with the line."""
    data = load_yaml(text, source)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidFile(source, "must map image ids to what is wrong with them", line=1)
    return {str(image): _entry(str(image), value, text, source) for image, value in data.items()}


def _entry(image: str, value: Any, text: str, source: str) -> Withdrawn:
    line = yaml_line(text, [image])
    known = [item.value for item in Withdrawal]
    if not isinstance(value, dict) or value.get("withdrawal") not in known:
        message = f"needs `withdrawal`: one of {', '.join(known)}"
        raise InvalidFile(source, message, line=line, key=image)
    return Withdrawn(
        image=image,
        withdrawal=Withdrawal(value["withdrawal"]),
        reason=str(value.get("reason", "")),
        since=str(value.get("since", "")),
        derives_from=str(value.get("derives_from", "")),
    )


def as_document(entries: Mapping[str, Withdrawn]) -> dict[str, dict[str, str]]:
    """The file's content as it is written, sorted by image."""
    document = {}
    for image, entry in sorted(entries.items()):
        values = {
            "withdrawal": entry.withdrawal.value,
            "reason": entry.reason,
            "since": entry.since,
            "derives_from": entry.derives_from,
        }
        document[image] = {name: value for name, value in values.items() if value}
    return document
