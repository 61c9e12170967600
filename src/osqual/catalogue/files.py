"""A configuration's files: the nearest one wins, and typed parsers that name file, line and key."""

import json
import os
import posixpath
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.tree import upwards
from osqual.errors import InvalidFile, InvalidInput, UnknownKey
from osqual.formats.documents import (
    json_line,
    load_json,
    load_yaml,
    read_document,
    resolve_inside,
    yaml_line,
)
from osqual.model import Configuration, PublishAndTest, PublishPoint
from osqual.templates.template import PackerTemplate, parse_template
from osqual.templates.template_hcl import SUFFIX as HCL_SUFFIX
from osqual.templates.template_hcl import parse_hcl_template


def find_file(catalogue: Catalogue, configuration: Configuration, name: str) -> Path | None:
    """The file nearest to a configuration: its own directory, then each parent up to the root.

    `name` may have directories in it. What is found lies in the catalogue, also behind links;
    InvalidInput when it does not, or when the name cannot stay inside.
    """
    if name.startswith("/") or "\0" in name:
        raise InvalidInput(
            f"{configuration.path}: the file {name!r} is outside of the catalogue.",
            resolution="keep the file in the catalogue and name it relative to the configuration",
        )
    clean = posixpath.normpath(name)
    plain = "/" not in clean and clean not in (".", "..")
    outside = True
    for directory in upwards(configuration.path):
        relative = posixpath.join(directory, clean)
        if not plain:
            relative = posixpath.normpath(relative)
            if relative == ".." or relative.startswith("../"):
                continue
        outside = False
        path = f"{catalogue.root}/{relative}"
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if not plain or stat.S_ISLNK(status.st_mode):  # else no link can lead there
            resolve_inside(catalogue.root, relative)
        return Path(path)
    if outside:
        raise InvalidInput(f"{configuration.path}: the file {name!r} is outside of the catalogue.")
    return None


def find_profile(catalogue: Catalogue, configuration: Configuration) -> Path | None:
    """The nearest profile, under its name or its old one; in one directory the new name wins."""
    files = catalogue.conventions.files
    found = [
        path
        for name in (files.profile, files.old_profile)
        if (path := find_file(catalogue, configuration, name)) is not None
    ]
    return max(found, key=lambda path: len(path.parts), default=None)


def require_file(catalogue: Catalogue, configuration: Configuration, name: str) -> Path:
    """`find_file` for a file that must be there. Raises InvalidInput naming it."""
    path = find_file(catalogue, configuration, name)
    if path is None:
        raise InvalidInput(
            f"{configuration.path}: the file {name!r} is missing.",
            details="Looked in the configuration's directory and in each directory above it, up "
            f"to {catalogue.root}.",
            resolution="add the file, or take the reference to it out of the template",
        )
    return path


def source_name(catalogue: Catalogue, path: Path) -> str:
    """How messages call a file: its path relative to the root."""
    return path.relative_to(catalogue.root).as_posix()


def read(catalogue: Catalogue, path: Path) -> tuple[str, str]:
    """A file's text and its name in messages. Raises InvalidFile."""
    source = source_name(catalogue, path)
    return read_document(catalogue.root, source), source


def parse_packer_template(text: str, source: str) -> PackerTemplate:
    """A Packer template, JSON or HCL by its name; an InvalidFile has the line of what is wrong."""
    if source.endswith(HCL_SUFFIX):
        return parse_hcl_template(text, source)
    load_json(text, source)
    return parse_template(text, source)


def parse_base_images(text: str, source: str) -> Mapping[str, str]:
    """`base_images.json`: region to base image. Raises InvalidFile."""
    data = load_json(text, source)
    if not isinstance(data, dict):
        resolution = (
            "write it as an object of region and image id; a vendor's feed is converted with "
            "`osqual convert-feed`"
        )
        message = "must be an object that maps regions to base images"
        raise InvalidFile(source, message, line=1, resolution=resolution)
    for region, image in data.items():
        if not isinstance(image, str) or not image.strip():
            line = json_line(text, [region])
            raise InvalidFile(source, "must be a base image's id, as text", line=line, key=region)
    return data


_CONFIG_FLAGS = ("run_integration_tests", "run_framework_tests")
_CONFIG_KEYS = ("publish_dcos_images_after", "tests_to_run", *_CONFIG_FLAGS)


def parse_publish_and_test(text: str, source: str) -> PublishAndTest:
    """`publish_and_test_config.yaml`. Raises InvalidFile with the line and key."""
    data = load_yaml(text, source)
    if data is None:
        return PublishAndTest()
    if not isinstance(data, dict):
        raise InvalidFile(source, "must be a mapping", line=1)

    def broken(key: Any, message: str, *inner: int) -> InvalidFile:
        return InvalidFile(source, message, line=yaml_line(text, [key, *inner]), key=str(key))

    for key in data:
        if key not in _CONFIG_KEYS:
            message = f"is not known; known are {', '.join(_CONFIG_KEYS)}"
            raise UnknownKey(source, message, line=yaml_line(text, [key]), key=str(key))
    values: dict[str, Any] = {}
    for key in _CONFIG_FLAGS:
        value = data.get(key)
        if value is not None:
            if not isinstance(value, bool):
                raise broken(key, f"must be true or false, not {_shown(value)}")
            values[key] = value
    point = data.get("publish_dcos_images_after")
    if point is not None:
        known = [item.value for item in PublishPoint]
        if point not in known:
            message = f"must be one of {', '.join(known)}, not {_shown(point)}"
            raise broken("publish_dcos_images_after", message)
        values["publish_after"] = PublishPoint(point)
    tests = data.get("tests_to_run")
    if tests is not None:
        if not isinstance(tests, list):
            raise broken("tests_to_run", f"must be a list, not {_shown(tests)}")
        for index, test in enumerate(tests):
            if not isinstance(test, str):
                raise broken("tests_to_run", f"{_shown(test)} must be text; quote it", index)
        values["tests_to_run"] = tuple(tests)
    return PublishAndTest(**values)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
