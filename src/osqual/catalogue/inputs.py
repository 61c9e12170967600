"""Everything a run needs to know about a configuration, read from its files in one go."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
from osqual.model import Configuration, PublishAndTest, Recipe, Topology
from osqual.published import parse_images
from osqual.recipe import digest_of, digest_of_path, recipe_of
from osqual.template import PackerTemplate


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
    names = catalogue.conventions.files
    look = partial(find_file, catalogue, configuration)
    found = {
        "template": require_file(catalogue, configuration, names.template),
        "base_images": look(names.base_images),
        "profile": find_profile(catalogue, configuration),
        "config": look(names.config),
        "setup": look(names.setup),
        "images": _own(configuration, names.images),
    }
    files = {what: path for what, path in found.items() if path is not None}
    texts = {what: read(catalogue, path) for what, path in files.items() if what != "setup"}
    template = parse_packer_template(*texts["template"])
    base_images = parse_base_images(*texts["base_images"]) if "base_images" in texts else {}
    profile = parse_profile(*texts["profile"]) if "profile" in texts else {}
    config = parse_publish_and_test(*texts["config"]) if "config" in texts else PublishAndTest()
    resolve = partial(require_file, catalogue, configuration)
    recipe = recipe_of(template, base_images, resolve)
    return ConfigurationInputs(
        configuration=configuration,
        template=template,
        recipe=recipe,
        base_images=base_images,
        profile=profile,
        topology=topology_of(profile, *texts.get("profile", ())),
        publish_and_test=config,
        setup_script=files.get("setup"),
        images=parse_images(*texts["images"]) if "images" in texts else {},
        files=files,
        digests={
            **recipe.inputs,
            "profile": digest_of(profile),
            "config": digest_of(asdict(config)),
            **({"setup": digest_of_path(files["setup"])} if "setup" in files else {}),
        },
        find_file=resolve,
        warnings=tuple(_warnings(catalogue, files)),
    )


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
    return path if path.exists() else None
