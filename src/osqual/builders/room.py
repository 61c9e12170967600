"""What the build of a `qemu` template takes of this machine."""

from osqual.builders.options import QemuOptions
from osqual.cancellation import Cancellation
from osqual.qemu.acceleration import probe
from osqual.qemu.footprint import machines_room
from osqual.room import Room
from osqual.settings import Settings
from osqual.templates.template import PackerTemplate


def machine_room(template: PackerTemplate, settings: Settings, cancellation: Cancellation) -> Room:
    """One machine with the template's memory; what only the builder can read counts as default."""
    written = str(template.builder.get("memory", ""))
    default = int(QemuOptions.model_fields["memory"].default)
    return machines_room(
        count=1,
        memory_mb=int(written) if written.isdecimal() else default,
        accelerator=probe(settings, cancellation).accelerator,
    )
