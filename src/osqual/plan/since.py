"""What happened to configurations after a git ref: which inputs differ from those they had then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from osqual.catalogue.catalogue import SETTINGS_FILE, Catalogue
from osqual.catalogue.git import GitTree
from osqual.catalogue.inputs import ConfigurationInputs, load_inputs
from osqual.catalogue.past import catalogue_at
from osqual.catalogue.tree import upwards
from osqual.catalogue.usage import reached, watched_paths
from osqual.errors import InvalidInput
from osqual.model import Configuration
from osqual.plan.reasons import changes_between
from osqual.plan.surroundings import Surroundings


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What changed for one configuration, in words; without any, `unchanged` tells why not."""

    changes: tuple[str, ...] = ()
    unchanged: str = ""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happened to a catalogue after a ref: on this branch, in the work tree, untracked."""

    surroundings: Surroundings
    ref: str
    inputs_of: Callable[[Configuration], ConfigurationInputs | InvalidInput]
    """The inputs as they are now."""

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue as it is now."""
        return self.surroundings.catalogue

    def effects_on(self, chosen: Sequence[Configuration]) -> dict[str, Effect]:
        """Path -> what changed. Raises UsageError for a ref that git does not know."""
        git = GitTree(root=self.catalogue.root)
        commit = git.fork_point(self.ref)
        changed = git.changed_since(commit)
        touched = {item.path: self._touching(item, changed) for item in chosen}
        untouched = Effect(unchanged=f"nothing that it uses changed since {self.ref}")
        effects = {path: untouched for path, files in touched.items() if not files}
        candidates = [item for item in chosen if touched[item.path]]
        if candidates:
            paths = [item.path for item in candidates]
            with catalogue_at(self.catalogue, commit, paths, with_products=True) as past:
                then = _Then(past=past, ref=self.ref)
                for item in candidates:
                    effects[item.path] = self._effect(then, item, touched[item.path])
        return effects

    def _touching(self, item: Configuration, changed: frozenset[str]) -> list[str]:
        """The changed files that may matter to a configuration."""
        around = {SETTINGS_FILE, self.surroundings.settings.products}
        return reached(watched_paths(self.catalogue, item) | around, changed)

    def _effect(self, then: "_Then", item: Configuration, files: Sequence[str]) -> Effect:
        now = self.inputs_of(item)
        if isinstance(now, InvalidInput):
            return Effect(changes=(f"since {self.ref}: {', '.join(files)}",))
        digests = then.digests(item)
        if isinstance(digests, str):
            return Effect(changes=(digests,))
        words = changes_between(digests, {**now.digests, **self.surroundings.digests(item)})
        if not words:
            return Effect(unchanged=f"what changed since {self.ref} means the same")
        return Effect(changes=tuple(f"since {self.ref}: {word}" for word in words))


@dataclass(kw_only=True)
class _Then:
    """The catalogue as it was."""

    past: Catalogue
    ref: str

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings.of(self.past)

    def digests(self, item: Configuration) -> dict[str, str] | str:
        """Every input of a configuration as it was; in words why there are none."""
        names = self.past.conventions.files
        root = self.past.root
        dimensions = self.past.layout.match(item.path)
        has_template = any((root / place / names.template).exists() for place in upwards(item.path))
        if dimensions is None or not has_template:
            return f"new since {self.ref}"
        then = Configuration(root=root, path=item.path, dimensions=dimensions)
        try:
            around = self._surroundings.digests(then)
            return {**load_inputs(self.past, then).digests, **around}
        except InvalidInput as error:
            return f"was broken at {self.ref}: {error.brief}"
