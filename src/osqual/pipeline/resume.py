"""Runs whose process has died: taken over and gone on with, or ended."""

import time
from pathlib import Path

from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import CleanupIncomplete, ExitCode, InvalidInput, OsqualError, UsageError
from osqual.events import EventKind
from osqual.model import Judgement, Verdict
from osqual.pipeline.restore import restore
from osqual.pipeline.workflow import Engine, RunResult, carry_out, end_resources, run_context
from osqual.processes.running import owner_alive, owner_token
from osqual.run.context import RunContext, RunOptions
from osqual.store.database import Row
from osqual.store.store import ENDED


def resume(run: Row, engine: Engine) -> RunResult:
    """Go on with a run whose process has died, at its first step that has not ended.

    What cannot go on is ended, and the run is inconclusive with the reason. Raises UsageError
    when there is nothing to resume.
    """
    run_id, directory = str(run["id"]), Path(run["directory"])
    take_over(run, engine)
    try:
        options = RunOptions.from_document(run["options"])
        catalogue = open_catalogue(Path(run["catalogue"]))
        configuration = catalogue.configuration(catalogue.root / run["configuration"])
    except (OsqualError, KeyError, ValueError, TypeError) as error:
        close_run(run, f"It could not be resumed: {error}", engine)
        raise InvalidInput(
            f"The run {run_id} cannot go on; what it had was ended.",
            details=str(error),
            resolution="start a new run",
        ) from error
    directory.mkdir(parents=True, exist_ok=True)
    with run_context(run_id, directory, catalogue, configuration, options, engine) as context:
        context.started_at = float(run["started_at"])
        context.scope.emit(EventKind.RUN_RESUMED, configuration.path)
        return carry_out(context, restored(context))


def take_over(run: Row, engine: Engine) -> None:
    """Make this process the owner of a run whose own has died. Raises UsageError otherwise."""
    if run["status"] == ENDED:
        raise UsageError(
            f"The run {run['id']} has ended: {run['verdict']}.",
            resolution="start a new run with `osqual run`",
        )
    if owner_alive(run["owner"]) is None and not is_dead(run, engine):
        raise UsageError(
            f"The run {run['id']} belongs to another machine.",
            details=f"owner: {run['owner']}",
            resolution="resume it there",
        )
    claim = engine.store.claim_run
    if not is_dead(run, engine) or not claim(run["id"], before=run["owner"], owner=owner_token()):
        raise UsageError(
            f"The run {run['id']} is still going on.",
            resolution="`osqual logs --follow` shows it; `osqual cancel` stops it",
        )


def is_dead(run: Row, engine: Engine) -> bool:
    """Whether nobody works on a run that has not ended; of another machine's, time decides."""
    alive = owner_alive(run["owner"])
    return has_expired(run, engine) if alive is None else not alive


def has_expired(run: Row, engine: Engine) -> bool:
    """Whether a run is so old that its process cannot be waiting for anything any more."""
    return time.time() - float(run["started_at"]) > engine.settings.expire_after_s


def restored(context: RunContext) -> frozenset[str]:
    """The steps that need not run again, their findings in the context."""
    base = context.scope
    context.scope = base.in_step("resume")
    try:
        return restore(context)
    except OsqualError as error:
        context.failures.add(error)
        context.unfinished.append(error.brief)
        context.ended_well.clear()  # no gate is passed any more: nothing more is published
        return frozenset()
    finally:
        context.scope = base


def close_run(run: Row, reason: str, engine: Engine, *, also_kept: bool = False) -> None:
    """End everything of a run whose process has died, and the run, as inconclusive.

    A cluster that it had been told to keep stays, unless `also_kept`. Raises CleanupIncomplete
    when something is left; the run has ended all the same.
    """
    run_id = str(run["id"])
    judgement = Judgement(verdict=Verdict.INCONCLUSIVE, reasons=(reason,), totals={})
    kept = any(row["kept"] for row in engine.store.resources(run_id=run_id))
    try:
        if also_kept or not kept:
            end_resources(run_id, Path(run["directory"]), engine)
    except CleanupIncomplete:
        engine.store.end_run(run_id, judgement, int(ExitCode.CLEANUP_INCOMPLETE))
        raise
    engine.store.end_run(run_id, judgement, int(ExitCode.INCONCLUSIVE))
