"""A dry run: every check of a real one, and what it would do, with nothing started or written."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osqual import __version__
from osqual.catalogue.catalogue import Catalogue
from osqual.effects.scope import RunScope
from osqual.events import EventBus, EventKind
from osqual.model import Configuration, PublishPoint
from osqual.mutes.product_tests import unknown_keywords
from osqual.pipeline import publishing, steps
from osqual.pipeline.workflow import Engine, context_for
from osqual.processes.running import owner_token
from osqual.run.context import RunContext, RunOptions, need
from osqual.store.database import open_engine
from osqual.store.store import Store
from osqual.suites.command_suite import NO_NAMES
from osqual.testing.requirements import unmet
from osqual.testing.suites import selection_for, switched_off

RUN_ID = "dry-run"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a run of one configuration would do."""

    configuration: str
    warnings: tuple[str, ...]
    base_images: Mapping[str, str]
    recipe: str
    image: str
    nodes: tuple[str, ...]
    product: str
    suites: tuple[str, ...]
    mutes: tuple[str, ...]
    publish: str

    def document(self) -> dict[str, Any]:
        """The preview as JSON."""
        return {
            "configuration": self.configuration,
            "warnings": list(self.warnings),
            "base_images": dict(self.base_images),
            "recipe": self.recipe,
            "image": self.image,
            "nodes": list(self.nodes),
            "product": self.product,
            "suites": list(self.suites),
            "mutes": list(self.mutes),
            "publish": self.publish,
        }

    def lines(self) -> list[str]:
        """The preview for people."""
        bases = ", ".join(f"{region}: {base}" for region, base in self.base_images.items())
        rows = [
            ("base image", bases or "none"),
            ("recipe", self.recipe),
            ("build", self.image),
            ("provision", ", ".join(self.nodes)),
            ("install", self.product),
            *(("test", suite) for suite in self.suites),
            *(("muted", mute) for mute in self.mutes),
            ("publish", self.publish),
            ("destroy", "everything that was started"),
        ]
        return [
            self.configuration,
            *(f"  warning: {warning}" for warning in self.warnings),
            *(f"  {name:<11}{text}" for name, text in rows),
        ]


def preview(
    catalogue: Catalogue, configuration: Configuration, options: RunOptions, engine: Engine
) -> Preview:
    """Check everything that a run would check first. Raises what the run would fail with."""
    warnings: list[str] = []
    with tempfile.TemporaryDirectory(prefix="osqual-dry-run-") as directory:
        store = Store(open_engine("sqlite://"))
        store.begin_run(
            RUN_ID,
            configuration=configuration.path,
            catalogue=catalogue.root,
            directory=Path(directory),
            options=options.document(),
            owner=owner_token(),
            version=__version__,
            step_names=["validate"],
        )
        scope = RunScope(
            run_id=RUN_ID,
            directory=Path(directory),
            settings=engine.settings,
            journal=store.journal(RUN_ID),
            bus=EventBus(
                lambda event: (
                    warnings.append(event.message) if event.kind is EventKind.WARNING else None
                )
            ),
            cancellation=engine.cancellation,
            step="validate",
            dry=True,
        )
        context = context_for(scope, store, catalogue, configuration, options, engine)
        steps.validate_inputs(context)
        warnings += unknown_keywords(options.keywords, need(context.product))
        return _preview_of(context, tuple(warnings))


def _preview_of(context: RunContext, warnings: tuple[str, ...]) -> Preview:
    inputs = need(context.inputs)
    return Preview(
        configuration=context.configuration.path,
        warnings=warnings,
        base_images=inputs.base_images,
        recipe=inputs.recipe.digest,
        image=_image(context),
        nodes=tuple(name for name, _ in inputs.topology.names()),
        product=context.configuration.dimensions["product"],
        suites=tuple(_suites(context)),
        mutes=tuple(_mutes(context)),
        publish=_publish(context),
    )


def _image(context: RunContext) -> str:
    if context.image is not None:
        ids = ", ".join(f"{region}: {image}" for region, image in context.image.ids.items())
        return f"not built: the published image is used ({ids})"
    found = need(context.builder).find(steps.build_request(context), context.scope)
    if found is None:
        return "the image is built"
    return "nothing to build: " + ", ".join(f"{k}: {v}" for k, v in found.ids.items())


def _suites(context: RunContext) -> list[str]:
    lines = []
    for suite in need(context.product).suites:
        selection = selection_for(suite, context)
        chosen = [*selection.arguments, *(f"-k {word}" for word in selection.keywords)]
        why_not = switched_off(suite, context) or unmet(suite, context)
        if selection.keywords and suite.kind.startswith("command"):
            why_not = why_not or NO_NAMES
        detail = f"not run: {why_not}" if why_not else " ".join(chosen) or "all tests"
        lines.append(f"{suite.name} ({suite.kind}): {detail}")
    return lines


def _mutes(context: RunContext) -> list[str]:
    """What is muted; whether a mute of single images holds is known when there is one."""
    known = () if context.image is None else tuple(context.image.ids.values())
    return [
        f"{mute}{'' if mute.runs else ', not run'}{'' if holds else ', for some images only'}"
        for mute in need(context.inputs_mutes)
        if (holds := mute.applies_to_image(known)) or context.image is None
    ]


def _publish(context: RunContext) -> str:
    if not context.may_publish:
        if context.publish_point is PublishPoint.NEVER:
            return "nothing: publish_dcos_images_after is never"
        return "nothing: " + ("-k" if context.options.narrowed else "--publish none")
    names = context.scope.settings.files.published
    gate = publishing.PASSED_TO_PUBLISH[context.publish_point]
    where = {"commit": " as a commit", "push": " as a pushed commit"}.get(
        context.options.publish, ""
    )
    return f"{', '.join(names)}{where}, once '{gate}' has passed ({context.publish_point.value})"
