"""Why a machine is not running: QEMU's last words turned into a named error with a way out."""

from dataclasses import dataclass
from pathlib import Path

from osqual.errors import InfrastructureError


class VmFailed(InfrastructureError):
    """A virtual machine did not start, or ended by itself."""


class PortTaken(VmFailed):
    """The host port for ssh was taken by another process in the meantime."""


@dataclass(frozen=True, kw_only=True)
class _Cause:
    phrase: str
    brief: str
    resolution: str
    kind: type[VmFailed] = VmFailed


_CAUSES = (
    _Cause(
        phrase="Could not set up host forwarding rule",
        brief="its host port for ssh is already in use",
        resolution="run again: another port is chosen",
        kind=PortTaken,
    ),
    _Cause(
        phrase='Failed to get "write" lock',
        brief="its disk is in use by another process",
        resolution="end the process that holds the disk (`osqual runs` shows what is running)",
    ),
    _Cause(
        phrase="KVM kernel module",
        brief="KVM is not usable on this machine",
        resolution="set OSQUAL_ACCELERATION=auto, or load the kvm module and allow your user "
        "to open /dev/kvm",
    ),
    _Cause(
        phrase="failed to initialize kvm",
        brief="KVM is not usable on this machine",
        resolution="set OSQUAL_ACCELERATION=auto or tcg",
    ),
    _Cause(
        phrase="cannot set up guest memory",
        brief="there is not enough memory for it",
        resolution="free memory or lower qemu.memory_mb in osqual.yaml",
    ),
    _Cause(
        phrase="Cannot allocate memory",
        brief="there is not enough memory for it",
        resolution="free memory or lower qemu.memory_mb in osqual.yaml",
    ),
    _Cause(
        phrase="No space left on device",
        brief="the host's disk is full",
        resolution="free space on the file system of the state directory",
    ),
)
_KILLED = 128 + 9


def explain_failure(
    name: str,
    *,
    status: str,
    exit_status: int | None,
    stderr: str,
    console: str,
    console_path: Path,
) -> VmFailed:
    """The error for a machine that ended (`exit_status`) or that QEMU stopped (`status`)."""
    kind, reason, resolution = _cause(status, exit_status, stderr)
    parts = [stderr.strip(), f"Last lines of the console:\n{console}" if console else ""]
    return kind(
        f"The machine {name} failed: {reason}.",
        details="\n".join(part for part in parts if part),
        resolution=f"{resolution}; the whole console is in {console_path}".lstrip("; "),
    )


def _cause(status: str, exit_status: int | None, stderr: str) -> tuple[type[VmFailed], str, str]:
    for cause in _CAUSES:
        if cause.phrase in stderr:
            return cause.kind, cause.brief, cause.resolution
    if status == "io-error":
        resolution = "look for a full or failing disk on this machine"
        return VmFailed, "QEMU stopped it because its disk cannot be written", resolution
    if status:
        return VmFailed, f"QEMU stopped it ({status})", "read the console"
    if exit_status is None or exit_status == _KILLED:
        resolution = "see whether the kernel ran out of memory (dmesg)"
        return VmFailed, "QEMU was killed", resolution
    if exit_status == 0:
        return VmFailed, "it powered off by itself", "read the console"
    return VmFailed, f"QEMU ended with exit status {exit_status}", "read QEMU's message above"
