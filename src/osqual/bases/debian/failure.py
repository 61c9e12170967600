"""What keeps a Debian base from being made, and what to do about it."""

import os
import pwd
import re
import shutil
import tempfile
from pathlib import Path

from osqual.bases.reference import DebianReference
from osqual.cancellation import Cancellation
from osqual.errors import InfrastructureError, InvalidInput, OsqualError, TransientError
from osqual.processes.job import Job
from osqual.processes.process import find_program, run, tail

NEEDED_BYTES = 2_000_000_000
USER_NAMESPACES = (
    "as root: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 "
    "kernel.apparmor_restrict_unprivileged_userns=0 (those that this kernel knows); or run as "
    "root; or name a finished disk image in base_images.json"
)

_UNREACHABLE = "The Debian mirror cannot be reached or does not answer as it should."

_CAUSES = (
    (
        re.compile(r"No space left on device|not enough free space|ENOSPC", re.IGNORECASE),
        "The disk is full.",
        "free about 2 GB in the temporary directory (TMPDIR) and in the cache directory "
        "(`osqual cache prune`)",
    ),
    (
        re.compile(r"NO_PUBKEY|is not signed|no public key|keyring", re.IGNORECASE),
        "The mirror's signature cannot be checked with the keys of this machine.",
        "install or update Debian's keys: apt-get install debian-archive-keyring",
    ),
    (
        re.compile(r"is not valid yet|is expired|Release file .* expired", re.IGNORECASE),
        "The mirror's index is too old or from the future.",
        "check this machine's clock, or name a mirror that is kept up to date: "
        "qemu.debian_mirror in osqual.yaml",
    ),
    (
        re.compile(r"new[ug]idmap|unshare.*(failed|not permitted)|cannot.*namespace"),
        "This machine does not let you make user namespaces.",
        USER_NAMESPACES,
    ),
    (
        re.compile(
            r"Temporary failure resolving|Could not resolve|Could not connect|Connection timed out|"
            r"Connection refused|Network is unreachable|Connection failed|Unable to connect|"
            r"50[0234] [A-Z]|Failed to fetch",
            re.IGNORECASE,
        ),
        _UNREACHABLE,
        "check the network, or name another mirror: qemu.debian_mirror in osqual.yaml or "
        "OSQUAL_DEBIAN_MIRROR",
    ),
)
_COMPLAINT = re.compile(r"[EW]:|Err:|[\w-]+: ")
_NO_SUCH_SUITE = re.compile(r"does not have a Release file|404 +Not Found.*InRelease", re.DOTALL)


def check_possible(cancellation: Cancellation, *, needed_bytes: int = NEEDED_BYTES) -> None:
    """Raise a named error when user namespaces or the space for the work are missing."""
    temporary = Path(tempfile.gettempdir())
    free = shutil.disk_usage(temporary).free
    if free < needed_bytes:
        raise InfrastructureError(
            f"Too little space in {temporary} to make a base image.",
            details=f"{free / 1e9:.1f} GB are free, about {needed_bytes / 1e9:.0f} GB are needed.",
            resolution="free some, or point TMPDIR to a directory with more",
        )
    if os.geteuid() != 0:
        _check_subordinate_ids()
    done = run(["unshare", "--user", "true"], cancellation=cancellation, check=False)
    if done.exit_status != 0:
        raise InfrastructureError(
            "This machine does not let you make user namespaces, which a Debian base needs.",
            details=tail(done.stderr),
            resolution=USER_NAMESPACES,
        )


def _check_subordinate_ids() -> None:
    find_program("newuidmap")
    user = pwd.getpwuid(os.geteuid())
    for path in (Path("/etc/subuid"), Path("/etc/subgid")):
        lines = path.read_text().splitlines() if path.is_file() else []
        if not any(line.split(":")[0] in (user.pw_name, str(user.pw_uid)) for line in lines):
            raise InfrastructureError(
                f"The user {user.pw_name} has no subordinate ids in {path}.",
                resolution="as root: usermod --add-subuids 100000-165535 "
                f"--add-subgids 100000-165535 {user.pw_name}",
            )


def explain_failure(reference: DebianReference, job: Job) -> OsqualError:
    """The error for a build that failed, from the end of its log."""
    log = job.stderr.read_text(errors="replace") if job.stderr.is_file() else ""
    details = tail("\n".join(line for line in log.splitlines() if line.strip()))
    if _NO_SUCH_SUITE.search(log):
        return InvalidInput(
            f"The Debian mirror has no suite {reference.suite}.",
            details=details,
            resolution="correct the suite in base_images.json, or name a mirror that has it: "
            "qemu.debian_mirror in osqual.yaml",
        )
    lines = (line for line in log.splitlines() if _COMPLAINT.match(line))
    errors = "\n".join(lines)
    for pattern, brief, resolution in _CAUSES:
        if pattern.search(errors):
            kind = TransientError if brief is _UNREACHABLE else InfrastructureError
            return kind(
                f"{reference.text} could not be made: {brief[0].lower()}{brief[1:]}",
                details=details,
                resolution=resolution,
            )
    return InfrastructureError(
        f"{reference.text} could not be made.",
        details=details,
        resolution="the end of mmdebstrap's log above says why",
    )
