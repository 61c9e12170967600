"""The steps of a run, one function each: `workflow` gives the order and what happens on failure.

A step reads and extends the run's context, and returns a note for the person who watches.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from osqual.builders.base import Builder, BuildRequest
from osqual.builders.images import ImageStore
from osqual.builders.refusals import DEFAULT_BUILDERS
from osqual.catalogue.inputs import ConfigurationInputs, load_inputs
from osqual.cluster_file import cluster_document
from osqual.diagnosis import check_directories
from osqual.effects.scope import RunScope
from osqual.errors import CleanupIncomplete, InvalidInput
from osqual.formats.spelling import did_you_mean
from osqual.model import (
    Image,
    Judgement,
    KeepPolicy,
    PublishPoint,
    Suite,
    Verdict,
)
from osqual.mutes.files import MutesFiles
from osqual.pipeline.publishing import check_signing, digests
from osqual.pipeline.reusing import audited_judgement, find_reusable, reused_judgement, take_over
from osqual.platforms.base import Platform
from osqual.products.definition import load_product, with_parameters
from osqual.products.installer import check_installer
from osqual.publish.destination import check_destination
from osqual.publish.repository import Repository
from osqual.results.verdict import judge
from osqual.run.announcing import check_forge, tell_begin
from osqual.run.cluster_life import install_everything, make_cluster, provision_request
from osqual.run.context import Note, RunContext, need
from osqual.run.parts import Parts
from osqual.teardown import describe, end_resources
from osqual.templates.template import user_variables
from osqual.testing.inspection import inspect_image
from osqual.testing.repeating import flakiness_of
from osqual.testing.suites import keep, mutes_of_run, words_of


def validate_inputs(context: RunContext) -> Note:
    """Read every input, and refuse what cannot work before anything is started."""
    scope = context.scope
    read_inputs(context)
    check_directories(scope.settings)
    check_forge(context)
    check_signing(context)
    check_destination(
        context.options.publish,
        Repository(root=context.catalogue.root, cancellation=scope.cancellation),
        scope.settings,
        context.environ,
    )
    inputs = need(context.inputs)
    for warning in inputs.warnings:
        scope.warn(warning)
    words_of(inputs.publish_and_test.tests_to_run)
    check_installer(need(context.product), inputs.profile, scope)
    if context.publish_point is not PublishPoint.NEVER:
        need(context.builder).validate(build_request(context), scope)
    need(context.platform).validate(provision_request(context), scope)
    if not scope.dry:
        tell_begin(context)
    return Note(message=f"recipe {inputs.recipe.digest[:12]}", found={"inputs": digests(context)})


def read_inputs(context: RunContext) -> None:
    """Read every input and choose the parts that they ask for; nothing outside is looked at."""
    inputs = context.inputs = load_inputs(context.catalogue, context.configuration)
    learn_secrets(inputs, context)
    files, today = MutesFiles(context.catalogue), context.today
    context.inputs_mutes = files.in_force(context.configuration, today)
    dimensions = context.configuration.dimensions
    settings = context.scope.settings
    product = load_product(
        dimensions["product"], context.catalogue.root, settings, settings.product_environment
    )
    context.product = with_parameters(product, settings.suite_parameters.get(product.name, {}))
    check_suite_kinds(context.product.suites, context.parts)
    context.builder = choose_builder(
        context.options.builder, inputs.template.builder_type, context.parts
    )
    context.platform = choose_platform(dimensions["platform"], context.parts)
    if context.publish_point is PublishPoint.NEVER:
        context.image = published_image(inputs, context)


def learn_secrets(inputs: ConfigurationInputs, context: RunContext) -> None:
    """What stands in the inputs and may not be repeated."""
    secrecy, template = context.scope.secrecy, inputs.template
    secrecy.learn_named(inputs.profile)
    with suppress(InvalidInput):  # which the builder refuses, and says so
        variables = user_variables(template, context.environ)
        secrecy.learn_named(variables)
        sensitive = template.data.get("sensitive-variables") or []
        secrecy.learn(variables.get(key, "") for key in sensitive)


def build_image(context: RunContext) -> Note:
    """Build the image, or find the one that the same recipe built before."""
    inputs = need(context.inputs)
    if context.image is not None:
        message = f"publishing is off: the published image is used{look(context)}"
        return Note(message=message, skipped=True)
    if context.options.image_of is not None:
        image = image_of_run(context.options.image_of, context)
    else:
        image = need(context.builder).build(build_request(context), context.scope)
    context.image = image
    context.store.note_image(context.scope.run_id, inputs.recipe.digest, image.ids)
    how = "found" if image.reused else "built"
    return Note(
        message=f"{how} "
        + ", ".join(f"{k} {v[:19]}" for k, v in image.ids.items())
        + look(context),
        found={
            "ids": dict(image.ids),
            "file": None if image.file is None else str(image.file),
            "reused": image.reused,
            "build_record": image.build_record,
            "inventories": [
                None if path is None else str(path)
                for path in (image.inventory, image.base_inventory)
            ],
        },
    )


def look(context: RunContext) -> str:
    """Look at what the image holds, before anybody may publish it; what to say of that."""
    context.mutes = mutes_of_run(context)
    result = context.mutes.apply(inspect_image(context))
    if result.results or result.remarks:
        keep(result, context)
    count = len(context.image_faults)
    return f", {count} fault{'s' if count > 1 else ''}" if count else ""


def image_of_run(run_id: str, context: RunContext) -> Image:
    """The image that an earlier run built. Raises InvalidInput when it has none (any more)."""
    rows = {row["name"]: row for row in context.store.steps(run_id)}
    found = rows["build"]["found"] if "build" in rows else None
    image = image_from(found) if found and "ids" in found else None
    if image is None or (image.file is not None and not image.file.is_file()):
        what = "no image" if image is None else f"an image that is gone: {image.file}"
        raise InvalidInput(
            f"The run {run_id} has {what}.",
            resolution=f"build it with `osqual run {context.configuration.path}`",
        )
    return replace(image, reused=True)


def image_from(found: Mapping[str, Any]) -> Image:
    """The image, from what the build step wrote down."""
    inventory, base = found.get("inventories", (None, None))
    return Image(
        inventory=None if inventory is None else Path(inventory),
        base_inventory=None if base is None else Path(base),
        ids=found["ids"],
        file=None if found["file"] is None else Path(found["file"]),
        reused=found["reused"],
        build_record=found["build_record"],
    )


def provision_cluster(context: RunContext) -> Note:
    """Boot the cluster and reach every node, unless an earlier run's verdict can be reused."""
    context.mutes = mutes_of_run(context)
    context.reuse = find_reusable(context)
    if (reuse := context.takes_over) is not None:
        message = f"not needed: the verdict of the run {reuse} is reused"
        return Note(message=message, skipped=True, found=take_over(reuse, context))
    cluster = make_cluster(context)
    found = {"cluster": cluster_document(cluster), "nodes": context.node_facts}
    return Note(message=f"{len(cluster.nodes)} nodes", found=found)


def install_on_cluster(context: RunContext) -> Note:
    """Run the product's install scripts by role."""
    if context.takes_over is not None:
        return Note(message="not needed", skipped=True)
    install_everything(context)
    return Note(
        message=context.configuration.dimensions["product"],
        found={"nodes": context.node_facts},
    )


def judgement_of(context: RunContext) -> Judgement:
    """The verdict: of this run's results, or of the run that is taken over."""
    if context.takes_over is not None and not context.unfinished:
        return reused_judgement(context.takes_over)
    judgement = judge(
        context.suites,
        unfinished=context.unfinished,
        partial=context.options.narrowed,
        mutes=[str(mute) for mute in context.mutes.mutes],
        flakiness=flakiness_of(context),
        flake_limit=context.scope.settings.policy.flake_limit,
    )
    return judgement if context.reuse is None else audited_judgement(context.reuse, judgement)


def judge_results(context: RunContext) -> Note:
    """From results to a verdict. Runs however far the run got."""
    judgement = judgement_of(context)
    reasons = tuple(map(context.scope.secrecy, judgement.reasons))
    context.judgement = replace(judgement, reasons=reasons)
    return Note(
        message=context.judgement.verdict.value,
        found={
            "verdict": context.judgement.verdict.value,
            "reasons": list(context.judgement.reasons),
            "totals": dict(context.judgement.totals),
        },
    )


def destroy_cluster(context: RunContext) -> Note:
    """End everything, however the run went; a machine is kept only where that was asked for."""
    for machine in context.machines.values():
        machine.close()
    context.machines.clear()
    if not context.scope.journal.unended():
        return Note(message="nothing was started", skipped=True)
    if keeps_cluster(context):
        context.store.keep_resources(context.scope.run_id)
        context.kept = True
        run_id = context.scope.run_id
        way_in = f"osqual ssh {run_id}, then " if context.cluster is not None else ""
        return Note(
            message=f"kept: {way_in}osqual destroy {run_id}",
            skipped=True,
            found={"kept": True},
        )
    end_everything(context.scope, context.parts)
    return Note()


def end_everything(scope: RunScope, parts: Parts) -> None:
    """Have every platform end what it made for a run, then whatever else the journal has.

    Goes on past failures, then raises the first of them, which says why, with the names of whatever
    else is left.
    """
    failures = []
    ends: list[Callable[[RunScope], None]] = [each.destroy for each in parts.platforms.values()]
    ends.append(partial(end_resources, kinds=parts.kinds))
    for end in ends:
        try:
            end(scope)
        except CleanupIncomplete as error:
            failures.append(error)
    if failures:
        first = failures[0]
        left = [describe(row) for row in scope.journal.unended()]
        first.details = "\n".join([first.details, *(it for it in left if it not in first.details)])
        raise first


def keeps_cluster(context: RunContext) -> bool:
    """Whether the cluster stays: an interrupt ends it unless it is always kept."""
    if context.options.keep is KeepPolicy.ALWAYS:
        return True
    bad = context.judgement is None or context.judgement.verdict is not Verdict.QUALIFIED
    return context.options.keep is KeepPolicy.ON_FAILURE and bad and not context.interrupted


# What the steps above are made of


def choose_builder(name: str | None, builder_type: str, parts: Parts) -> Builder:
    """The builder by name, or the default for the template's builder type."""
    if builder_type not in DEFAULT_BUILDERS:
        hint = did_you_mean(builder_type, DEFAULT_BUILDERS)
        raise InvalidInput(
            f"Templates with the builder {builder_type!r} cannot be built by this version{hint}.",
            details="It builds: " + ", ".join(sorted(DEFAULT_BUILDERS)),
        )
    if builder_type == "qemu":
        return parts.builders[name or DEFAULT_BUILDERS[builder_type]]
    if name == "layered":
        raise InvalidInput(
            f"The layered builder does not build {builder_type!r} templates.",
            resolution="leave --builder out",
        )
    return parts.builders[DEFAULT_BUILDERS[builder_type]]


def choose_platform(name: str, parts: Parts) -> Platform:
    """The platform that the configuration's path names."""
    if name not in parts.platforms:
        raise InvalidInput(
            f"The platform {name!r} is not supported by this version.",
            details="It supports: " + ", ".join(sorted(parts.platforms)),
        )
    return parts.platforms[name]


def check_suite_kinds(suites: Sequence[Suite], parts: Parts) -> None:
    """Refuse a product whose suites nobody can run."""
    for suite in suites:
        if suite.kind not in parts.suite_kinds:
            raise InvalidInput(
                f"The suite {suite.name!r} has the unknown kind {suite.kind!r}.",
                details="Known kinds: " + ", ".join(sorted(parts.suite_kinds)),
            )


def build_request(context: RunContext) -> BuildRequest:
    """The builder's view of this run."""
    inputs = need(context.inputs)
    return BuildRequest(
        configuration=context.configuration,
        template=inputs.template,
        recipe=inputs.recipe,
        base_images=inputs.base_images,
        base_directory=inputs.files["base_images"].parent if inputs.base_images else None,
        find_file=inputs.find_file,
        cold=context.options.cold,
        keep_on_failure=context.options.keep is not KeepPolicy.NEVER,
    )


def published_image(inputs: ConfigurationInputs, context: RunContext) -> Image:
    """The image that was published for this configuration, where `never` says not to build one."""
    name = context.scope.settings.files.images
    if not inputs.images:
        raise InvalidInput(
            f"{context.configuration.path} has no published image to test.",
            details=f"publish_dcos_images_after is never, so nothing is built, and there is no "
            f"{name} with an image id.",
            resolution=f"publish an image first (another value of publish_dcos_images_after), or "
            f"write the id of an existing one into {name}",
        )
    if "local" in inputs.images:
        store = ImageStore(context.scope.settings.directories.data)
        return replace(store.locate(inputs.images["local"]), ids=inputs.images)
    return Image(ids=inputs.images, reused=True)
