"""Which accelerator a machine runs on: KVM when a real kernel comes up in it, else TCG."""

from dataclasses import dataclass
from typing import Literal

from osqual.cancellation import Cancellation
from osqual.settings import Settings

Accelerator = Literal["kvm", "tcg"]


@dataclass(frozen=True, kw_only=True)
class Acceleration:
    """The accelerator to use, how, and why it was chosen."""

    accelerator: Accelerator
    cpu_model: str
    machine: str = "pc"
    thread: str = ""
    reason: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """QEMU's words for it."""
        accel = self.accelerator + (f",thread={self.thread}" if self.thread else "")
        return ("-accel", accel, "-cpu", self.cpu_model)


def kvm(reason: str) -> Acceleration:
    """Hardware acceleration with the host's own processor."""
    return Acceleration(accelerator="kvm", cpu_model="host", reason=reason)


def tcg(reason: str) -> Acceleration:
    """Emulation, which works everywhere; five-level page tables only cost time in it."""
    return Acceleration(accelerator="tcg", cpu_model="max,la57=off", thread="multi", reason=reason)


def probe(settings: Settings, cancellation: Cancellation) -> Acceleration:
    """The accelerator for this host; `settings.qemu.acceleration` decides alone when it is set."""
    forced = settings.qemu.acceleration
    if forced != "auto":
        source = settings.source_of("qemu.acceleration")
        return kvm(f"set by {source}") if forced == "kvm" else tcg(f"set by {source}")
    return tcg("KVM was not probed")
