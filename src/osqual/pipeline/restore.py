"""Putting together again what a run knew when its process died: from the store, step by step.

docs/adr/0009-resume-and-teardown.md says what is trusted and what is made anew.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from osqual.cluster_file import FORKS_DIRECTORY, parse_cluster
from osqual.errors import ExitCode, InfrastructureError, Interrupted, InvalidInput, OsqualError
from osqual.formats.times import elapsed_s
from osqual.model import Judgement, Verdict
from osqual.pipeline import steps
from osqual.pipeline.publishing import digests
from osqual.pipeline.reusing import reuse_of, take_over
from osqual.platforms.base import ForkingPlatform
from osqual.run.cluster_life import end_cluster, open_machines
from osqual.run.context import RunContext, need
from osqual.store.database import Row
from osqual.store.store import RUNNING
from osqual.teardown import is_there, set_aside
from osqual.testing.stored import stored_suites

ANSWER_TIMEOUT_S = 60.0

Found = Mapping[str, Any]
ON_CLUSTER = ("provision", "install", "test")
"""Steps whose resources go with the cluster."""


def restore(context: RunContext) -> frozenset[str]:
    """Fill the context; returns the steps that need not run again.

    Raises InvalidInput or InfrastructureError when the run cannot go on: its inputs are not what
    they were, its image is gone. What it has failed with before is in the context all the same.
    """
    rows = {row["name"]: row for row in context.store.steps(context.scope.run_id)}
    context.suites = stored_suites(context.scope.run_id, context.store)
    failed = [name for name, row in rows.items() if row["status"] == "failed"]
    for name in failed:
        if name != "destroy":  # what could not be ended then is tried again
            restore_failure(rows[name], context)
    well = {name for name, row in rows.items() if row["found"] is not None} - {*failed}
    finished = {*well, *failed} - ({"destroy"} & {*failed})
    context.ended_well.update(well)
    context.step_seconds.update(
        (name, elapsed_s(rows[name]["started_at"], rows[name]["ended_at"])) for name in finished
    )
    if "validate" in context.ended_well:
        restore_inputs(context, rows["validate"]["found"])
    for name, action in RESTORERS.items():
        if name in context.ended_well:
            action(context, rows[name]["found"])
    finished -= lost_cluster(context, rows)
    context.ended_well &= finished
    return frozenset(finished)


def restore_inputs(context: RunContext, found: Found) -> None:
    """Read the inputs again; they must be what they were."""
    steps.read_inputs(context)
    now, before = digests(context), dict(found["inputs"])
    changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
    if changed:
        raise InvalidInput(
            f"The run {context.scope.run_id} cannot go on: its inputs have changed since.",
            details="Changed: " + ", ".join(changed),
            resolution="start a new run",
        )


def restore_image(context: RunContext, found: Found) -> None:
    """The image that was built, or found."""
    if "ids" in found:
        context.image = steps.image_from(found)
        if context.image.file is not None and not context.image.file.is_file():
            raise InfrastructureError(
                f"The run {context.scope.run_id} cannot go on: its image is gone.",
                details=str(context.image.file),
                resolution="start a new run",
            )
        steps.look(context)  # the store keeps failures, and not what is only remarked


def restore_nodes(context: RunContext, found: Found) -> None:
    """What is known of the nodes; whether they are still there is looked at later."""
    if "reused" in found:
        run = context.store.judged_run(found["reused"])
        context.reuse = reuse_of(run, audited=False)
        take_over(context.reuse, context)
        return
    context.node_facts = [dict(node) for node in found["nodes"]]
    context.cluster = parse_cluster(found["cluster"])


def restore_versions(context: RunContext, found: Found) -> None:
    """What the nodes told once the product was installed."""
    context.node_facts = [dict(node) for node in found.get("nodes", context.node_facts)]


def restore_judgement(context: RunContext, found: Found) -> None:
    """The verdict."""
    context.judgement = Judgement(
        verdict=Verdict(found["verdict"]),
        reasons=tuple(found["reasons"]),
        totals=found["totals"],
    )


def restore_published(context: RunContext, found: Found) -> None:
    """The files that were written."""
    context.published = [Path(path) for path in found.get("published", ())]
    context.released = bool(found)


def restore_kept(context: RunContext, found: Found) -> None:
    """Whether the cluster was kept."""
    context.kept = bool(found.get("kept"))


RESTORERS: Mapping[str, Callable[[RunContext, Found], None]] = {
    "build": restore_image,
    "provision": restore_nodes,
    "install": restore_versions,
    "judge": restore_judgement,
    "publish": restore_published,
    "destroy": restore_kept,
}


def restore_failure(row: Row, context: RunContext) -> None:
    """What a step failed with, as the same kind of error as far as that matters."""
    found = row["found"] or {}
    kind = Interrupted if found.get("interrupted") else OsqualError
    error = kind(
        row["message"],
        details=found.get("details", ""),
        resolution=found.get("resolution", ""),
    )
    error.exit_code = ExitCode(found.get("exit_code", ExitCode.INCONCLUSIVE))
    context.failures.add(error)
    context.interrupted = context.interrupted or kind is Interrupted
    context.unfinished.append(found.get("unfinished") or row["message"])


def lost_cluster(context: RunContext, rows: Mapping[str, Row]) -> set[str]:
    """Steps to run again because the cluster they worked on is gone or not to be trusted.

    It is needed only while tests are to be run. What is left of it is ended here.
    """
    begun = any(rows[name]["status"] != "pending" for name in ON_CLUSTER if name in rows)
    if context.takes_over or context.failures or not begun or "test" in context.ended_well:
        return set()
    reason = why_lost(context, rows)
    if not reason:
        context.used = True
        return set()
    context.scope.warn(f"the cluster is made again: {reason}")
    known = {suite.suite for suite in context.suites}
    end_cluster(context)
    for suite in need(context.product).suites:
        if suite.name not in known:
            set_aside(context.scope.directory / "suites" / suite.name)
    again = {"provision", "install"} & rows.keys()
    context.store.forget_steps(context.scope.run_id, sorted(again))
    return again


def why_lost(context: RunContext, rows: Mapping[str, Row]) -> str:
    """Why the cluster cannot be used; empty when it can."""
    for name in ("provision", "install"):
        if rows[name]["status"] == RUNNING:
            return f"the step '{name}' was cut off in the middle"
    gone = [
        row["name"]
        for row in context.scope.journal.unended()
        if row["kind"] == "vm"
        and "part" not in row["details"]  # of a fork
        and is_there(row, context.parts.kinds) is False
    ]
    if gone or context.cluster is None:
        return f"gone: {', '.join(gone) or 'all of it'}"
    try:
        open_machines(context, context.cluster)
        wake(context)
        for machine in context.machines.values():
            machine.run(["true"], timeout_s=ANSWER_TIMEOUT_S)
    except Interrupted:
        raise
    except OsqualError as error:
        return error.brief
    return ""


def wake(context: RunContext) -> None:
    """Let a cluster go on that was held for forks when the run's process died."""
    forked = (context.scope.directory / FORKS_DIRECTORY).exists()
    if forked and isinstance(context.platform, ForkingPlatform):
        context.platform.go_on(context.scope)
