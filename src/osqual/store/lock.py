"""One orchestrator per state directory: a lock that the kernel drops when its holder dies."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from osqual.errors import InfrastructureError, StateLocked
from osqual.process import write_atomic
from osqual.running import owner_token


@contextmanager
def orchestrator_lock(state: Path, purpose: str) -> Iterator[None]:
    """Hold the state directory; StateLocked (exit 75) says who holds it otherwise."""
    holder = state / "holder.json"
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = FileLock(state / "lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise StateLocked(
            f"Another osqual holds the state directory {state}.",
            details=_describe(holder),
            resolution="wait for it, stop it with Ctrl-C, or use another state directory "
            "(OSQUAL_STATE_DIR) to work beside it",
        ) from error
    except OSError as error:
        raise InfrastructureError(
            f"The state directory {state} cannot be used.",
            details=str(error),
            resolution="make it writable, free some space, or set OSQUAL_STATE_DIR",
        ) from error
    try:
        facts = {"owner": owner_token(), "since": time.time(), "purpose": purpose}
        write_atomic(holder, json.dumps(facts) + "\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        facts = json.loads(holder.read_text())
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["since"]))
        pid = str(facts["owner"]).partition(":")[0]
        return f"Held by process {pid} since {since}: {facts['purpose']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "The holder has not said who it is."
