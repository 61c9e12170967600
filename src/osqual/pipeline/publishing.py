"""What a run publishes and when: images behind their gate, and the record of the qualification."""

import hashlib
import platform as host
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from osqual import __version__
from osqual.attest.envelope import seal
from osqual.attest.keyless import check_identity, seal_keyless
from osqual.attest.keys import signing_key
from osqual.attest.statements import statements
from osqual.attest.trust import sigstore_of
from osqual.aws.images import image_facts
from osqual.catalogue.git import GitTree
from osqual.ci.surroundings import ci_job
from osqual.errors import (
    InfrastructureError,
    MissingProgram,
    OsqualError,
    PublishFailed,
    UsageError,
)
from osqual.formats.times import iso
from osqual.inventory.kept import kept_digests
from osqual.model import Image, PublishPoint, SuiteResult, Verdict
from osqual.mutes.files import mute_document
from osqual.mutes.mute import Mute
from osqual.plan.surroundings import Surroundings
from osqual.platforms.cluster_cost import spent_so_far
from osqual.processes.programs import FoundProgram
from osqual.publish.deliver import Delivered, Delivery, patch_of
from osqual.publish.destination import deliver
from osqual.publish.files import images_text, record_text
from osqual.publish.outbox import Publication, keep_publication, kept_publication
from osqual.publish.record import CostEntry, Qualification, SourceEntry, record_of
from osqual.run.announcing import tell_forge, tell_webhooks
from osqual.run.context import Note, RunContext, need
from osqual.secrecy import hide_in

PASSED_TO_PUBLISH: Mapping[PublishPoint, str] = {
    PublishPoint.PACKER_BUILD: "build",
    PublishPoint.DCOS_INSTALLATION: "install",
    PublishPoint.INTEGRATION_TESTS: "judge",
}
"""The step that must have ended well before images may be published."""

FAULTS_NAMED = 3


def publish_due_images(context: RunContext) -> None:
    """Let others use the images once the step that they wait for has ended well, if they are clean.

    Into the work tree they are written at once; commits wait for the verdict, which they name.
    """
    if not context.may_publish or context.released or context.image_faults:
        return
    step = PASSED_TO_PUBLISH[context.publish_point]
    if step not in context.ended_well:
        return
    if step == "judge" and need(context.judgement).verdict is not Verdict.QUALIFIED:
        return
    image = need(context.image)
    release(image, context)
    context.released = True
    if context.options.publish == "worktree":
        context.published.extend(delivery(context, images_of(context)).images_to_worktree())


def release(image: Image, context: RunContext) -> None:
    """Let others use the image, before anybody reads its id. Raises PublishFailed."""
    template = need(context.inputs).template
    try:
        need(context.builder).release(template, image, context.scope)
    except InfrastructureError as error:
        raise PublishFailed(
            f"The image could not be given free: {error.brief}",
            details=error.details,
            resolution=error.resolution,
        ) from error


def publish_results(context: RunContext) -> Note:
    """Bring images, history and record to where they are wanted, and tell who wants to know."""
    tell_webhooks(context)
    try:
        note, done = publish_files(context)
    except PublishFailed as failure:
        patch = patch_of(context.scope.directory, context.scope.run_id)
        with warned(context):
            tell_forge(context, Delivered(patch=patch))
        raise failure
    tell_forge(context, done)
    return note


@contextmanager
def warned(context: RunContext) -> Iterator[None]:
    """A second failure is said, and does not hide the first."""
    try:
        yield
    except PublishFailed as error:
        context.scope.warn(error.brief)


def publish_files(context: RunContext) -> tuple[Note, Delivered]:
    """What there is to publish, brought to where the person asked for."""
    nothing = Delivered()
    if context.options.narrowed:
        return Note(message="single tests were chosen: nothing is published", skipped=True), nothing
    if context.options.publish == "none":
        return Note(message="--publish none", skipped=True), nothing
    if context.inputs is None:
        return Note(message="nothing: the inputs could not be read", skipped=True), nothing
    publish_due_images(context)
    if not context.released and (faults := context.image_faults):
        names = ", ".join(faults[:FAULTS_NAMED]) + (" …" if faults[FAULTS_NAMED:] else "")
        message = f"nothing: the image is not clean: {names}"
        return Note(message=message, skipped=True), nothing
    if not context.released:
        point = context.publish_point.value
        message = f"nothing: publish_dcos_images_after is {point}"
        return Note(message=message, skipped=True), nothing
    done = deliver(
        delivery(context, publication_of(context)), context.options.publish, context.environ
    )
    context.published = [*done.files]
    return Note(message=words_of(done), found=found_of(done)), done


def publication_of(context: RunContext) -> Publication:
    """What the run publishes: made once, and the same when the run is resumed after that."""
    directory = context.scope.directory
    kept = kept_publication(directory)
    if kept is None:
        record = hide_in(record_of(qualification(context)), context.scope.secrecy)
        kept = replace(images_of(context), record=record, attestation=attest(record, context))
        keep_publication(directory, kept)
    return kept


def check_signing(context: RunContext) -> None:
    """Refuse a signing key that cannot be used, before a long run begins. Raises InvalidInput."""
    if context.options.publish != "none":
        settings = context.scope.settings.attest
        if signing_key(context.environ, settings.key) is None and settings.keyless:
            check_identity()


def attest(record: Mapping[str, Any], context: RunContext) -> str:
    """Signed statements about the record, one a line; empty where there is no key to sign with."""
    settings = context.scope.settings.attest
    key = signing_key(context.environ, settings.key)
    if key is None and not settings.keyless:
        return ""
    names, image = context.scope.settings.files, need(context.image)
    files = {names.images: images_text(image.ids), names.record: record_text(record)}
    made = statements(record, files, cloud_facts(image))
    if key is not None:
        return "".join(f"{seal(statement, key)}\n" for statement in made)
    sigstore = sigstore_of(settings, context.catalogue.root)
    return "".join(f"{seal_keyless(statement, sigstore)}\n" for statement in made)


def cloud_facts(image: Image) -> dict[str, dict[str, Any]]:
    """Account and snapshots of each image in a cloud; what it does not tell is left out."""
    found = {}
    for region, image_id in image.ids.items():
        if region != "local" and image_id.startswith("ami-"):
            with suppress(OsqualError):
                found[image_id] = image_facts(region, image_id)
    return found


def images_of(context: RunContext) -> Publication:
    """The part of a publication that is known before the verdict."""
    image = need(context.image)
    return Publication(
        run_id=context.scope.run_id,
        configuration=context.configuration.path,
        images=image.ids,
        build=image.build_record,
        record={},
    )


def delivery(context: RunContext, publication: Publication) -> Delivery:
    """The publication on its way into the catalogue."""
    return Delivery(publication=publication, root=context.catalogue.root, scope=context.scope)


def words_of(done: Delivered) -> str:
    """Where the publication is now."""
    if done.patch is not None:
        return f"as a patch, for nothing can be pushed from here: {done.patch}"
    if done.commit:
        return f"commit {done.commit[:12]} on {done.where}"
    if done.where:
        return f"nothing: {done.where} has it already"
    return ", ".join(sorted(path.name for path in done.files))


def found_of(done: Delivered) -> dict[str, Any]:
    """The same for a later process, as JSON."""
    return {
        "published": [str(path) for path in done.files],
        "commit": done.commit,
        "where": done.where,
        "patch": None if done.patch is None else str(done.patch),
    }


def digests(context: RunContext) -> dict[str, str]:
    """Every input of the run by name, as sha256."""
    around = Surroundings(
        catalogue=context.catalogue, settings=context.scope.settings, today=context.today
    )
    return {**need(context.inputs).digests, **around.digests(context.configuration)}


def qualification(context: RunContext) -> Qualification:
    """What the record is made from."""
    inputs = need(context.inputs)
    return Qualification(
        run_id=context.scope.run_id,
        configuration=context.configuration,
        recipe=inputs.recipe,
        inputs=digests(context),
        image=need(context.image),
        topology=inputs.topology,
        suites=context.suites,
        reports=report_digests(context.scope.directory),
        judgement=need(context.judgement),
        reused="" if context.takes_over is None else context.takes_over.run_id,
        mutes=[muted(mute, context.suites) for mute in context.mutes.mutes],
        tools=tool_versions(context.parts.inspect_programs()),
        nodes=context.node_facts,
        step_seconds=context.step_seconds,
        retries=retries_of(context),
        started_at=iso(context.started_at),
        ended_at=iso(time.time()),
        accelerator=need(context.platform).accelerator(context.scope),
        run_url=job.url if (job := ci_job(context.environ)) else "",
        source=source_of(GitTree(root=context.catalogue.root)),
        cost=cost_of(context),
        evidence=kept_digests(context.scope.directory),
    )


def report_digests(directory: Path) -> dict[str, dict[str, str]]:
    """Suite to its JUnit files below the run directory, each with its sha256."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((directory / "suites").glob("*/**/*.xml")):
        name = str(path.relative_to(directory))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found.setdefault(name.split("/")[1], {})[name] = digest
    return found


def source_of(tree: GitTree) -> SourceEntry | None:
    """The commit that the catalogue stands at; None where there is none, or no git to ask."""
    try:
        return SourceEntry(commit=tree.commit_of("HEAD"), repository=tree.origin() or None)
    except (UsageError, MissingProgram):
        return None


def cost_of(context: RunContext) -> CostEntry | None:
    """What the cluster cost by estimate, from its beginning until now; None without a price."""
    spent = spent_so_far(context.scope.directory, context.step_seconds)
    if spent is None:
        return None
    return CostEntry(usd=spent.usd, hours=spent.hours, unknown=spent.unknown)


def muted(mute: Mute, suites: Iterable[SuiteResult]) -> dict[str, Any]:
    """A mute as the record has it: what is written in it, and what its tests gave all the same."""
    tests = {
        f"{result.suite}: {result.test_id}": result.shadow.value if result.shadow else "not run"
        for suite in suites
        for result in suite.results
        if result.mute == mute.digest
    }
    return {**mute_document(mute), "tests": tests}


def retries_of(context: RunContext) -> dict[str, int]:
    """How often something was tried again, by step; steps in which nothing was are left out."""
    rows = context.store.steps(context.scope.run_id)
    return {row["name"]: row["retries"] for row in rows if row["retries"]}


def tool_versions(programs: Iterable[FoundProgram]) -> dict[str, str]:
    """Versions of osqual, Python and the external programs that were found."""
    found = {item.program.name: item.version for item in programs if item.version}
    return {"osqual": __version__, "python": host.python_version(), **found}
