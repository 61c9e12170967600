"""Ending what a run left on this machine, from its journal alone: one way for each kind."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from osqual.errors import CleanupIncomplete, OsqualError
from osqual.process import Job
from osqual.qemu.vm import RECORD_NAME, Vm
from osqual.scope import RunScope
from osqual.sockets import remove_socket_directory

Row = Mapping[str, Any]
Ender = Callable[[Row, RunScope], None]


def end_leftovers(scope: RunScope) -> None:
    """End every resource that the run's journal still has open; safe to repeat.

    Goes on past failures, then raises CleanupIncomplete naming what could not be ended.
    """
    left = []
    rows = [row for row in scope.journal.unended() if row["kind"] in ENDERS]
    for row in sorted(rows, key=lambda row: list(ENDERS).index(row["kind"])):
        try:
            ENDERS[row["kind"]](row, scope)
        except (OsqualError, OSError) as error:
            left.append(f"{row['kind']} {row['name']}: {error}")
        else:
            scope.journal.ended(row["id"])
    remove_socket_directory(scope)
    if left:
        raise CleanupIncomplete(
            f"{len(left)} resources of the run {scope.run_id} could not be ended.",
            details="\n".join(left),
            resolution=f"remove what is named above, then run `osqual destroy {scope.run_id}`",
        )


def _end_vm(row: Row, scope: RunScope) -> None:
    directory = Path(row["details"]["directory"])
    if (directory / RECORD_NAME).exists():
        Vm.attach(directory, scope).kill()


def _end_job(row: Row, scope: RunScope) -> None:
    directory = Path(row["details"]["directory"])
    if (directory / "job.json").exists():
        Job(directory).end()


def _remove(row: Row, scope: RunScope) -> None:
    path = Path(row["details"].get("path") or row["details"].get("directory") or "")
    if path == Path():
        return
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _nothing_to_end(row: Row, scope: RunScope) -> None:
    """Ports and groups are free once the machines that used them are gone."""


# In the order of ending: whatever runs first, then what it used.
ENDERS: Mapping[str, Ender] = {
    "job": _end_job,
    "vm": _end_vm,
    "disk": _remove,
    "key": _remove,
    "file": _remove,
    "port": _nothing_to_end,
    "network": _nothing_to_end,
}
