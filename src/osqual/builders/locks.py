"""File locks with a shared form, so that a layer can be used by many and removed by none of them.

flock(2): the kernel drops them when the process ends, however it ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osqual.effects.scope import RunScope

POLL_S = 0.2


class FileHold:
    """One open lock file; locked at most once at a time, released by `close`."""

    def __init__(self, path: Path) -> None:
        """Open (and make) the lock file; nothing is locked yet."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_lock(self, *, shared: bool = False) -> bool:
        """Lock, or change the kind of lock held, without waiting."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)


@contextmanager
def wait_for(path: Path, scope: RunScope, what: str) -> Iterator[None]:
    """Hold the lock alone; another holder is waited for, and said once to be."""
    hold = FileHold(path)
    try:
        told = False
        while not hold.try_lock():
            if not told:
                scope.progress(f"waiting for {what}")
                told = True
            scope.cancellation.sleep(POLL_S)
        yield
    finally:
        hold.close()
