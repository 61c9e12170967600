"""Ending a QEMU cluster from its run directory and journal alone, as often as one likes."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from osqual.cluster_file import FILE_NAME as CLUSTER_FILE
from osqual.errors import CleanupIncomplete, OsqualError
from osqual.machine import close_connections
from osqual.platforms.qemu_layout import CLUSTER_DIRECTORY
from osqual.qemu.vm import RECORD_NAME, Vm
from osqual.scope import RunScope
from osqual.sockets import find_socket_directory, remove_socket_directory

# Machines first: their disks, ports and sockets are free only then.
_ORDER = ("vm", "disk", "key", "port", "network")

Row = Mapping[str, Any]


def destroy_cluster(scope: RunScope) -> None:
    """End everything of the cluster; goes on past failures, then raises CleanupIncomplete."""
    left: list[str] = []

    def attempt(what: str, action: Callable[[], None]) -> bool:
        try:
            action()
        except (OsqualError, OSError) as error:
            left.append(f"{what}: {error}")
            return False
        return True

    sockets = find_socket_directory(scope.directory)
    if sockets is not None:
        attempt(f"ssh connections in {sockets}", lambda: close_connections(sockets))
    for directory in _vm_directories(scope):
        attempt(f"machine in {directory}", lambda where=directory: _end_machine(where, scope))  # type: ignore[misc]
    for row in _own_rows(scope):
        what = f"{row['kind']} {row['name']}"
        if attempt(what, lambda row=row: _remove(row)):  # type: ignore[misc]
            scope.journal.ended(row["id"])
    attempt("UNIX sockets", lambda: remove_socket_directory(scope))
    (scope.directory / CLUSTER_FILE).unlink(missing_ok=True)
    if left:
        raise CleanupIncomplete(
            "Parts of the cluster could not be removed.",
            details="\n".join(left),
            resolution=f"remove what is named above, then run `osqual destroy {scope.run_id}`",
        )


def _vm_directories(scope: RunScope) -> Iterator[Path]:
    """Where machines of the cluster were started, by their records on disk."""
    root = scope.directory / CLUSTER_DIRECTORY
    for record in sorted(root.glob(f"*/*/{RECORD_NAME}")):
        yield record.parent


def _end_machine(directory: Path, scope: RunScope) -> None:
    Vm.attach(directory, scope).kill()


def _own_rows(scope: RunScope) -> list[Row]:
    """What is left open in the journal, in the order to end it."""
    root = scope.directory / CLUSTER_DIRECTORY
    rows = [row for row in scope.journal.unended() if _is_own(row, root)]
    return sorted(rows, key=lambda row: _ORDER.index(row["kind"]))


def _is_own(row: Row, root: Path) -> bool:
    if row["kind"] not in _ORDER:
        return False
    details = row["details"]
    in_cluster = Path(details.get("directory", "/")).is_relative_to(root)
    return details.get("platform") == "qemu" or (row["kind"] == "vm" and in_cluster)


def _remove(row: Row) -> None:
    """Remove a file or directory; a machine without a record on disk was never started."""
    path = row["details"].get("path")
    if path is None:
        return
    if Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)
