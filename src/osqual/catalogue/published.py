"""Reading what publishing writes: images, build history, record. Checked, as frozen values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from osqual.errors import InvalidFile
from osqual.formats.documents import json_line, load_json, load_yaml, yaml_line
from osqual.model import Verdict

# The lines that an images file is made of: a region like us-gov-west-1 or `local`, and an id that
# no reading of YAML takes for anything but a string. Reading them so saves loading PyYAML.
_PLAIN_IMAGE = re.compile(
    r"(local|[a-z]{2}(?:-[a-z]+)+-[0-9]): (ami-[0-9a-f]+|sha256:[0-9a-f]{64}) *"
)


@dataclass(frozen=True, kw_only=True)
class Build:
    """One entry of the build history. `images` maps region to image id."""

    builder_type: str
    time: datetime
    images: Mapping[str, str]
    run_uuid: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """The parts of a qualification record that questions are asked about."""

    verdict: Verdict
    ended_at: str
    """ISO 8601, UTC; compares as text."""
    run_id: str
    images: Mapping[str, str]
    recipe_digest: str
    recipe_inputs: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Every input of the run by name, as sha256; empty in a record that does not tell."""
    reasons: tuple[str, ...] = ()
    configuration: str = ""


def parse_images(text: str, source: str) -> Mapping[str, str]:
    """An images file: region to image id. Raises InvalidFile."""
    plain = parse_plain_images(text)
    if plain is not None:
        return plain
    data = load_yaml(text, source)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidFile(source, "must be a mapping of region to image id", line=1)
    for region, image in data.items():
        if not isinstance(region, str) or not isinstance(image, str) or not image:
            line = yaml_line(text, [region])
            message = "must map a region to an image id, both plain text"
            raise InvalidFile(source, message, line=line, key=str(region))
    return data


def parse_plain_images(text: str) -> dict[str, str] | None:
    """The images, when every line is plain; None leaves the file to the YAML parser."""
    images = {}
    for line in text.rstrip("\n").split("\n"):
        match = _PLAIN_IMAGE.fullmatch(line)
        if match is None:
            return None
        images[match[1]] = match[2]
    return images


def parse_history(text: str, source: str) -> tuple[Build, ...]:
    """A build history (Packer's manifest), oldest first. Raises InvalidFile."""
    data = load_json(text, source)
    builds = data.get("builds") if isinstance(data, dict) else None
    if not isinstance(builds, list):
        raise InvalidFile(source, "must be an object with a list `builds`", line=1)
    found = []
    for index, entry in enumerate(builds):
        try:
            found.append(_build(entry))
        except (TypeError, KeyError, ValueError, OverflowError, OSError, AttributeError) as error:
            line = json_line(text, ["builds", index])
            message = f"is not a build of Packer's manifest: {type(error).__name__} {error}"
            raise InvalidFile(source, message, line=line, key=f"builds[{index}]") from error
    return tuple(found)


def _build(entry: Mapping[str, Any]) -> Build:
    return Build(
        builder_type=str(entry.get("builder_type", "")),
        time=datetime.fromtimestamp(entry["build_time"], UTC),
        images=dict(_region_and_image(part) for part in entry["artifact_id"].split(",") if part),
        run_uuid=str(entry.get("packer_run_uuid", "")),
    )


def _region_and_image(part: str) -> tuple[str, str]:
    """`us-west-2:ami-1`, or a bare id, which stands for the local machine."""
    if part.startswith("sha256:"):
        return "local", part
    region, colon, image = part.partition(":")
    return (region, image) if colon else ("local", part)


def parse_record(text: str, source: str) -> Record:
    """A qualification record. Raises InvalidFile."""
    data = load_json(text, source)
    if not isinstance(data, dict):
        raise InvalidFile(source, "must be an object", line=1)

    def broken(key: str, message: str) -> InvalidFile:
        return InvalidFile(source, message, line=json_line(text, key.split(".")), key=key)

    def texts(value: Any, key: str) -> Mapping[str, str]:
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return value
        raise broken(key, "must map names to text")

    try:
        verdict = Verdict(str(data.get("verdict")))
    except ValueError as error:
        known = ", ".join(verdict.value for verdict in Verdict)
        raise broken("verdict", f"must be one of {known}") from error
    recipe = data.get("recipe", {})
    if not isinstance(recipe, dict):
        raise broken("recipe", "must be an object")
    reasons = data.get("reasons", [])
    if not isinstance(reasons, list):
        raise broken("reasons", "must be a list")
    return Record(
        verdict=verdict,
        ended_at=str(data.get("ended_at", "")),
        run_id=str(data.get("run", "")),
        images=texts(data.get("images", {}), "images"),
        recipe_digest=str(recipe.get("digest", "")),
        recipe_inputs=texts(recipe.get("inputs", {}), "recipe.inputs"),
        inputs=texts(data.get("inputs", {}), "inputs"),
        reasons=tuple(map(str, reasons)),
        configuration=str(data.get("configuration", "")),
    )
