"""A run from first step to last: order, time limits, journal, and teardown whatever happens."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osqual import __version__
from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import Catalogue
from osqual.effects.scope import RunScope
from osqual.errors import (
    CleanupIncomplete,
    ExitCode,
    InfrastructureError,
    Interrupted,
    LimitReached,
    OsqualError,
    PublishFailed,
    StoreFailed,
)
from osqual.event_log import FILE_NAME as LOG_NAME
from osqual.event_log import open_log
from osqual.events import Event, EventBus, EventKind, Subscriber
from osqual.evidence import evidence_and_inputs
from osqual.formats.times import elapsed_s
from osqual.model import Configuration, Judgement, Verdict
from osqual.pipeline import steps
from osqual.pipeline.publishing import publish_due_images, publish_results
from osqual.processes.running import owner_token
from osqual.run.context import Failures, Note, RunContext, RunOptions
from osqual.run.parts import BUILT_IN, Parts
from osqual.secrecy import Secrecy, hide_in
from osqual.settings import Settings
from osqual.store.cancel_requests import heed_requests
from osqual.store.database import Row
from osqual.store.limits import Claim
from osqual.store.store import Store
from osqual.testing.suites import run_suites


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of the pipeline. `always`: it runs also after an earlier step has failed."""

    name: str
    action: Callable[[RunContext], Note]
    always: bool = False


PIPELINE: tuple[Step, ...] = (
    Step(name="validate", action=steps.validate_inputs),
    Step(name="build", action=steps.build_image),
    Step(name="provision", action=steps.provision_cluster),
    Step(name="install", action=steps.install_on_cluster),
    Step(name="test", action=run_suites),
    Step(name="judge", action=steps.judge_results, always=True),
    Step(name="publish", action=publish_results, always=True),
    Step(name="destroy", action=steps.destroy_cluster, always=True),
)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What every run of one command shares."""

    settings: Settings
    store: Store
    cancellation: Cancellation
    environ: Mapping[str, str]
    subscribers: tuple[Subscriber, ...] = ()
    parts: Parts = BUILT_IN


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended, for renderers and scripts."""

    run_id: str
    configuration: str
    directory: Path
    judgement: Judgement
    exit_code: ExitCode
    image_ids: Mapping[str, str]
    image_reused: bool
    image_file: Path | None
    """The image itself, where it is on this machine."""
    published: tuple[Path, ...]
    kept: bool
    duration_s: float
    step_seconds: Mapping[str, float]
    errors: tuple[OsqualError, ...] = ()


def qualify(
    catalogue: Catalogue,
    configuration: Configuration,
    options: RunOptions,
    engine: Engine,
    claims: Sequence[Claim] = (),
    job: int | None = None,
) -> RunResult:
    """Run the whole pipeline for one configuration, which a worker may have as a job.

    Returns a result however the run ended; everything that was started has been ended by then,
    unless the result says that it was kept or that clean-up is incomplete. Raises LimitReached,
    before anything has begun, when there is no room for its claims on limits; else only a bug.
    """
    run_id = new_run_id()
    directory = engine.settings.directories.state / "runs" / run_id
    make_directory(directory)
    try:
        engine.store.begin_run(
            run_id,
            configuration=configuration.path,
            catalogue=catalogue.root,
            directory=directory,
            options=options.document(),
            owner=owner_token(),
            version=__version__,
            step_names=[step.name for step in PIPELINE],
            claims=claims,
            job=job,
        )
    except LimitReached:
        directory.rmdir()
        raise
    with run_context(run_id, directory, catalogue, configuration, options, engine) as context:
        context.scope.emit(EventKind.RUN_STARTED, configuration.path)
        return carry_out(context)


def make_directory(directory: Path) -> None:
    """The run directory. Raises InfrastructureError."""
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise InfrastructureError(
            f"The run directory {directory} cannot be made.",
            details=str(error),
            resolution="make the state directory writable, free space, or set OSQUAL_STATE_DIR",
        ) from error


@contextmanager
def run_context(
    run_id: str,
    directory: Path,
    catalogue: Catalogue,
    configuration: Configuration,
    options: RunOptions,
    engine: Engine,
) -> Iterator[RunContext]:
    """A run's surroundings, with its log open and requests to cancel it heeded."""
    cancellation = engine.cancellation.child()
    with open_log(directory) as log, heed_requests(run_id, engine.store, cancellation):
        scope = scope_for(run_id, directory, engine, log, *engine.subscribers)
        scope.bus.subscribe(lambda event: count_retry(event, engine.store))
        scope = replace(scope, cancellation=cancellation)
        yield context_for(scope, engine.store, catalogue, configuration, options, engine)


def context_for(
    scope: RunScope,
    store: Store,
    catalogue: Catalogue,
    configuration: Configuration,
    options: RunOptions,
    engine: Engine,
) -> RunContext:
    """What a run knows when it begins; `scope` has the whole run's cancellation."""
    return RunContext(
        scope=scope,
        store=store,
        parts=engine.parts,
        catalogue=catalogue,
        configuration=configuration,
        options=options,
        cancellation=scope.cancellation,
        environ=engine.environ,
    )


def scope_for(run_id: str, directory: Path, engine: Engine, *subscribers: Subscriber) -> RunScope:
    """A scope of a run under this engine; what subscribers are told has no secrets in it."""
    secrecy = Secrecy(engine.environ)
    expires_in_s = engine.settings.expire_after_s
    return RunScope(
        run_id=run_id,
        directory=directory,
        settings=engine.settings,
        journal=engine.store.journal(run_id, expires_in_s=expires_in_s),
        bus=EventBus(*subscribers, clean=secrecy.event),
        cancellation=engine.cancellation,
        secrecy=secrecy,
    )


def count_retry(event: Event, store: Store) -> None:
    """Have the store count what is tried again."""
    if event.kind is EventKind.RETRY:
        store.note_retry(event.run_id, event.step)


def carry_out(context: RunContext, finished: frozenset[str] = frozenset()) -> RunResult:
    """Run the steps that have not finished, and say how the run ended. Only a bug raises."""
    run_pipeline(context, finished)
    result = conclude(context)
    context.scope.emit(
        EventKind.RUN_ENDED,
        result.judgement.verdict.value,
        reasons=list(result.judgement.reasons),
        exit_code=int(result.exit_code),
    )
    if context.failures.bug is not None:
        raise context.failures.bug
    return result


def end_resources(run_id: str, directory: Path, engine: Engine) -> int:
    """End everything a past run still has, whatever it was; how many resources that were.

    Raises CleanupIncomplete, with what is left, when some of it could not be ended.
    """
    before = len(engine.store.resources(run_id=run_id))
    limit_s = engine.settings.time_limits.destroy
    scope = scope_for(run_id, directory, engine, *engine.subscribers)
    scope = scope.in_step("destroy").limited(limit_s, "ending the resources")
    steps.end_everything(scope, engine.parts)
    left = engine.store.resources(run_id=run_id)
    if left:
        raise incomplete(run_id, left)
    clean_evidence(scope)
    if before:
        engine.store.begin_step(run_id, scope.step)
        engine.store.end_step(run_id, scope.step, "done", f"afterwards: {before} resources")
    return before


def new_run_id() -> str:
    """A name that sorts by time and does not collide: 20260102-030405-ab12cd."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(3)


def run_pipeline(context: RunContext, finished: frozenset[str] = frozenset()) -> None:
    """Every step that has not finished, in order; after a failure only those that always run."""
    failures, base = context.failures, context.scope
    publish_what_is_due(context)
    for step in PIPELINE:
        if step.name in finished:
            continue
        if failures and not step.always:
            with kept_going(True, context):
                context.store.end_step(base.run_id, step.name, "skipped", "an earlier step failed")
            continue
        context.scope = scope_of(step, base)
        try:
            run_step(step, context)
            publish_what_is_due(context)
        except Exception as error:
            failures.add(error)
            context.interrupted = context.interrupted or isinstance(error, Interrupted)
            context.unfinished.append(base.secrecy(unfinished_sentence(step, error)))
    context.scope = base
    if not context.kept:
        clean_evidence(base)
    with kept_going(True, context):
        tell_what_is_left(context)


def clean_evidence(scope: RunScope) -> None:
    """Blank the secrets in all that a run leaves to read, once nobody writes there any more.

    The event log is still open, and clean from its first line.
    """
    scope.secrecy.clean_files(
        path for path in evidence_and_inputs(scope.directory) if path.name != LOG_NAME
    )


@contextmanager
def kept_going(wanted: bool, context: RunContext) -> Iterator[None]:
    """A journal that cannot be written any more must not keep the clean-up from happening."""
    try:
        yield
    except StoreFailed as error:
        if not wanted:
            raise
        context.failures.add(error)


def tell_what_is_left(context: RunContext) -> None:
    """Whatever the journal still has open, unless it was kept on purpose, is a failure."""
    run_id, failures = context.scope.run_id, context.failures
    left = [row for row in context.store.resources(run_id=run_id) if not row["kept"]]
    if left and not any(isinstance(error, CleanupIncomplete) for error in failures.run):
        failures.add(incomplete(run_id, left))


def incomplete(run_id: str, left: Sequence[Row]) -> CleanupIncomplete:
    """The error that names what may still be there."""
    return CleanupIncomplete(
        f"{len(left)} resources of the run {run_id} may still be there.",
        details="\n".join(
            f"{row['kind']} {row['name']} {row['external_id'] or ''}".rstrip() for row in left
        ),
        resolution=f"end them with `osqual destroy {run_id}`",
    )


def publish_what_is_due(context: RunContext) -> None:
    """Publish images as soon as their gate has passed; a failure does not stop the run.

    The publish step tries again at the end, and a failure there is the run's.
    """
    try:
        publish_due_images(context)
    except (PublishFailed, StoreFailed) as error:
        context.scope.warn(error.brief)


def scope_of(step: Step, base: RunScope) -> RunScope:
    """The run's scope with the step's time limit; teardown is shielded from a cancel."""
    scope = base.in_step(step.name)
    limit_s = base.settings.time_limits.of(step.name)
    what = f"the step {step.name}"
    if step.name == "destroy":
        return scope.shielded(limit_s or 600.0, what)
    return scope if limit_s is None else scope.limited(limit_s, what)


def run_step(step: Step, context: RunContext) -> None:
    """One step, journalled before and after, whatever happens in it."""
    scope, store = context.scope, context.store
    with kept_going(step.always, context):
        store.begin_step(scope.run_id, step.name)
    scope.emit(EventKind.STEP_STARTED)
    started = time.monotonic()
    status, message, found = "failed", "", dict[str, Any]()
    try:
        if not step.always:
            scope.cancellation.check()
        note = step.action(context)
        status, message = ("skipped" if note.skipped else "done"), scope.secrecy(note.message)
        found = dict(note.found)
        context.ended_well.add(step.name)
    except Exception as error:
        scope.secrecy.error(error)
        message = error.brief if isinstance(error, OsqualError) else scope.secrecy(repr(error))
        found = hide_in(failure_document(step, error), scope.secrecy)
        raise
    finally:
        context.step_seconds[step.name] = time.monotonic() - started
        with kept_going(step.always or status == "failed", context):
            store.end_step(scope.run_id, step.name, status, message, found)
        scope.emit(EventKind.STEP_ENDED, message, status=status)


def failure_document(step: Step, error: Exception) -> dict[str, Any]:
    """What a resumed run needs to know of an earlier failure, as JSON."""
    document = {"unfinished": unfinished_sentence(step, error)}
    if not isinstance(error, OsqualError):
        return document
    return {
        **document,
        "details": error.details,
        "resolution": error.resolution,
        "exit_code": int(error.exit_code),
        "interrupted": isinstance(error, Interrupted),
    }


def unfinished_sentence(step: Step, error: Exception) -> str:
    """Why the verdict cannot be a good one, for the people who read it."""
    if isinstance(error, Interrupted):
        return f"The run was interrupted in the step '{step.name}'."
    brief = error.brief if isinstance(error, OsqualError) else f"bug in osqual: {error!r}"
    return f"The step '{step.name}' failed: {brief}"


def conclude(context: RunContext) -> RunResult:
    """Write the end of the run and make its result."""
    failures = context.failures
    judgement = context.judgement or Judgement(
        verdict=Verdict.INCONCLUSIVE, reasons=tuple(context.unfinished), totals={}
    )
    run_id, image = context.scope.run_id, context.image
    with kept_going(True, context):
        context.store.end_run(run_id, judgement, int(exit_code_of(judgement, failures)))
    exit_code = exit_code_of(judgement, failures)
    return RunResult(
        run_id=run_id,
        configuration=context.configuration.path,
        directory=context.scope.directory,
        judgement=judgement,
        exit_code=exit_code,
        image_ids={} if image is None else image.ids,
        image_file=None if image is None else image.file,
        image_reused=image is not None and image.reused,
        published=tuple(context.published),
        kept=context.kept,
        duration_s=elapsed_s(context.started_at, time.time()),
        step_seconds=dict(context.step_seconds),
        errors=tuple(failures.run),
    )


def exit_code_of(judgement: Judgement, failures: Failures) -> ExitCode:
    """Incomplete clean-up first, then an interrupt, then the first failure, then the verdict."""
    for kind in (CleanupIncomplete, Interrupted):
        if any(isinstance(error, kind) for error in failures.run):
            return kind.exit_code
    if judgement.verdict is Verdict.REJECTED:
        return ExitCode.REJECTED
    if failures.run:
        return failures.run[0].exit_code
    qualified = judgement.verdict is Verdict.QUALIFIED
    return ExitCode.OK if qualified else ExitCode.INCONCLUSIVE
