"""Everything a run needs to know about a configuration, read from its files in one go."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import (
    find_file,
    find_profile,
    parse_base_images,
    parse_packer_template,
    parse_publish_and_test,
    read,
    require_file,
    source_name,
)
from osqual.catalogue.profile import parse_profile, topology_of
from osqual.catalogue.published import parse_images
from osqual.errors import InvalidFile
from osqual.model import Configuration, PublishAndTest, Recipe, Topology
from osqual.recipe import digest_of, digest_of_path, recipe_of
from osqual.templates.template import PackerTemplate


@dataclass(frozen=True, kw_only=True)
class ConfigurationInputs:
    """A configuration with its files read. A file that is missing has its defaults.

    `files` maps what was found (template, base_images, profile, config, setup, images) to where.
    `images` is what is published now. `digests` tells every input of a qualification by name, as
    sha256 of what it means (comments and key order do not count): the record keeps it, so that a
    later plan can say which input changed.
    """

    configuration: Configuration
    template: PackerTemplate
    recipe: Recipe
    base_images: Mapping[str, str]
    profile: Mapping[str, Any]
    topology: Topology
    publish_and_test: PublishAndTest
    setup_script: Path | None
    images: Mapping[str, str]
    files: Mapping[str, Path]
    digests: Mapping[str, str]
    find_file: Callable[[str], Path]
    """Resolves a path written in the template; InvalidInput when the file is missing."""
    warnings: tuple[str, ...] = ()
    """What still works but should be changed."""


def load_inputs(catalogue: Catalogue, configuration: Configuration) -> ConfigurationInputs:
    """Read every file of a configuration, the nearest of each. Raises InvalidInput."""
    return InputsReader(catalogue=catalogue).read(configuration)


T = TypeVar("T")


@dataclass(kw_only=True)
class InputsReader:
    """Reads the inputs of many configurations: what they share is read and parsed once."""

    catalogue: Catalogue
    _parsed: dict[tuple[str, str], Any] = field(default_factory=dict)
    _digests: dict[Path, str] = field(default_factory=dict)

    def read(self, configuration: Configuration) -> ConfigurationInputs:
        """As `load_inputs`."""
        catalogue, names = self.catalogue, self.catalogue.conventions.files
        look = partial(find_file, catalogue, configuration)
        resolve = partial(require_file, catalogue, configuration)
        found = {
            "template": resolve(names.template),
            "base_images": look(names.base_images),
            "profile": find_profile(catalogue, configuration),
            "config": look(names.config),
            "setup": look(names.setup),
            "images": _own(configuration, names.images),
        }
        files = {what: path for what, path in found.items() if path is not None}
        template = parse_packer_template(*read(catalogue, files["template"]))
        base_images = self._parse(files.get("base_images"), parse_base_images) or {}
        profile = self._parse(files.get("profile"), parse_profile) or {}
        config = self._parse(files.get("config"), parse_publish_and_test) or PublishAndTest()
        recipe = recipe_of(template, base_images, resolve, self._digest)
        digests = {
            **recipe.inputs,
            "profile": digest_of(profile),
            "config": digest_of(asdict(config)),
        }
        if "setup" in files:
            digests["setup"] = self._digest(files["setup"])
        return ConfigurationInputs(
            configuration=configuration,
            template=template,
            recipe=recipe,
            base_images=base_images,
            profile=profile,
            topology=self._topology(files.get("profile"), profile),
            publish_and_test=config,
            setup_script=files.get("setup"),
            images=self._parse(files.get("images"), parse_images) or {},
            files=files,
            digests=digests,
            find_file=resolve,
            warnings=tuple(_warnings(catalogue, files)),
        )

    def _parse(self, path: Path | None, parse: Callable[[str, str], T]) -> T | None:
        """A file's content; the same text is parsed once, wherever it stands."""
        if path is None:
            return None
        text, source = read(self.catalogue, path)
        key = (parse.__name__, text)
        if key not in self._parsed:
            self._parsed[key] = parse(text, source)
        parsed: T = self._parsed[key]
        return parsed

    def _topology(self, path: Path | None, profile: Mapping[str, Any]) -> Topology:
        try:
            return topology_of(profile)
        except InvalidFile:
            if path is None:
                raise
            text, source = read(self.catalogue, path)
            return topology_of(profile, text, source)  # the same error, with its place

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = digest_of_path(path)
        return self._digests[path]


def _warnings(catalogue: Catalogue, files: Mapping[str, Path]) -> Iterator[str]:
    names = catalogue.conventions.files
    if "setup" in files:
        where = source_name(catalogue, files["setup"])
        yield f"{where} is deprecated: let the template's provisioners or the product do its work"
    if "profile" in files and files["profile"].name == names.old_profile:
        where = source_name(catalogue, files["profile"])
        yield f"{where} has the old name of a profile: rename it to {names.profile}"


def _own(configuration: Configuration, name: str) -> Path | None:
    """A published file is never taken from a parent: it tells about one configuration."""
    path = configuration.directory / name
    return path if os.path.lexists(path) else None
