"""One orchestrator per state directory: a lock that the kernel drops when its holder dies."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from osqual.errors import InfrastructureError, StateLocked
from osqual.processes.process import write_atomic
from osqual.processes.running import owner_token


@contextmanager
def orchestrator_lock(state: Path, purpose: str) -> Iterator[None]:
    """Hold the state directory; StateLocked (exit 75) says who holds it otherwise."""
    holder = state / "holder.json"
    with ExitStack() as stack:
        try:
            state.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_locked(state / "lock"))
            facts = {"owner": owner_token(), "since": time.time(), "purpose": purpose}
            write_atomic(holder, json.dumps(facts) + "\n")
        except BlockingIOError as error:
            raise StateLocked(
                f"Another osqual holds the state directory {state}.",
                details=_describe(holder),
                resolution="wait for it, stop it with Ctrl-C, or use another state directory "
                "(OSQUAL_STATE_DIR) to work beside it",
            ) from error
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise _no_locks(state, error) from error
            raise InfrastructureError(
                f"The state directory {state} cannot be used.",
                details=str(error),
                resolution="make it writable, free some space, or set OSQUAL_STATE_DIR",
            ) from error
        stack.callback(holder.unlink, missing_ok=True)
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """flock(2): no library falls back to a file that would stay behind after a crash."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def _no_locks(state: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"The file system of the state directory {state} has no locks.",
        details=f"{error}\nNetwork file systems may be mounted without them.",
        resolution="set OSQUAL_STATE_DIR to a directory on a local disk",
    )


def _describe(holder: Path) -> str:
    try:
        facts = json.loads(holder.read_text())
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["since"]))
        pid = str(facts["owner"]).partition(":")[0]
        return f"Held by process {pid} since {since}: {facts['purpose']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "The holder has not said who it is."
