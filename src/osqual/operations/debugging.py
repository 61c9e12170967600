"""Entering a cluster as it was when a test failed: what was saved of it is forked once more."""

from pathlib import Path

from osqual.errors import InfrastructureError, NotFound
from osqual.formats.spelling import did_you_mean
from osqual.model import Cluster
from osqual.pipeline.workflow import Engine, scope_for
from osqual.platforms.base import ForkingPlatform
from osqual.store.database import Row
from osqual.teardown import end_resources
from osqual.testing.forks import SavedFailure, next_directory, saved_failures

PREFIX = "debug"


def find_failure(run: Row, test: str) -> SavedFailure:
    """The failure that was saved of a test, by its id or a part of it that fits no other.

    Raises NotFound.
    """
    saved = saved_failures(Path(run["directory"]))
    known = [name for failure in saved for name in failure.tests]
    if not known:
        raise NotFound(
            f"The run {run['id']} has saved no cluster of a failure.",
            resolution="run with `--isolation fork --keep on-failure`",
        )
    fitting = {name for name in known if test in name}
    chosen = test if test in known else fitting.pop() if len(fitting) == 1 else None
    if chosen is None:
        problem = f"{len(fitting)} tests fit" if fitting else "no test fits"
        raise NotFound(
            f"Of the saved failures of the run {run['id']}, {problem} {test!r}"
            f"{'' if fitting else did_you_mean(test, known)}.",
            details="\n".join(known),
        )
    # The last one is that of the last repetition.
    return [failure for failure in saved if chosen in failure.tests][-1]


def enter_failure(run: Row, failure: SavedFailure, engine: Engine) -> tuple[str, Cluster]:
    """Have the cluster go on from where it was saved: the new fork's name, and the cluster.

    It belongs to the run, is kept like what the run kept, and ends with `osqual destroy`.
    """
    directory = next_directory(Path(run["directory"]), PREFIX)
    scope = scope_for(run["id"], directory, engine, *engine.subscribers)
    scope = scope.in_step(PREFIX).inside(directory.name, directory)
    forking = [p for p in engine.parts.platforms.values() if isinstance(p, ForkingPlatform)]
    if not forking:
        raise InfrastructureError("No platform here can go on with a saved cluster.")
    try:
        cluster = forking[0].fork(failure.directory, scope)
    except BaseException:
        shielded = scope.shielded(engine.settings.time_limits.destroy, "ending the fork")
        end_resources(shielded, engine.parts.kinds)
        raise
    engine.store.keep_resources(run["id"])
    return directory.name, cluster
