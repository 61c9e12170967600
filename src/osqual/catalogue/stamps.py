"""Whether many files and directories are as they were, asked of the system."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

from osqual.room import available_cpus


def stamp_of(status: os.stat_result) -> str:
    """What changes whenever a file or directory does. Nobody can set a change time back."""
    return f"{status.st_ctime_ns} {status.st_ino}"


def stamps_of(root: str, paths: Sequence[str]) -> list[str] | None:
    """The stamps of all paths below `root`; None when one of them is gone."""
    prefix = f"{root}/"
    try:
        return [
            f"{status.st_ctime_ns} {status.st_ino}"
            for status in map(os.lstat, [prefix + path for path in paths])
        ]
    except OSError:
        return None


@contextmanager
def beside(check: Callable[[], bool], *, worthwhile: bool) -> Iterator[Callable[[], bool]]:
    """Let a check go on in a process of its own; what is yielded waits for it and says its result.

    Not by a thread: a call takes the system 2 µs and the interpreter as long, and two threads
    that hand the interpreter to each other so often are slower than one. Where there is one
    processor, or there are threads (a child has none of them, but has what they had locked), the
    check is made when its result is asked for. False also means that the process was ended.
    """
    if not worthwhile or threading.active_count() > 1 or available_cpus() < 2:
        yield check
        return
    try:
        child = os.fork()
    except OSError:  # no further process is allowed
        yield check
        return
    if not child:
        _exit_with(check)

    @cache
    def result() -> bool:
        with suppress(ChildProcessError):  # whoever ignores the ends of children is not told
            return os.waitpid(child, 0)[1] == 0
        return False

    try:
        yield result
    finally:
        result()


def _exit_with(check: Callable[[], bool]) -> None:
    """End this process without ending what it has in common with its parent."""
    code = 1
    try:
        code = 0 if check() else 1
    finally:
        os._exit(code)
