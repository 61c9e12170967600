"""What would run, and why: the inputs of each configuration against what its record tells.

Digests decide, not file names: a file that moved to a parent, or a comment, changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.facts import standing_of
from osqual.catalogue.inputs import ConfigurationInputs, InputsReader
from osqual.catalogue.published import Record, parse_record
from osqual.catalogue.withdrawn import Withdrawn, read_withdrawn
from osqual.errors import InvalidInput
from osqual.formats.documents import read_document
from osqual.model import Configuration, PublishPoint, Verdict
from osqual.plan.reasons import reasons_against
from osqual.plan.since import Change, Effect
from osqual.plan.surroundings import Surroundings


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
    catalogue: Catalogue, configurations: Iterable[Configuration], *, since: str | None = None
) -> Plan:
    """Decide what to run. `since` is a git ref: nothing runs that did not change after it.

    Raises UsageError for the ref, InvalidInput for settings that cannot be used.
    """
    chosen = sorted(configurations, key=lambda item: item.path)
    planner = _Planner(catalogue=catalogue, surroundings=Surroundings.of(catalogue))
    effects: dict[str, Effect] = {}
    if since is not None:
        change = Change(surroundings=planner.surroundings, ref=since, inputs_of=planner.inputs_of)
        effects = change.effects_on(chosen)
    return Plan(steps=tuple(planner.step(item, effects.get(item.path)) for item in chosen))


@dataclass(kw_only=True)
class _Planner:
    catalogue: Catalogue
    surroundings: Surroundings
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

    def step(self, configuration: Configuration, effect: Effect | None) -> Step:
        if effect is not None and effect.unchanged:
            because = (effect.unchanged,)
            return Step(configuration=configuration, action=Action.SKIP, reasons=because)
        inputs = self.inputs_of(configuration)
        if isinstance(inputs, InvalidInput):
            return Step(configuration=configuration, action=Action.BROKEN, reasons=(inputs.brief,))
        runs, reasons = self._decision(inputs, effect.changes if effect is not None else ())
        return Step(
            configuration=configuration,
            action=Action.RUN if runs else Action.SKIP,
            reasons=reasons,
            recipe=inputs.recipe.digest,
            builds=inputs.publish_and_test.publish_after is not PublishPoint.NEVER,
        )

    def _decision(
        self, inputs: ConfigurationInputs, since: tuple[str, ...]
    ) -> tuple[bool, tuple[str, ...]]:
        """Whether it runs, and why. What changed since a ref is told where no record tells more."""
        path = inputs.configuration.path
        try:
            record = self._record(path)
        except InvalidInput as error:
            return True, (f"its record cannot be read: {error.brief}", *since)
        if record is None:
            known = "published without evidence" if inputs.images else "never qualified"
            return True, (known, *since)
        digests = {**inputs.digests, **self.surroundings.digests(inputs.configuration)}
        reasons = reasons_against(record, digests, path)
        if record.images and inputs.images and record.images != inputs.images:
            reasons.append("other images are published than the record tells of")
        if record.verdict is Verdict.INCONCLUSIVE:
            reasons.append("the last run was inconclusive")
        reasons += self._withdrawn_reasons(inputs)
        if reasons:
            return True, tuple(reasons)
        standing = standing_of(inputs.images, record)
        return False, (f"nothing changed since it was {record.verdict.value} ({standing.value})",)

    @cached_property
    def _withdrawn(self) -> Mapping[str, Withdrawn]:
        return read_withdrawn(self.catalogue.root)

    def _withdrawn_reasons(self, inputs: ConfigurationInputs) -> list[str]:
        """Its images, or what it is built on, were withdrawn."""
        used = dict.fromkeys([*inputs.images.values(), *inputs.base_images.values()])
        return [str(self._withdrawn[image]) for image in used if image in self._withdrawn]

    def _record(self, path: str) -> Record | None:
        source = f"{path}/{self.catalogue.conventions.files.record}"
        if not (self.catalogue.root / source).exists():
            return None
        return parse_record(read_document(self.catalogue.root, source), source)
