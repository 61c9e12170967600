"""What every configuration is made of, as digests: the same before and after a repair.

It looks files up as a run does, with the catalogue's own functions, and shares nothing with the
code that plans the repair.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from osqual.bases.reference import FileReference, parse_reference
from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import (
    find_file,
    find_profile,
    parse_base_images,
    parse_packer_template,
    read,
)
from osqual.catalogue.tree import upwards
from osqual.errors import InvalidInput
from osqual.model import Configuration
from osqual.recipe import digest_of, digest_of_path, files_of, normal_path
from osqual.templates.template import PackerTemplate

Resolved = Mapping[str, Mapping[str, str]]
"""Configuration -> what it looks up -> digest of what it finds."""

ABSENT = "absent"


def resolve_all(catalogue: Catalogue) -> Resolved:
    """Everything that every configuration finds. Reads the disk anew."""
    reader = _Reader(catalogue)
    return {item.path: dict(reader.resolve(item)) for item in catalogue.configurations()}


def differences(before: Resolved, after: Resolved, described: Collection[str]) -> list[str]:
    """What is not the same, as sentences; `described` may differ in their description alone."""
    wrong = [f"{path}: is no configuration any more" for path in sorted(before.keys() - after)]
    wrong += [f"{path}: would become a configuration" for path in sorted(after.keys() - before)]
    for path in sorted(before.keys() & after.keys()):
        old, new = before[path], after[path]
        for what in sorted(old.keys() | new.keys()):
            if what == "template" and path in described:
                continue
            if old.get(what) != new.get(what):
                wrong.append(f"{path}: would find another {what}")
    return wrong


class _Reader:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._digests: dict[Path, str] = {}

    def resolve(self, configuration: Configuration) -> Iterator[tuple[str, str]]:
        """Each lookup of a configuration, and the digest of what it leads to."""
        names = self._catalogue.conventions.files
        for name in (names.base_images, names.config, names.setup, names.template):
            path = self._find(configuration, name)
            what = {names.template: "template", names.base_images: "base images"}.get(name, name)
            yield what, self._digest(path)
            if path is not None and name == names.template:
                yield from self._of_template(configuration, path)
            if path is not None and name == names.base_images:
                yield "place of base images", self._local_bases(path)
        yield "profile", self._digest(self._profile(configuration))
        for name in names.published:
            own = configuration.directory / name
            yield name, self._digest(own if own.exists() else None)
        chain = (
            self._catalogue.root / place / names.mutes for place in upwards(configuration.path)
        )
        for path in chain:
            if path.exists():
                where = path.parent.relative_to(self._catalogue.root).as_posix()
                yield f"mutes in {where}", self._digest(path)

    def _of_template(self, configuration: Configuration, path: Path) -> Iterator[tuple[str, str]]:
        """The template without its description, and every file that it names."""
        try:
            template = parse_packer_template(*read(self._catalogue, path))
            named = files_of(template)
        except InvalidInput:
            return  # broken before and after: its bytes are compared
        yield "template's meaning", digest_of(_without_description(template))
        for name in named:
            found = self._find(configuration, name)
            executable = found is not None and bool(found.stat().st_mode & 0o100)
            yield f"file {normal_path(name)}", f"{self._digest(found)} {executable}"

    def _local_bases(self, path: Path) -> str:
        """Where the images on this machine are that a base image file names."""
        try:
            local = parse_base_images(*read(self._catalogue, path)).get("local", "")
            reference = parse_reference(local, path.parent)
        except InvalidInput:
            return ""
        if not isinstance(reference, FileReference):
            return ""
        return str(reference.path).removeprefix(str(self._catalogue.root))

    def _profile(self, configuration: Configuration) -> Path | None:
        try:
            return find_profile(self._catalogue, configuration)
        except InvalidInput:
            return None

    def _find(self, configuration: Configuration, name: str) -> Path | None:
        try:
            return find_file(self._catalogue, configuration, name)
        except InvalidInput:
            return None

    def _digest(self, path: Path | None) -> str:
        if path is None:
            return ABSENT
        if path not in self._digests:
            try:
                self._digests[path] = digest_of_path(path)
            except InvalidInput as error:
                self._digests[path] = f"unreadable: {error.details}"
        return self._digests[path]


def _without_description(template: PackerTemplate) -> Any:
    builders = [dict(builder) for builder in template.data["builders"]]
    builders[0].pop("ami_description", None)
    return {**template.data, "builders": builders}
