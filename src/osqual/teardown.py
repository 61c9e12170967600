"""Ending resources, from the journal alone: for each kind, how to see one and how to end it.

Everybody who ends something goes through here: the destroy step, builders that start over,
`osqual destroy`, resume and reap. A new kind is a line in `run.parts`.
"""

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from osqual.effects.scope import RunScope
from osqual.effects.sockets import LINK_NAME
from osqual.errors import (
    CleanupIncomplete,
    InfrastructureError,
    Interrupted,
    OsqualError,
    TimeLimitExceeded,
)
from osqual.processes.job import Job, JobState
from osqual.processes.process import remove_temporaries
from osqual.qemu.vm import RECORD_NAME, Vm, vm_runs
from osqual.ssh.machine import close_connections
from osqual.store.database import Row

JOB_GRACE_S = 120.0
"""How long a job that is asked to end may take: Packer and Terraform clean up behind themselves."""


@dataclass(frozen=True, kw_only=True)
class ResourceKind:
    """What can be done about a resource of one kind, given its row in the journal."""

    is_there: Callable[[Row], bool]
    """Whether something of it still exists."""
    end: Callable[[Row, RunScope], None]
    """End it; nothing happens when it is gone, or when it never came to be."""
    anywhere: bool = False
    """Whether another machine can see and end it too: what is in a cloud, not what is on a host."""
    without_waiting: bool = False
    """Whether it is ended also when there is no time left: nothing that may still run needs it."""


Kinds = Mapping[str, ResourceKind]
"""By name, in the order of ending: first what runs, then what it used."""


def end_resources(scope: RunScope, kinds: Kinds, *, steps: Collection[str] | None = None) -> None:
    """End what the run's journal has open, of all steps or of some; safe to repeat.

    Goes on past failures, then raises CleanupIncomplete naming what is left.
    """
    left = []
    for row in in_order(scope.journal.unended(), kinds):
        if steps is not None and row.get("step", "") not in steps:
            continue
        try:
            _end_one(row, kinds[row["kind"]], scope)
        except Interrupted:
            raise
        except (OsqualError, OSError) as error:
            left.append(f"{describe(row)}: {error}")
    if left:
        raise CleanupIncomplete(
            f"{len(left)} resources of the run {scope.run_id} could not be ended.",
            details="\n".join(left),
            resolution=f"remove what is named above, then run `osqual destroy {scope.run_id}`",
        )


def _end_one(row: Row, kind: ResourceKind, scope: RunScope) -> None:
    try:
        scope.cancellation.check()
    except TimeLimitExceeded:
        if not kind.without_waiting:
            raise
    kind.end(row, scope)
    if kind.is_there(row):
        raise InfrastructureError("It is still there.")
    scope.journal.ended(row["id"])


def in_order(rows: Sequence[Row], kinds: Kinds) -> list[Row]:
    """Rows of known kinds in the order of ending; of one kind the newest first."""
    order = list(kinds)
    known = [row for row in rows if row["kind"] in kinds]
    return sorted(known, key=lambda row: (order.index(row["kind"]), -row["id"]))


def is_there(row: Row, kinds: Kinds) -> bool | None:
    """Whether something of a resource still exists; None when nobody here can tell."""
    kind = kinds.get(row["kind"])
    try:
        return None if kind is None else kind.is_there(row)
    except (OsqualError, OSError):
        return None


def describe(row: Row) -> str:
    """A resource in a few words."""
    where = row.get("external_id") or ""
    return f"{row['kind']} {row['name']} {where}".rstrip()


@contextmanager
def short_lived(kind: str, name: str, path: Path, scope: RunScope) -> Iterator[Path]:
    """A file or directory that the body makes and that is removed when the body ends."""
    owned = scope.own(kind, name, path=str(path))
    try:
        yield path
    finally:
        remove_path(path)
        owned.ended()


def remove_path(path: Path) -> None:
    """Remove a file, a link or a whole directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def set_aside(directory: Path) -> None:
    """Keep what an earlier attempt left as evidence, under another name: `build-1`, `build-2`."""
    if not directory.exists():
        return
    number = 1
    while (target := directory.with_name(f"{directory.name}-{number}")).exists():
        number += 1
    directory.rename(target)


def place_of(row: Row) -> Path:
    """The file or directory that a row is about."""
    place = row["details"].get("path") or row["details"].get("directory")
    if not place:
        raise InfrastructureError("The journal does not say where it is.")
    return Path(place)


def _job_runs(row: Row) -> bool:
    return Job(place_of(row)).state() is JobState.RUNNING


def _end_job(row: Row, scope: RunScope) -> None:
    Job(place_of(row)).end(grace_s=JOB_GRACE_S, cancellation=scope.cancellation)


def _vm_runs(row: Row) -> bool:
    return vm_runs(place_of(row))


def _end_vm(row: Row, scope: RunScope) -> None:
    directory = place_of(row)
    if (directory / RECORD_NAME).exists():
        try:
            Vm.attach(directory, scope).kill()
            return
        except InfrastructureError:
            pass  # its record was cut off, or it does not listen: as any other job then
    Job(directory / "job").end(grace_s=5.0, cancellation=scope.cancellation)


def _end_sockets(row: Row, scope: RunScope) -> None:
    directory = place_of(row)
    close_connections(directory)
    remove_path(directory)
    Path(row["details"].get("link", scope.directory / LINK_NAME)).unlink(missing_ok=True)


def _path_exists(row: Row) -> bool:
    path = place_of(row)
    return path.exists() or path.is_symlink()


def _remove(row: Row, scope: RunScope) -> None:
    remove_path(place_of(row))


def _remove_temporaries(row: Row, scope: RunScope) -> None:
    remove_temporaries(place_of(row))


def _never(row: Row) -> bool:
    """Nothing that is left of it would be in anybody's way."""
    return False


def _leave(row: Row, scope: RunScope) -> None:
    """Ports, groups and shares of a limit are free once the machines that used them are gone."""


_FILES = ResourceKind(is_there=_path_exists, end=_remove)

LOCAL_KINDS: Kinds = {
    "job": ResourceKind(is_there=_job_runs, end=_end_job),
    "vm": ResourceKind(is_there=_vm_runs, end=_end_vm),
    "sockets": ResourceKind(is_there=_path_exists, end=_end_sockets),
    "disk": _FILES,
    "key": replace(_FILES, without_waiting=True),
    "file": _FILES,
    "port": ResourceKind(is_there=_never, end=_leave),
    "network": ResourceKind(is_there=_never, end=_leave),
    "limit": ResourceKind(is_there=_never, end=_leave, anywhere=True),
    # Published files are whole and stay; only what an interrupted write left beside them goes.
    "publication": ResourceKind(is_there=_never, end=_remove_temporaries),
    # A published commit stays, and one that was not pushed is on no branch.
    "commit": ResourceKind(is_there=_never, end=_leave),
}
"""What every part of osqual may make on this machine."""
