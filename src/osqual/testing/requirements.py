"""Whether a suite's requirements are met, and why not."""

from collections.abc import Iterator

from osqual.model import Role, Suite
from osqual.run.context import RunContext, need
from osqual.ssh.machine import Machine

_LOOK = "uname -m; awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo"
_COUNTS = {
    Role.MASTER: "masters",
    Role.PRIVATE_AGENT: "private agents",
    Role.PUBLIC_AGENT: "public agents",
}
_FIRMWARE_MB = 0.9
"""What a machine sees of its memory: kernel and firmware keep some."""


def unmet(suite: Suite, context: RunContext) -> str:
    """What a suite needs and lacks, by what is known without a machine; empty when nothing."""
    return next(_unmet_by_plan(suite, context), "")


def unmet_by_machines(suite: Suite, context: RunContext) -> str:
    """The same, of what the machines themselves say."""
    wants = suite.requires
    if not wants.memory_mb and not wants.architectures:
        return ""
    for machine in context.machines.values():
        architecture, memory_mb = _look_at(machine)
        if wants.architectures and architecture not in wants.architectures:
            wanted = " or ".join(wants.architectures)
            return f"it requires {wanted}, and {machine.node.name} is {architecture}"
        if memory_mb < wants.memory_mb * _FIRMWARE_MB:
            return (
                f"it requires {wants.memory_mb} MB of memory, and {machine.node.name} has "
                f"{memory_mb}"
            )
    return ""


def _unmet_by_plan(suite: Suite, context: RunContext) -> Iterator[str]:
    wants = suite.requires
    platform = context.configuration.dimensions.get("platform", "")
    if wants.platforms and platform not in wants.platforms:
        yield f"it requires the platform {' or '.join(wants.platforms)}"
    roles = [role for _, role in need(context.inputs).topology.names()]
    for role, count in wants.nodes.items():
        if roles.count(role) < count:
            yield f"it requires {count} {_COUNTS[role]}, and the cluster has {roles.count(role)}"


def _look_at(machine: Machine) -> tuple[str, int]:
    lines = machine.run(["sh", "-c", _LOOK]).stdout.split()
    architecture, memory = [*lines, "", ""][:2]
    return architecture, int(memory) if memory.isdecimal() else 0
