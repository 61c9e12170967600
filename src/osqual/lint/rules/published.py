"""OSQ4xx: published images against the builds, base images and regions behind them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from osqual.catalogue.recipes import RecipeReader
from osqual.errors import InvalidInput
from osqual.lint.finding import Found, error, warning
from osqual.lint.view import Leaf, View
from osqual.recipe import build_region


def _of_images(view: View, leaf: Leaf, region: str, message: str) -> Found:
    return Found(
        file=leaf.images,
        line=view.yaml_line(leaf.images, [region]),
        key=region,
        message=message,
        configuration=leaf.path,
    )


def differs_from_build(view: View) -> Iterator[Found]:
    """Published images that are not those of the last build."""
    for leaf in view.leaves:
        builds = view.builds(leaf.history)
        if not builds or not leaf.images:
            continue
        built = builds[-1].images
        for region, image in sorted(view.images(leaf.images).items()):
            if region in built and built[region] != image:
                message = f"is {image}, but the last build made {built[region]}"
                yield _of_images(view, leaf, region, message)
            elif region not in built:
                yield _of_images(view, leaf, region, f"{image} is not of the last build")


@dataclass(kw_only=True)
class _Owners:
    """Who built and who published each image."""

    built: dict[str, dict[str, datetime]] = field(default_factory=dict)
    published: dict[str, set[str]] = field(default_factory=dict)

    def of(self, image: str) -> tuple[str, ...]:
        """The configurations that had it first; more than one when nothing tells them apart."""
        times = self.built.get(image, {})
        first = min(times.values(), default=None)
        owners = [path for path, time in times.items() if time == first]
        return tuple(sorted(owners or self.published.get(image, set())))


def _owners(view: View) -> _Owners:
    found = _Owners()
    for leaf in view.leaves:
        for build in view.builds(leaf.history):
            for image in build.images.values():
                found.built.setdefault(image, {}).setdefault(leaf.path, build.time)
        for image in view.images(leaf.images).values():
            found.published.setdefault(image, set()).add(leaf.path)
    return found


def first_published_elsewhere(view: View) -> Iterator[Found]:
    """Images that were made for another configuration, by another recipe."""
    owners = _owners(view)
    recipes = _Recipes(view)
    for leaf in view.leaves:
        told: set[str] = set()
        for region, image in sorted(view.images(leaf.images).items()):
            known = [path for path in owners.of(image) if path != leaf.path]
            shared = len(known) < len(owners.of(image))
            others = [path for path in known if path not in told and not recipes.same(leaf, path)]
            if others:
                told.update(others)
                if not shared:
                    message = f"{image} was first published for {others[0]}"
                elif others[0] in owners.published.get(image, ()):
                    message = f"{image} is published for {others[0]} as well"
                else:
                    message = f"{image} stands in the history of {others[0]} as well"
                yield _of_images(view, leaf, region, message)


class _Recipes:
    """Recipes of the few configurations for which they matter."""

    def __init__(self, view: View) -> None:
        self._reader = RecipeReader(catalogue=view.catalogue)
        self._leaves = {leaf.path: leaf for leaf in view.leaves}
        self._digests: dict[str, str] = {}

    def same(self, leaf: Leaf, other: str) -> bool:
        """Whether both are built by one recipe, so that they share the image by design."""
        mine, others = self._digest(leaf.path), self._digest(other)
        return bool(mine) and mine == others

    def _digest(self, path: str) -> str:
        if path not in self._digests:
            recipe = self._reader.built(self._leaves[path].configuration).recipe
            self._digests[path] = recipe.digest if recipe is not None else ""
        return self._digests[path]


def is_base_image(view: View) -> Iterator[Found]:
    """Published images that are raw base images: nothing was built."""
    listed = _base_images(view)
    for leaf in view.leaves:
        for region, image in sorted(view.images(leaf.images).items()):
            if image in listed:
                message = f"{image} is a raw base image ({listed[image]})"
                yield _of_images(view, leaf, region, message)


def _base_images(view: View) -> Mapping[str, str]:
    """Every base image, and a file that says so."""
    files = view.catalogue.conventions.files
    found: dict[str, str] = {}
    for path in view.known_files(files.base_images):
        for image in view.base_images(path).values():
            found.setdefault(image, path)
    for path in view.known_files(files.template):
        template = view.template(path)
        source = template.builder.get("source_ami") if template is not None else None
        if isinstance(source, str) and source:
            found.setdefault(source, path)
    return found


def other_regions(view: View) -> Iterator[Found]:
    """Images in other regions than the template makes them for."""
    for leaf in view.leaves:
        published = set(view.images(leaf.images))
        wanted = _regions(view, leaf)
        if not published or not wanted or published == wanted:
            continue
        parts = []
        if wanted - published:
            parts.append(f"the template makes images for {_listed(wanted - published)} too")
        if published - wanted:
            parts.append(f"the template makes none for {_listed(published - wanted)}")
        message = f"has images for {_listed(published)}; " + ", and ".join(parts)
        yield Found(file=leaf.images, message=message, configuration=leaf.path)


def _listed(regions: set[str]) -> str:
    names = sorted(regions)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _regions(view: View, leaf: Leaf) -> set[str]:
    """The regions that a template makes images for; none when it does not say."""
    template = view.template(leaf.template)
    if template is None or template.builder_type != "amazon-ebs":
        return set()
    copies = template.builder.get("ami_regions") or []
    if not isinstance(copies, list) or not all(isinstance(item, str) for item in copies):
        return set()
    try:
        regions = {build_region(template), *copies}
    except InvalidInput:
        return set()
    return set() if any("{{" in region for region in regions) else regions


RULES = (
    error("OSQ401", "Published image is not of the last build", differs_from_build),
    warning("OSQ402", "Image made for another configuration", first_published_elsewhere),
    error("OSQ403", "Published image is a raw base image", is_base_image),
    warning("OSQ404", "Regions differ from the template's", other_regions),
)
