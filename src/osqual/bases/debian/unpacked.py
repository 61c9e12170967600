"""Where mmdebstrap unpacks a system: a directory of ours, which is gone whatever became of it.

It cannot be in the cache: the root of the namespace may not enter a home directory.
"""

import secrets
import shutil
import tempfile
from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.errors import InfrastructureError
from osqual.processes.process import run

LINK = "unpacked"
REMOVE_TIMEOUT_S = 300.0


def make_unpacked(work: Path) -> Path:
    """Make the directory; `work` has a link to it from before it is there."""
    place = Path(tempfile.gettempdir()) / f"osqual-base-{secrets.token_hex(8)}"
    (work / LINK).symlink_to(place)
    place.mkdir(mode=0o755)
    place.chmod(0o755)  # whatever the umask says: another user works in it
    return place


def remove_work(work: Path, cancellation: Cancellation) -> None:
    """Remove the work directory and what was unpacked for it. Raises InfrastructureError.

    What is unpacked belongs to subordinate ids unless root did it, so mmdebstrap has to help.
    """
    link = work / LINK
    if link.is_symlink():
        place = link.readlink()
        shutil.rmtree(place, ignore_errors=True)
        if place.exists():
            run(
                ["mmdebstrap", "--unshare-helper", "rm", "-rf", "--", str(place)],
                timeout_s=REMOVE_TIMEOUT_S,
                cancellation=cancellation,
                check=False,
            )
            shutil.rmtree(place, ignore_errors=True)
        if place.exists():
            raise InfrastructureError(
                f"What was unpacked in {place} cannot be removed.",
                resolution=f"remove it: mmdebstrap --unshare-helper rm -rf {place}",
            )
    shutil.rmtree(work, ignore_errors=True)
