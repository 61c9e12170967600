"""Images and what is built on what: base image, recipe, configuration, and on in turn."""

from collections.abc import Iterable, Mapping
from typing import Any

from osqual.catalogue.recipes import Built
from osqual.catalogue.withdrawn import Withdrawn
from osqual.report.plain import plain_line
from osqual.site.numbered import Numbered
from osqual.site.writer import without_nothing

UNKNOWN = "unknown"
"""The recipe of configurations whose inputs cannot all be read."""


def images_document(
    built: Mapping[str, Built], numbered: Numbered, withdrawn: Mapping[str, Withdrawn]
) -> dict[str, Any]:
    """Each base image with the recipes on it, and each recipe with its configurations.

    `from` is the configuration that publishes the base image, where one of this catalogue does.
    """
    publisher = {
        image: number
        for number, item in enumerate(numbered.facts)
        for image in item.images.values()
    }
    groups: dict[tuple[str, ...], dict[str, list[int]]] = {}
    regions: dict[str, set[str]] = {}
    unknown: list[int] = []
    for path, item in built.items():
        number = numbered.numbers.get(path)
        if number is None:
            continue
        if not item.base:
            unknown.append(number)
            continue
        bases = tuple(sorted(set(item.base.values())))
        for region, image in item.base.items():
            regions.setdefault(image, set()).add(region)
        digest = item.recipe.digest if item.recipe is not None else UNKNOWN
        groups.setdefault(bases, {}).setdefault(digest, []).append(number)
    return {
        "bases": [
            without_nothing(
                {
                    "images": [
                        [plain_line(image), plain_line(", ".join(sorted(regions[image])))]
                        for image in bases
                    ],
                    "from": _publishers(bases, publisher),
                    "withdrawn": [str(withdrawn[image]) for image in bases if image in withdrawn],
                    "recipes": [
                        [digest, numbers]
                        for digest, numbers in sorted(recipes.items(), key=lambda i: -len(i[1]))
                    ],
                }
            )
            for bases, recipes in sorted(
                groups.items(), key=lambda item: -sum(map(len, item[1].values()))
            )
        ],
        "unknown": unknown,
    }


def _publishers(bases: Iterable[str], publisher: Mapping[str, int]) -> list[int]:
    return sorted({publisher[image] for image in bases if image in publisher})
