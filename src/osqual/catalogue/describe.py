"""One configuration, told completely: what `show` prints. What is broken is told beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.facts import Facts, facts_of
from osqual.catalogue.files import (
    find_file,
    find_profile,
    parse_publish_and_test,
    read,
    source_name,
)
from osqual.catalogue.profile import parse_profile, topology_of
from osqual.catalogue.published import Record, parse_record
from osqual.catalogue.recipes import Built, RecipeReader
from osqual.catalogue.usage import used_files
from osqual.errors import InvalidFile, InvalidInput
from osqual.model import Configuration, PublishAndTest

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Description:
    """Everything about one configuration. `dimensions`: name, value, what it means the same as."""

    configuration: Configuration
    dimensions: tuple[tuple[str, str, str], ...]
    files: tuple[tuple[str, str], ...]
    """What each file is called by the configuration, and where it is; empty for nowhere."""
    absent: Mapping[str, str]
    """What it means that a file is nowhere: `MISSING` for one that is needed."""
    base_images: Mapping[str, str]
    cluster: Mapping[str, int]
    config: PublishAndTest | None
    """None for one that is broken."""
    recipe: str
    recipe_problem: str
    shared_with: tuple[str, ...]
    """The configurations with the same recipe, this one among them; needs the whole catalogue."""
    facts: Facts
    record: Record | None
    problems: tuple[InvalidFile, ...]


@dataclass(frozen=True, kw_only=True)
class Describer:
    """Describes configurations of one catalogue; what they share is read once."""

    catalogue: Catalogue

    def describe(self, configuration: Configuration) -> Description:
        """Read everything of a configuration that can be read."""
        catalogue = self.catalogue
        reader = _Lenient(catalogue=catalogue)
        built = self.built(configuration)
        problems = [built.problem] if isinstance(built.problem, InvalidFile) else []
        facts, broken = facts_of(catalogue, configuration.path, configuration.dimensions)
        topology = reader.profile_topology(configuration)
        files, absent = _files(catalogue, configuration)
        aliases = catalogue.conventions.aliases
        return Description(
            configuration=configuration,
            dimensions=tuple(
                (name, value, aliases.get(name, {}).get(value, value))
                for name, value in configuration.dimensions.items()
            ),
            files=tuple(files),
            absent=absent,
            base_images=built.base_images,
            cluster=topology,
            config=reader.config(configuration),
            recipe=built.recipe.digest if built.recipe else "",
            recipe_problem=_without_path(built.problem.brief, configuration)
            if built.problem
            else "",
            shared_with=self._shared.get(built.recipe.digest, ()) if built.recipe else (),
            facts=facts,
            record=reader.record(configuration),
            problems=(*problems, *broken, *reader.problems),
        )

    def built(self, configuration: Configuration) -> Built:
        """How a configuration's image is built."""
        return self.all_built[configuration.path]

    @cached_property
    def all_built(self) -> Mapping[str, Built]:
        """Path -> how it is built, for the whole catalogue."""
        reader = RecipeReader(catalogue=self.catalogue)
        return {item.path: reader.built(item) for item in self.catalogue.configurations()}

    @cached_property
    def _shared(self) -> Mapping[str, tuple[str, ...]]:
        """Digest of a recipe -> the configurations that have it."""
        found: dict[str, list[str]] = {}
        for path, item in self.all_built.items():
            if item.recipe is not None:
                found.setdefault(item.recipe.digest, []).append(path)
        return {digest: tuple(paths) for digest, paths in found.items()}


def _without_path(problem: str, configuration: Configuration) -> str:
    return problem.removeprefix(f"{configuration.path}: ")


def _files(
    catalogue: Catalogue, configuration: Configuration
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    names = catalogue.conventions.files
    used = used_files(catalogue, configuration)
    found = [(file.name, source_name(catalogue, file.path) if file.path else "") for file in used]
    absent = {file.name: _absence(file.key) for file in used if not file.path}
    own = [
        (name, f"{configuration.path}/{name}")
        for name in names.published
        if (configuration.directory / name).exists()
    ]
    return [*found, *own], absent


def _absence(key: str) -> str:
    needed = key == "template" or key.startswith("file:")
    return "MISSING" if needed else "none" if key == "setup" else "none, so the defaults hold"


def tests_in_words(config: PublishAndTest | None) -> Mapping[str, str]:
    """When images are published, and what is tested before; nothing for a broken file."""
    if config is None:
        return {}
    tests = {
        "published after": config.publish_after.value,
        "integration tests": "run" if config.run_integration_tests else "switched off",
        "framework tests": "run" if config.run_framework_tests else "switched off",
    }
    if config.tests_to_run:
        tests["tests to run"] = "  ".join(config.tests_to_run)
    return tests


class _Lenient:
    """Reads single files; one that is broken is a problem and tells nothing."""

    def __init__(self, *, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.problems: list[InvalidFile] = []

    def _try(self, parse: Callable[[], T]) -> T | None:
        try:
            return parse()
        except InvalidFile as error:
            self.problems.append(error)
        except InvalidInput as error:
            self.problems.append(InvalidFile(str(self.catalogue.root), error.brief))
        return None

    def profile_topology(self, configuration: Configuration) -> Mapping[str, int]:
        def parse() -> Mapping[str, int]:
            path = find_profile(self.catalogue, configuration)
            if path is None:
                topology = topology_of({})
            else:
                text, source = read(self.catalogue, path)
                topology = topology_of(parse_profile(text, source), text, source)
            return {
                "masters": topology.masters,
                "private agents": topology.private_agents,
                "public agents": topology.public_agents,
            }

        return self._try(parse) or {}

    def config(self, configuration: Configuration) -> PublishAndTest | None:
        def parse() -> PublishAndTest:
            path = find_file(self.catalogue, configuration, self.catalogue.conventions.files.config)
            return parse_publish_and_test(*read(self.catalogue, path)) if path else PublishAndTest()

        return self._try(parse)

    def record(self, configuration: Configuration) -> Record | None:
        path = configuration.directory / self.catalogue.conventions.files.record
        if not path.exists():
            return None
        return self._try(lambda: parse_record(*read(self.catalogue, path)))
