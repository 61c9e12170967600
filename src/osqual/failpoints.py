"""Boundaries at which a test may kill the process: around journal writes and external calls.

They stand inside the few functions that do such things, so that a new one is covered without
anyone remembering. Off, as always outside of tests, each costs one look at the environment.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRACE = "OSQUAL_FAULT_TRACE"
"""A file that receives the name of every boundary that is passed."""
FAULT = "OSQUAL_FAULT"
"""Where to be killed, as `name#n`: the n-th time that `name` is passed."""


def failpoint(name: str) -> None:
    """Pass a boundary: a test that traces gets its name, and may kill this process here."""
    trace = os.environ.get(TRACE)
    if trace is not None:
        _pass(name, Path(trace))


@contextmanager
def boundary(name: str) -> Iterator[None]:
    """A call that changes something outside: one boundary before it and one after."""
    failpoint(f"before {name}")
    yield
    failpoint(f"after {name}")


def without_faults(environ: dict[str, str]) -> dict[str, str]:
    """The environment for a child: only the orchestrator itself is to be killed."""
    return {name: value for name, value in environ.items() if name not in (TRACE, FAULT)}


def number_boundaries(trace: str) -> list[str]:
    """Every boundary of a trace as `name#n`, in order."""
    counts: dict[str, int] = {}
    numbered = []
    for name in trace.splitlines():
        counts[name] = counts.get(name, 0) + 1
        numbered.append(f"{name}#{counts[name]}")
    return numbered


def _pass(name: str, trace: Path) -> None:
    with trace.open("a", encoding="utf-8") as stream:
        stream.write(f"{name}\n")
    if number_boundaries(trace.read_text(encoding="utf-8"))[-1] == os.environ.get(FAULT):
        os.kill(os.getpid(), signal.SIGKILL)
