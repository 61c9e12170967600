"""Recipes across the catalogue: which configurations share one, and what each is built on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import (
    find_file,
    parse_base_images,
    parse_packer_template,
    read,
    require_file,
)
from osqual.errors import InvalidInput
from osqual.model import Configuration, Recipe
from osqual.recipe import base_of, digest_of_path, recipe_of
from osqual.templates.template import PackerTemplate


@dataclass(frozen=True, kw_only=True)
class Built:
    """How a configuration's image is built. What cannot be told is None, and `problem` says why.

    `base` is what the recipe is built on: region to base image.
    """

    configuration: Configuration
    recipe: Recipe | None
    template: PackerTemplate | None
    base_images: Mapping[str, str] = field(default_factory=dict)
    base: Mapping[str, str] = field(default_factory=dict)
    problem: InvalidInput | None = None


@dataclass(kw_only=True)
class RecipeReader:
    """Works out recipes and reads each shared file once."""

    catalogue: Catalogue
    _bases: dict[Path, Mapping[str, str]] = field(default_factory=dict)
    _digests: dict[Path, str] = field(default_factory=dict)

    def built(self, configuration: Configuration) -> Built:
        """How one configuration is built; a broken or missing file is a `problem`."""
        template, base_images, base = None, {}, {}
        try:
            resolve = partial(require_file, self.catalogue, configuration)
            path = resolve(self.catalogue.conventions.files.template)
            template = parse_packer_template(*read(self.catalogue, path))
            base_images = dict(self._base_images(configuration))
            base = {name: str(value) for name, value in base_of(template, base_images).items()}
            recipe = recipe_of(template, base_images, resolve, self._digest)
        except InvalidInput as error:
            return Built(
                configuration=configuration,
                recipe=None,
                template=template,
                base_images=base_images,
                base=base,
                problem=error,
            )
        return Built(
            configuration=configuration,
            recipe=recipe,
            template=template,
            base_images=base_images,
            base=base,
        )

    def _base_images(self, configuration: Configuration) -> Mapping[str, str]:
        name = self.catalogue.conventions.files.base_images
        path = find_file(self.catalogue, configuration, name)
        if path is None:
            return {}
        if path not in self._bases:
            self._bases[path] = parse_base_images(*read(self.catalogue, path))
        return self._bases[path]

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = digest_of_path(path)
        return self._digests[path]


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """One recipe and every configuration that it builds."""

    digest: str
    base: Mapping[str, str]
    configurations: tuple[Configuration, ...]

    @property
    def count(self) -> int:
        """How many configurations share it."""
        return len(self.configurations)


def group_by_recipe(built: Iterable[Built]) -> list[Sharing]:
    """The known recipes, those that most configurations share first."""
    groups: dict[str, list[Built]] = {}
    for item in built:
        if item.recipe is not None:
            groups.setdefault(item.recipe.digest, []).append(item)
    sharings = [
        Sharing(
            digest=digest,
            base=items[0].base,
            configurations=tuple(item.configuration for item in items),
        )
        for digest, items in groups.items()
    ]
    return sorted(sharings, key=lambda s: (-len(s.configurations), s.configurations[0].path))
