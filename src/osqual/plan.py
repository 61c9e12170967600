"""What would run, and why: the inputs of each configuration against what its record tells.

Digests decide, not file names: a file that moved to a parent, or a comment, changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.facts import standing_of
from osqual.catalogue.git import GitTree
from osqual.catalogue.inputs import ConfigurationInputs, InputsReader, load_inputs
from osqual.catalogue.past import catalogue_at
from osqual.catalogue.tree import upwards
from osqual.catalogue.usage import reached, watched_paths
from osqual.documents import read_document
from osqual.errors import InvalidInput
from osqual.model import Configuration, PublishPoint, Verdict
from osqual.published import Record, parse_record

ProductDigest = Callable[[Configuration], str | None]


class Action(StrEnum):
    """What a plan does with a configuration."""

    RUN = "run"
    SKIP = "skip"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One configuration in a plan. `recipe` is None when its inputs cannot be read."""

    configuration: Configuration
    action: Action
    reasons: tuple[str, ...]
    recipe: str | None = None
    builds: bool = True
    """False where publish_dcos_images_after is `never`: the published image is tested."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every configuration that was asked about, sorted by path."""

    steps: tuple[Step, ...]

    def of(self, action: Action) -> list[Step]:
        """The steps with one action."""
        return [step for step in self.steps if step.action is action]

    def groups(self) -> list[tuple[Step, ...]]:
        """What is to run, by recipe: one group's image is built once. Largest groups first."""
        groups: dict[str, list[Step]] = {}
        for step in self.of(Action.RUN):
            own = step.recipe if step.builds and step.recipe else step.configuration.path
            groups.setdefault(own, []).append(step)
        found = [tuple(steps) for steps in groups.values()]
        return sorted(found, key=lambda steps: (-len(steps), steps[0].configuration.path))


def make_plan(
    catalogue: Catalogue,
    configurations: Iterable[Configuration],
    *,
    since: str | None = None,
    product_digest: ProductDigest = lambda _: None,
    product_paths: Callable[[Configuration], str | None] = lambda _: None,
) -> Plan:
    """Decide what to run. `since` is a git ref: nothing runs that did not change after it.

    `product_digest` tells the digest of a configuration's product definition and `product_paths`
    where that is, relative to the root; None where there is none. Raises UsageError for the ref.
    """
    chosen = sorted(configurations, key=lambda item: item.path)
    planner = _Planner(catalogue=catalogue, product_digest=product_digest)
    unchanged: dict[str, str] = {}
    if since is not None:
        change = _Change(catalogue=catalogue, since=since, product_paths=product_paths)
        planner.before, unchanged = change.effect_on(chosen, planner)
    return Plan(
        steps=tuple(
            Step(configuration=item, action=Action.SKIP, reasons=(unchanged[item.path],))
            if item.path in unchanged
            else planner.step(item)
            for item in chosen
        )
    )


@dataclass(kw_only=True)
class _Planner:
    catalogue: Catalogue
    product_digest: ProductDigest
    before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Path -> what changed after the ref, in words."""
    _inputs: dict[str, ConfigurationInputs | InvalidInput] = field(default_factory=dict)

    @cached_property
    def _reader(self) -> InputsReader:
        return InputsReader(catalogue=self.catalogue)

    def inputs_of(self, configuration: Configuration) -> ConfigurationInputs | InvalidInput:
        known = self._inputs.get(configuration.path)
        if known is None:
            try:
                known = self._reader.read(configuration)
            except InvalidInput as error:
                known = error
            self._inputs[configuration.path] = known
        return known

    def step(self, configuration: Configuration) -> Step:
        inputs = self.inputs_of(configuration)
        if isinstance(inputs, InvalidInput):
            return Step(configuration=configuration, action=Action.BROKEN, reasons=(inputs.brief,))
        runs, reasons = self._decision(inputs)
        return Step(
            configuration=configuration,
            action=Action.RUN if runs else Action.SKIP,
            reasons=reasons,
            recipe=inputs.recipe.digest,
            builds=inputs.publish_and_test.publish_after is not PublishPoint.NEVER,
        )

    def _decision(self, inputs: ConfigurationInputs) -> tuple[bool, tuple[str, ...]]:
        path = inputs.configuration.path
        since = self.before.get(path, ())
        try:
            record = self._record(path)
        except InvalidInput as error:
            return True, (f"its record cannot be read: {error.brief}", *since)
        if record is None:
            known = "published without evidence" if inputs.images else "never qualified"
            return True, (known, *since)
        digests = dict(inputs.digests)
        product = self.product_digest(inputs.configuration)
        if product is not None:
            digests["product"] = product
        reasons = list(reasons_against(record, digests, path))
        if record.images and inputs.images and record.images != inputs.images:
            reasons.append("other images are published than the record tells of")
        if record.verdict is Verdict.INCONCLUSIVE:
            reasons.append("the last run was inconclusive")
        if reasons:
            return True, tuple(reasons)
        standing = standing_of(inputs.images, record)
        return False, (f"nothing changed since it was {record.verdict.value} ({standing.value})",)

    def _record(self, path: str) -> Record | None:
        source = f"{path}/{self.catalogue.conventions.files.record}"
        if not (self.catalogue.root / source).exists():
            return None
        return parse_record(read_document(self.catalogue.root, source), source)


def reasons_against(record: Record, digests: Mapping[str, str], path: str) -> list[str]:
    """Why a record does not speak for these inputs; empty when it does."""
    reasons = []
    if record.configuration and record.configuration != path:
        reasons.append(f"its record was made for {record.configuration}")
    if record.inputs:
        # A product definition that one side does not know of cannot have changed.
        unknown = {"product"} - (record.inputs.keys() & digests.keys())
        reasons += changes_between(record.inputs, digests, unknown)
    else:
        ours = {name: digest for name, digest in digests.items() if is_recipe_input(name)}
        reasons += changes_between(record.recipe_inputs, ours)
    return reasons


def is_recipe_input(name: str) -> bool:
    """Whether an input of a qualification goes into the image."""
    return name in ("base", "template") or name.startswith(("file:", "executable:"))


_NOUNS: Mapping[str, str] = {
    "base": "the base image",
    "template": "the template",
    "profile": "the cluster profile",
    "config": "the publish and test configuration",
    "setup": "the setup script",
    "product": "the product definition",
}


def changes_between(
    old: Mapping[str, str], new: Mapping[str, str], ignored: Iterable[str] = ()
) -> list[str]:
    """Which inputs differ, in words, sorted with those of the image first."""
    names = sorted((old.keys() | new.keys()) - set(ignored), key=_importance)
    return [_words(name, old, new) for name in names if old.get(name) != new.get(name)]


def _importance(name: str) -> tuple[int, str]:
    first = ["base", "template"]
    return (first.index(name) if name in first else 2 if ":" in name else 3, name)


def _words(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    kind, _, file = name.partition(":")
    noun = file or _NOUNS.get(name, name)
    if kind == "executable":
        return f"{noun} is {'now' if name in new else 'no longer'} executable"
    if name not in old:
        return f"{noun} is new"
    if name not in new:
        return f"{noun} is gone"
    return f"{noun} {'moved' if name == 'base' else 'changed'}"


@dataclass(kw_only=True)
class _Change:
    """What happened to the catalogue after a git ref."""

    catalogue: Catalogue
    since: str
    product_paths: Callable[[Configuration], str | None]

    def effect_on(
        self, chosen: Sequence[Configuration], planner: _Planner
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
        """Path -> what changed in its inputs, and path -> why it did not change at all."""
        git = GitTree(root=self.catalogue.root)
        commit = git.fork_point(self.since)
        changed = git.changed_since(commit)
        touched = {item.path: self._touching(item, changed) for item in chosen}
        candidates = [path for path, files in touched.items() if files]
        effects: dict[str, tuple[str, ...]] = {}
        unchanged = {
            path: f"nothing that it uses changed since {self.since}"
            for path, files in touched.items()
            if not files
        }
        if not candidates:
            return effects, unchanged
        with catalogue_at(self.catalogue, commit, candidates) as past:
            for item in chosen:
                if item.path not in touched or not touched[item.path]:
                    continue
                words = self._difference(past, item, planner, touched[item.path])
                if words:
                    effects[item.path] = words
                else:
                    unchanged[item.path] = f"what changed since {self.since} means the same"
        return effects, unchanged

    def _touching(self, item: Configuration, changed: frozenset[str]) -> list[str]:
        watched = set(watched_paths(self.catalogue, item))
        product = self.product_paths(item)
        if product is not None:
            watched.add(product)
        return reached(watched, changed)

    def _difference(
        self, past: Catalogue, item: Configuration, planner: _Planner, files: list[str]
    ) -> tuple[str, ...]:
        now = planner.inputs_of(item)
        if isinstance(now, InvalidInput):
            return (f"since {self.since}: {', '.join(files)}",)
        product = self.product_paths(item)
        if product is not None and any(f"{file}/".startswith(f"{product}/") for file in files):
            return (f"since {self.since}: {_NOUNS['product']} changed",)
        names = self.catalogue.conventions.files
        if not any((past.root / parent / names.template).exists() for parent in upwards(item.path)):
            return (f"new since {self.since}",)
        try:
            then = load_inputs(
                past, Configuration(root=past.root, path=item.path, dimensions=item.dimensions)
            )
        except InvalidInput as error:
            return (f"was broken at {self.since}: {error.brief}",)
        words = changes_between(then.digests, now.digests)
        return tuple(f"since {self.since}: {word}" for word in words)
