"""Runs that have not begun: what each takes, which share a build, and in which order to start."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean, median

from osqual.catalogue.catalogue import Catalogue, open_catalogue
from osqual.catalogue.globs import glob_matcher
from osqual.catalogue.recipes import RecipeReader
from osqual.errors import InvalidInput, OsqualError
from osqual.model import Configuration
from osqual.pipeline import steps
from osqual.pipeline.resume import resume
from osqual.pipeline.workflow import Engine, RunResult, context_for, qualify, scope_for
from osqual.room import Room
from osqual.run.cluster_life import provision_request
from osqual.run.context import RunOptions, need
from osqual.settings import Limit
from osqual.store.database import Row
from osqual.store.limits import Claim
from osqual.testing.apart import most_forks

Start = Callable[[Engine, Sequence[Claim]], RunResult]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a run takes while it lasts: of this machine, and of the limits in osqual.yaml."""

    room: Room = field(default_factory=Room)
    claims: tuple[Claim, ...] = ()


@dataclass(kw_only=True, eq=False)
class Prospect:
    """A run that could begin. `recipe` is empty when it shares no build with others."""

    configuration: str
    start: Start
    work_out: Callable[[], Needs] = Needs
    recipe: str = ""
    steps_s: Mapping[str, float] = field(default_factory=dict)
    """How long each step is expected to take, as far as that is known."""

    @property
    def expected_s(self) -> float | None:
        """How long it is expected to take; None when nothing is known."""
        return sum(self.steps_s.values()) if self.steps_s else None

    @cached_property
    def needs(self) -> Needs:
        """Worked out when first asked for: reading a profile takes time."""
        try:
            return self.work_out()
        except OsqualError:
            return Needs()  # the run itself will say what is wrong, and end at once


def prospects_of(
    catalogue: Catalogue,
    configurations: Sequence[Configuration],
    options: RunOptions,
    engine: Engine,
) -> list[Prospect]:
    """A prospect for each configuration, in the order in which to start them."""
    reader, others = RecipeReader(catalogue=catalogue), engine.store.history.step_seconds()

    def recipe(configuration: Configuration) -> str:
        found = None if options.cold else reader.built(configuration).recipe
        return "" if found is None else found.digest

    alone = len(configurations) == 1 and not engine.settings.limits
    return in_order(
        [
            Prospect(
                configuration=each.path,
                start=partial(qualify, catalogue, each, options),
                work_out=Needs if alone else partial(needs_of, catalogue, each, options, engine),
                recipe=recipe(each),
                steps_s=usual({**others, **engine.store.history.step_seconds(each.path)}),
            )
            for each in configurations
        ]
    )


def resumable(runs: Iterable[Row], engine: Engine) -> list[Prospect]:
    """A prospect for each run to resume. Limits are not looked at: its claims on them stand."""
    others = engine.store.history.step_seconds()

    def start(run: Row) -> Start:
        return lambda engine, _claims: resume(run, engine)

    def room(run: Row) -> Needs:
        catalogue = open_catalogue(Path(run["catalogue"]))
        configuration = catalogue.configuration(catalogue.root / run["configuration"])
        needs = needs_of(catalogue, configuration, RunOptions(), engine)
        return Needs(room=needs.room)

    return [
        Prospect(
            configuration=run["configuration"],
            start=start(run),
            work_out=partial(room, run),
            steps_s=usual({**others, **engine.store.history.step_seconds(run["configuration"])}),
        )
        for run in runs
    ]


def needs_of(
    catalogue: Catalogue, configuration: Configuration, options: RunOptions, engine: Engine
) -> Needs:
    """What a run of the configuration takes. Raises InvalidInput when it cannot be told."""
    settings = engine.settings
    scope = scope_for("none", settings.directories.state, engine)
    context = context_for(scope, engine.store, catalogue, configuration, options, engine)
    steps.read_inputs(context)
    builder, platform = need(context.builder), need(context.platform)
    cluster = one = platform.room(provision_request(context), settings, engine.cancellation)
    for _ in range(most_forks(need(context.product).suites, context)):
        cluster += one
    build = builder.room(steps.build_request(context), settings, engine.cancellation)
    amounts = {"runs": 1, "machines": need(context.inputs).topology.total}
    return Needs(
        room=cluster if context.image is not None else cluster.widest(build),
        claims=claims_of(configuration.path, amounts, settings.limits),
    )


def claims_of(
    path: str, amounts: Mapping[str, int], limits: Mapping[str, Limit]
) -> tuple[Claim, ...]:
    """What a configuration takes of each limit that concerns it."""
    claims = []
    for name, limit in sorted(limits.items()):
        if limit.paths and not any(glob_matcher(pattern)(path) for pattern in limit.paths):
            continue
        claims.append(Claim(name=name, amount=amounts[limit.counts], at_most=limit.at_most))
    return tuple(claims)


def in_order(prospects: Sequence[Prospect]) -> list[Prospect]:
    """First one of each recipe, those that most work waits for; then what takes longest.

    So builds are over early, and no long run begins when all others end.
    """
    known = [each.expected_s for each in prospects if each.expected_s is not None]
    usual_s = fmean(known) if known else 1.0

    def long(prospect: Prospect) -> float:
        return usual_s if prospect.expected_s is None else prospect.expected_s

    longest_first = sorted(prospects, key=long, reverse=True)
    work: dict[str, float] = {}
    first: dict[str, Prospect] = {}
    for each in longest_first:
        if each.recipe:
            work[each.recipe] = work.get(each.recipe, 0.0) + long(each)
            first.setdefault(each.recipe, each)
    leaders = sorted(first.values(), key=lambda each: work[each.recipe], reverse=True)
    return [*leaders, *(each for each in longest_first if each not in leaders)]


def usual(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """What each step takes, from what it took before: its own history, else that of others."""
    return {name: median(took) for name, took in seconds.items()}


def check_claims(claims: Iterable[Claim]) -> None:
    """Refuse a run that no waiting helps. Raises InvalidInput."""
    for claim in claims:
        if claim.amount > claim.at_most:
            raise InvalidInput(
                f"The run needs {claim.amount} of the limit {claim.name}, which is "
                f"{claim.at_most}.",
                resolution="raise it under `limits` in osqual.yaml, or ask for a smaller cluster",
            )
