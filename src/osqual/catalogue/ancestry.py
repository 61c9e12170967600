"""What derives from an image: from a vendor's base image, or from a published one in turn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.facts import Facts, read_facts
from osqual.catalogue.files import read
from osqual.catalogue.published import Build, parse_history
from osqual.catalogue.recipes import Built, RecipeReader
from osqual.errors import InvalidFile

Matches = Callable[[Mapping[str, str]], bool]


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A configuration that is built on an image, and what is built on its own images in turn."""

    facts: Facts
    derived: tuple["Derived", ...] = ()

    def count(self) -> int:
        """This configuration and everything below it."""
        return 1 + sum(item.count() for item in self.derived)


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Where an image is published: now, or by an earlier build that was replaced."""

    facts: Facts
    region: str
    current: bool
    base: Mapping[str, str]
    """What the configuration is built on now."""


@dataclass(frozen=True, kw_only=True)
class Ancestry:
    """Everything the catalogue knows of one image. `base_in`: (file or template, region)."""

    image: str
    base_in: tuple[tuple[str, str], ...]
    published: tuple[Publication, ...]
    derived: tuple[Derived, ...]

    @property
    def known(self) -> bool:
        """Whether the catalogue mentions the image at all."""
        return bool(self.base_in or self.published or self.derived)

    def only(self, matches: Matches) -> "Ancestry":
        """The same of those configurations that match, with what leads to them."""
        published = tuple(item for item in self.published if matches(item.facts.dimensions))
        return replace(self, published=published, derived=_only(self.derived, matches))


def _only(derived: Sequence[Derived], matches: Matches) -> tuple[Derived, ...]:
    inner = (replace(item, derived=_only(item.derived, matches)) for item in derived)
    return tuple(item for item in inner if item.derived or matches(item.facts.dimensions))


@dataclass(kw_only=True)
class AncestryReader:
    """Reads the whole catalogue once; `problems` are the files that are broken."""

    catalogue: Catalogue
    built: Sequence[Built] = ()
    facts: Mapping[str, Facts] = field(default_factory=dict)
    problems: list[InvalidFile] = field(default_factory=list)

    def read(self) -> None:
        """Read templates, base images and published files."""
        reader = RecipeReader(catalogue=self.catalogue)
        self.built = [reader.built(item) for item in self.catalogue.configurations()]
        facts, self.problems = read_facts(self.catalogue)
        self.facts = {item.path: item for item in facts}
        broken = (item.problem for item in self.built)
        self.problems += [problem for problem in broken if isinstance(problem, InvalidFile)]

    def of(self, image: str) -> Ancestry:
        """The ancestry of one image id."""
        return Ancestry(
            image=image,
            base_in=tuple(sorted(set(self._mentions_as_base(image)))),
            published=tuple(self._publications(image)),
            derived=self._derived(frozenset({image}), frozenset()),
        )

    def _mentions_as_base(self, image: str) -> Iterator[tuple[str, str]]:
        files = self.catalogue.conventions.files
        for item in self.built:
            path = item.configuration.path
            for region, base in item.base_images.items():
                if base == image:
                    nearest = self.catalogue.tree.nearest(path, files.base_images) or ""
                    yield f"{nearest}/{files.base_images}".lstrip("/"), region
            for key, base in item.base.items():
                if base == image and item.base_images.get(key) != base and item.template:
                    yield item.template.source, key

    def _publications(self, image: str) -> Iterator[Publication]:
        for item in self.built:
            facts = self.facts[item.configuration.path]
            current = [region for region, known in facts.images.items() if known == image]
            earlier = [
                region
                for build in self._builds(facts)
                for region, known in build.images.items()
                if known == image and region not in current
            ]
            for region in [*current, *dict.fromkeys(earlier)]:
                yield Publication(
                    facts=facts, region=region, current=region in current, base=item.base
                )

    def _builds(self, facts: Facts) -> tuple[Build, ...]:
        path = self.catalogue.root / facts.path / self.catalogue.conventions.files.history
        if not path.is_file():
            return ()
        try:
            return parse_history(*read(self.catalogue, path))
        except InvalidFile as error:
            self.problems.append(error)
            return ()

    def _derived(self, images: frozenset[str], above: frozenset[str]) -> tuple[Derived, ...]:
        """What is built on any of the images; `above` are the configurations that led here."""
        found = []
        for item in self.built:
            path = item.configuration.path
            if path in above or images.isdisjoint(
                [*item.base.values(), *item.base_images.values()]
            ):
                continue
            facts = self.facts[path]
            below = frozenset(facts.images.values()) - images
            inner = self._derived(below, above | {path}) if below else ()
            found.append(Derived(facts=facts, derived=inner))
        return tuple(found)
