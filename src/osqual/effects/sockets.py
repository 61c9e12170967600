"""A short directory for a run's UNIX sockets, whose paths may hold at most 107 bytes.

It is private (0700), has a name that follows from the run directory, and is reachable from there
as `sockets`, so that a later process finds it whatever its environment says.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import threading
from pathlib import Path

from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError

LINK_NAME = "sockets"
# What is left of 107 bytes for file names, ssh's temporary suffix (17) included.
MAX_DIRECTORY_BYTES = 60
_making = threading.Lock()


def socket_directory(scope: RunScope) -> Path:
    """The run's socket directory, made and journalled (kind `sockets`) when it is not there yet."""
    with _making:  # threads that start machines side by side ask at the same moment
        return _find_or_make(scope)


def _find_or_make(scope: RunScope) -> Path:
    found = find_socket_directory(scope.directory)
    if found is not None and _make_private(found.parent):
        found.mkdir(mode=0o700, exist_ok=True)
        return found
    (scope.directory / LINK_NAME).unlink(missing_ok=True)  # it led nowhere: the host restarted
    path = _private_root() / _short_name(scope.directory)
    link = scope.directory / LINK_NAME
    details = {"directory": str(path), "link": str(link)}
    row = scope.journal.intend("sockets", LINK_NAME, details)
    scope.directory.mkdir(parents=True, exist_ok=True)
    link.symlink_to(path)
    path.mkdir(mode=0o700, exist_ok=True)
    scope.journal.created(row, str(path), {})
    return path


def find_socket_directory(run_directory: Path) -> Path | None:
    """Where a run's sockets are, None when it has no such directory."""
    try:
        return (run_directory / LINK_NAME).readlink()
    except OSError:
        return None


def remove_socket_directory(scope: RunScope) -> None:
    """Remove the run's socket directory and the link to it; safe to repeat."""
    path = find_socket_directory(scope.directory)
    if path is not None:
        shutil.rmtree(path, ignore_errors=True)
        (scope.directory / LINK_NAME).unlink(missing_ok=True)
    for row in scope.journal.unended():
        if row["kind"] == "sockets" and row["name"] == LINK_NAME:
            shutil.rmtree(row["details"]["directory"], ignore_errors=True)
            scope.journal.ended(row["id"])


def _short_name(run_directory: Path) -> str:
    return hashlib.sha256(os.fsencode(run_directory.absolute())).hexdigest()[:12]


def _private_root() -> Path:
    """`$XDG_RUNTIME_DIR/osqual`, or a directory of ours below the temporary one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    places = [Path(runtime) / "osqual"] if runtime else []
    places += [Path(tempfile.gettempdir()) / f"osqual-{os.getuid()}"]
    places += [Path("/tmp") / f"osqual-{os.getuid()}"]  # noqa: S108 - checked by _make_private
    for place in places:
        if len(os.fsencode(place)) + 13 <= MAX_DIRECTORY_BYTES and _make_private(place):
            return place
    raise InfrastructureError(
        "There is no private directory for UNIX sockets.",
        details="Tried: " + ", ".join(str(place) for place in places),
        resolution="remove what is there under that name if another user made it, or set "
        "XDG_RUNTIME_DIR to a short directory that only you can write to",
    )


def _make_private(place: Path) -> bool:
    """Make it 0700; False when it is somebody else's or cannot be made."""
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
    except OSError:
        return False
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return ours and not found.st_mode & 0o077
