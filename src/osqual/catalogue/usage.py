"""Which files a configuration uses, so that a change can be followed to what it reaches."""

import posixpath
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import find_file, find_profile, parse_packer_template, read
from osqual.catalogue.tree import upwards
from osqual.errors import InvalidInput
from osqual.model import Configuration
from osqual.recipe import files_of, normal_path


@dataclass(frozen=True, kw_only=True)
class UsedFile:
    """An input by its name in the record's `inputs`, the name it is looked up by, and its place."""

    key: str
    name: str
    path: Path | None
    """None when there is no such file."""


def used_files(catalogue: Catalogue, configuration: Configuration) -> list[UsedFile]:
    """Every input of a configuration. Files that are broken or missing are no error here."""
    names = catalogue.conventions.files
    wanted = {
        "template": names.template,
        "base": names.base_images,
        "config": names.config,
        "setup": names.setup,
    }
    for name in _template_files(catalogue, configuration):
        wanted[f"file:{normal_path(name)}"] = name
    found = [
        UsedFile(key=key, name=name, path=_find(catalogue, configuration, name))
        for key, name in wanted.items()
    ]
    try:
        profile = find_profile(catalogue, configuration)
    except InvalidInput:
        profile = None
    name = profile.name if profile else names.profile
    return [*found, UsedFile(key="profile", name=name, path=profile)]


def _find(catalogue: Catalogue, configuration: Configuration, name: str) -> Path | None:
    try:
        return find_file(catalogue, configuration, name)
    except InvalidInput:
        return None


def _template_files(catalogue: Catalogue, configuration: Configuration) -> tuple[str, ...]:
    try:
        path = find_file(catalogue, configuration, catalogue.conventions.files.template)
        return files_of(parse_packer_template(*read(catalogue, path))) if path else ()
    except InvalidInput:
        return ()


def lookups(path: str, name: str, exists: Callable[[str], bool]) -> Iterator[str]:
    """The places where a file is looked for, nearest first, up to the one where it is.

    A change in any of them matters: what is added nearer hides what was there.
    """
    for directory in upwards(path) if not name.startswith("/") else ():
        relative = posixpath.normpath(posixpath.join(directory, name))
        if not relative.startswith("../"):
            yield relative
            if exists(relative):
                return


def watched_paths(catalogue: Catalogue, configuration: Configuration) -> frozenset[str]:
    """Every path, relative to the root, whose change reaches the configuration's inputs."""
    names = {file.name for file in used_files(catalogue, configuration)}
    names |= {catalogue.conventions.files.profile, catalogue.conventions.files.old_profile}
    root = catalogue.root
    nearest = frozenset(
        place
        for name in names
        for place in lookups(configuration.path, name, lambda path: (root / path).exists())
    )
    return nearest | set(everywhere(configuration.path, catalogue.conventions.files.mutes))


def everywhere(path: str, name: str) -> Iterator[str]:
    """The places of a file that counts wherever it stands from the root down."""
    return (f"{directory}/{name}".lstrip("/") for directory in upwards(path))


def reached(watched: Collection[str], changed: Collection[str]) -> list[str]:
    """Those changed paths that are watched, or that lie in a watched directory; sorted."""
    return sorted(
        path for path in changed if any(place in watched for place in upwards(path) if place)
    )
