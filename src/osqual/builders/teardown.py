"""Ending what builds of a run left behind: kept on purpose, or by a process that was killed.

Works from the run directory and the journal alone, and can be repeated.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from osqual.builders.layers import LayerStore
from osqual.errors import CleanupIncomplete, OsqualError
from osqual.process import Job
from osqual.qemu.vm import RECORD_NAME, Vm
from osqual.scope import RunScope

BUILD_DIRECTORY = "build"
# Files of a build that are no evidence.
LEFTOVERS = ("seed", "output", "packer_cache", "disk.qcow2", "base.qcow2", "base.raw")
PACKER_GRACE_S = 120.0


def end_builds(scope: RunScope) -> None:
    """End machines and jobs of the run's builds and remove their disks, keys and half layers.

    Logs stay. Goes on past failures and raises CleanupIncomplete with what is left.
    """
    left: list[str] = []
    root = scope.directory / BUILD_DIRECTORY

    def attempt(what: str, action: Callable[[], object]) -> bool:
        try:
            action()
        except (OsqualError, OSError) as error:
            left.append(f"{what}: {error}")
            return False
        return True

    for record in sorted(root.glob(f"*/{RECORD_NAME}")):
        attempt(f"machine in {record.parent}", Vm.attach(record.parent, scope).kill)
    if (root / "packer" / "job.json").exists():
        attempt("packer", lambda: Job(root / "packer").end(grace_s=PACKER_GRACE_S))
    for name in LEFTOVERS:
        attempt(str(root / name), lambda path=root / name: _remove(path))  # type: ignore[misc]
    attempt("layers", LayerStore(scope.settings.directories.cache).remove_unfinished)
    if not left:
        _close_rows(scope, root)
        return
    raise CleanupIncomplete(
        "Parts of a build could not be removed.",
        details="\n".join(left),
        resolution=f"remove what is named above, then run `osqual destroy {scope.run_id}`",
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _close_rows(scope: RunScope, root: Path) -> None:
    """Everything of the run's builds has ended; say so where a row is still open."""
    for row in scope.journal.unended():
        places = [row["details"].get(name) for name in ("path", "directory")]
        if any(place and Path(place).is_relative_to(root) for place in places):
            scope.journal.ended(row["id"])
