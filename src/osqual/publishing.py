"""What a run publishes and when: images behind their gate, and the record of the qualification."""

import hashlib
import platform as host
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from osqual import __version__
from osqual.catalogue.git import GitTree
from osqual.ci.surroundings import ci_job
from osqual.cluster_cost import read_cost
from osqual.context import Note, RunContext, need
from osqual.errors import InfrastructureError, PublishFailed, UsageError
from osqual.model import Image, PublishPoint, Verdict
from osqual.plan.surroundings import Surroundings
from osqual.programs import FoundProgram
from osqual.publish.record import CostEntry, Qualification, SourceEntry, record_of
from osqual.publish.worktree import publish_build, publish_images, publish_record

PASSED_TO_PUBLISH: Mapping[PublishPoint, str] = {
    PublishPoint.PACKER_BUILD: "build",
    PublishPoint.DCOS_INSTALLATION: "install",
    PublishPoint.INTEGRATION_TESTS: "judge",
}
"""The step that must have ended well before images may be published."""


def publish_due_images(context: RunContext) -> None:
    """Write the images file and the history once the step that they wait for has ended well."""
    if not context.may_publish or context.published:
        return
    step = PASSED_TO_PUBLISH[context.publish_point]
    if step not in context.ended_well:
        return
    if step == "judge" and need(context.judgement).verdict is not Verdict.QUALIFIED:
        return
    files = context.scope.settings.files
    image = need(context.image)
    release(image, context)
    if (build := image.build_record) is not None:
        publish(context, files.history, lambda path: publish_build(path, build))
    publish(context, files.images, lambda path: publish_images(path, image.ids))


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


def publish(context: RunContext, name: str, write: Callable[[Path], None]) -> None:
    """Write a published file, journalled: what a killed process left half-written is removed."""
    path = context.configuration.directory / name
    with context.scope.resource("publication", name, path=str(path)) as owned:
        try:
            write(path)
        except BaseException:
            owned.ended()  # it was not written, and nothing of it is left
            raise
    if path not in context.published:
        context.published.append(path)


def publish_results(context: RunContext) -> Note:
    """Write the record beside the images that this run published."""
    if context.options.keywords:
        return Note(message="-k chose single tests: nothing is published", skipped=True)
    if context.options.publish == "none":
        return Note(message="--publish none", skipped=True)
    if context.inputs is None:
        return Note(message="nothing: the inputs could not be read", skipped=True)
    publish_due_images(context)
    if not context.published:
        point = context.publish_point.value
        return Note(message=f"nothing: publish_dcos_images_after is {point}", skipped=True)
    record = record_of(qualification(context))
    publish(context, context.scope.settings.files.record, lambda path: publish_record(path, record))
    return Note(
        message=", ".join(sorted(path.name for path in context.published)),
        found={"published": [str(path) for path in context.published]},
    )


def digests(context: RunContext) -> dict[str, str]:
    """Every input of the run by name, as sha256."""
    around = Surroundings(catalogue=context.catalogue, settings=context.scope.settings)
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
        tools=tool_versions(context.parts.inspect_programs()),
        nodes=context.node_facts,
        step_seconds=context.step_seconds,
        retries=retries_of(context),
        started_at=utc(context.started_at),
        ended_at=utc(time.time()),
        accelerator=need(context.platform).accelerator(context.scope),
        run_url=job.url if (job := ci_job(context.environ)) else "",
        source=source_of(GitTree(root=context.catalogue.root)),
        cost=cost_of(context),
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
    """The commit that the catalogue stands at; None where it is in no git, or has no commit."""
    try:
        return SourceEntry(commit=tree.commit_of("HEAD"), repository=tree.origin() or None)
    except UsageError:
        return None


def cost_of(context: RunContext) -> CostEntry | None:
    """What the cluster cost by estimate, from its beginning until now; None without a price."""
    hourly = read_cost(context.scope.directory)
    if hourly is None:
        return None
    seconds = context.step_seconds
    hours = sum(seconds.get(name, 0.0) for name in ("provision", "install", "test", "judge")) / 3600
    return CostEntry(
        usd=round(hourly.usd * hours, 2), hours=round(hours, 2), unknown=hourly.unknown
    )


def retries_of(context: RunContext) -> dict[str, int]:
    """How often something was tried again, by step; steps in which nothing was are left out."""
    rows = context.store.steps(context.scope.run_id)
    return {row["name"]: row["retries"] for row in rows if row["retries"]}


def tool_versions(programs: Iterable[FoundProgram]) -> dict[str, str]:
    """Versions of osqual, Python and the external programs that were found."""
    found = {item.program.name: item.version for item in programs if item.version}
    return {"osqual": __version__, "python": host.python_version(), **found}


def utc(seconds: float) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
