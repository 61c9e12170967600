"""Everything that the rules look at, read once and shared: files, parsed, and who uses them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, TypeVar

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import parse_base_images, parse_packer_template
from osqual.catalogue.profile import line_of, parse_profile, topology_of
from osqual.catalogue.published import Build, Record, parse_history, parse_images, parse_record
from osqual.catalogue.tree import upwards
from osqual.errors import InvalidFile, InvalidInput
from osqual.formats.documents import json_line, yaml_line
from osqual.lint.contents import Contents
from osqual.lint.references import Reference, References
from osqual.lint.shell import Script
from osqual.model import Configuration, PublishAndTest
from osqual.mutes.entries import parse_mutes
from osqual.mutes.inventory import ConfigText, known_tests, read_config_text
from osqual.mutes.mute import Mute
from osqual.templates.template import PackerTemplate
from osqual.templates.template_hcl import SUFFIX as HCL_SUFFIX
from osqual.templates.template_hcl import line_in_hcl

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One configuration and the paths of its files, empty for one that it lacks."""

    configuration: Configuration
    template: str
    base_images: str
    profile: str
    config: str
    setup: str
    images: str
    history: str
    record: str

    @property
    def path(self) -> str:
        """The configuration's name."""
        return self.configuration.path

    @property
    def dimensions(self) -> Mapping[str, str]:
        """The configuration's dimensions."""
        return self.configuration.dimensions

    @property
    def inputs(self) -> tuple[str, ...]:
        """The paths of its inputs, without the files that the template names."""
        named = (self.template, self.base_images, self.profile, self.config, self.setup)
        return tuple(path for path in named if path)


@dataclass(kw_only=True)
class View:
    """A catalogue as lint sees it. What cannot be parsed counts as absent and is a problem."""

    catalogue: Catalogue
    today: date
    products: str = "products"
    """Where product definitions are, relative to the root."""
    in_git: bool = True
    """Whether to ask git which files there are."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """What templates may ask for."""
    problems: dict[str, InvalidFile] = field(default_factory=dict)
    _parsed: dict[tuple[str, str], Any] = field(default_factory=dict)

    @cached_property
    def contents(self) -> Contents:
        """The files."""
        return Contents(root=self.catalogue.root, in_git=self.in_git)

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every configuration, sorted."""
        return tuple(self._leaf(item) for item in self.catalogue.configurations())

    def _leaf(self, configuration: Configuration) -> Leaf:
        files = self.catalogue.conventions.files
        path = configuration.path
        profiles = [self.nearest(path, name) for name in (files.profile, files.old_profile)]
        own = self.catalogue.tree.listings[path].names
        return Leaf(
            configuration=configuration,
            template=self.nearest(path, files.template),
            base_images=self.nearest(path, files.base_images),
            profile=max(profiles, key=lambda found: (bool(found), found.count("/"))),
            config=self.nearest(path, files.config),
            setup=self.nearest(path, files.setup),
            images=f"{path}/{files.images}" if files.images in own else "",
            history=f"{path}/{files.history}" if files.history in own else "",
            record=f"{path}/{files.record}" if files.record in own else "",
        )

    def nearest(self, path: str, name: str) -> str:
        """The nearest known file of a configuration; empty when there is none."""
        directory = self.catalogue.tree.nearest(path, name)
        return "" if directory is None else f"{directory}/{name}".lstrip("/")

    def known_files(self, name: str) -> Iterator[str]:
        """Every file of a known name in a directory that the layout leads to, sorted."""
        for directory in sorted(self.catalogue.tree.listings):
            if name in self.catalogue.tree.listings[directory].names:
                yield f"{directory}/{name}".lstrip("/")

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """File -> the configurations that use it."""
        found: dict[str, list[str]] = {}
        for leaf in self.leaves:
            references = (ref.path for ref in self.references(leaf) if ref.path)
            own = filter(None, (leaf.images, leaf.history, leaf.record))
            for path in dict.fromkeys([*leaf.inputs, *references, *own, *self.mute_files(leaf)]):
                found.setdefault(path, []).append(leaf.path)
        return {path: tuple(users) for path, users in found.items()}

    def mute_files(self, leaf: Leaf) -> list[str]:
        """The mutes files from a configuration up to the root."""
        name = self.catalogue.conventions.files.mutes
        listings = self.catalogue.tree.listings
        return [
            f"{directory}/{name}".lstrip("/")
            for directory in upwards(leaf.path)
            if name in listings[directory].names
        ]

    # What files say. Each is parsed once; None stands for a file that is absent or broken.

    def template(self, path: str) -> PackerTemplate | None:
        """A Packer template."""
        return self._parse("template", path, parse_packer_template)

    def base_images(self, path: str) -> Mapping[str, str]:
        """Region to base image; empty without a file."""
        return self._parse("base", path, parse_base_images) or {}

    def profile(self, path: str) -> Mapping[str, Any]:
        """The variables of a profile; empty without one."""
        return self._parse("profile", path, _parse_profile) or {}

    def config(self, path: str) -> PublishAndTest | None:
        """When to publish and what to test; the defaults without a file, None for a broken one."""
        text = self.config_text(path) if path else None
        if text is None:
            return None if path else PublishAndTest()
        return text.publish_and_test

    def config_text(self, path: str) -> ConfigText | None:
        """The same file, for what it mutes."""
        return self._parse("config text", path, read_config_text)

    def images(self, path: str) -> Mapping[str, str]:
        """Published images by region."""
        return self._parse("images", path, parse_images) or {}

    def builds(self, path: str) -> tuple[Build, ...]:
        """The build history, oldest first."""
        return self._parse("history", path, parse_history) or ()

    def record(self, path: str) -> Record | None:
        """The qualification record."""
        return self._parse("record", path, parse_record)

    def setup(self, path: str) -> str | None:
        """The text of a deprecated set-up script."""
        return self._parse("setup", path, lambda text, _: text)

    def mutes(self, path: str) -> tuple[Mute, ...]:
        """The entries of a mutes file."""

        def parse(text: str, source: str) -> tuple[Mute, ...]:
            aliases = self.catalogue.conventions.aliases
            return parse_mutes(text, source, self.catalogue.layout.dimensions, aliases)

        return self._parse("mutes", path, parse) or ()

    def _parse(self, kind: str, path: str, parse: Callable[[str, str], T]) -> T | None:
        if not path:
            return None
        if (kind, path) not in self._parsed:
            self._parsed[kind, path] = self._try(path, parse)
        found: T | None = self._parsed[kind, path]
        return found

    def _try(self, path: str, parse: Callable[[str, str], T]) -> T | None:
        text = self.contents.text(path)
        if text is None:
            self.problems.setdefault(path, self.contents.problems[path])
            return None
        try:
            return parse(text, path)
        except InvalidFile as error:
            self.problems.setdefault(path, error)
        except InvalidInput as error:
            problem = error.brief.removeprefix(f"{path}: ")
            self.problems.setdefault(path, InvalidFile(path, problem))
        return None

    def json_line(self, path: str, key: Sequence[str | int]) -> int:
        """The line of a key in a JSON file, or in an HCL template, that was read."""
        if path.endswith(HCL_SUFFIX):
            return line_in_hcl(self.contents.text(path) or "", key)
        return json_line(self.contents.text(path) or "{}", key)

    def yaml_line(self, path: str, key: Sequence[str | int]) -> int:
        """The line of a key in a YAML file that was read."""
        return yaml_line(self.contents.text(path) or "", key)

    def profile_line(self, path: str, name: str) -> int:
        """The line that sets a variable of a profile that was read."""
        return line_of(self.contents.text(path) or "", name)

    @cached_property
    def known_tests(self) -> tuple[frozenset[str], frozenset[str]]:
        """Names of tests, and of test files, that the catalogue mentions anywhere."""
        files = self.catalogue.conventions.files
        configs = (self.config_text(path) for path in self.known_files(files.config))
        mutes = (mute for path in self.known_files(files.mutes) for mute in self.mutes(path))
        return known_tests((config for config in configs if config is not None), mutes)

    @cached_property
    def all_problems(self) -> tuple[InvalidFile, ...]:
        """Everything that cannot be read, or is no value that can be meant; one for each file."""
        files = self.catalogue.conventions.files
        readers: dict[str, Callable[[str], object]] = {
            files.template: self.template,
            files.base_images: self.base_images,
            files.profile: self.profile,
            files.old_profile: self.profile,
            files.config: self.config_text,
            files.images: self.images,
            files.history: self.builds,
            files.record: self.record,
            files.mutes: self.mutes,
            files.setup: self.setup,
        }
        for name, read in readers.items():
            for path in self.known_files(name):
                read(path)
        for leaf in self.leaves:
            self.scripts(leaf)
        found = {problem.source: problem for problem in self.catalogue.tree.problems}
        return tuple({**found, **self.problems}.values())

    # What templates name.

    @cached_property
    def _named(self) -> References:
        return References(
            catalogue=self.catalogue,
            contents=self.contents,
            template=self.template,
            problems=self.problems,
        )

    def references(self, leaf: Leaf) -> tuple[Reference, ...]:
        """Every file that the configuration's template names."""
        return self._named.of(leaf.configuration, leaf.template)

    def scripts(self, leaf: Leaf) -> tuple[Script, ...]:
        """The scripts that build the configuration's image, in the order of the template."""
        return self._named.scripts(leaf.configuration, leaf.template)

    def script(self, reference: Reference) -> Script | None:
        """The script that a reference means; None when it is none."""
        return self._named.script(reference)


def _parse_profile(text: str, source: str) -> Mapping[str, Any]:
    values = parse_profile(text, source)
    topology_of(values, text, source)  # node counts that cannot be meant
    return values
