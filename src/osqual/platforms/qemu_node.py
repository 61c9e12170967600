"""One machine of a QEMU cluster: the facts that it is started from, kept beside its disk.

Whoever continues from its saved memory, in whichever process, needs a machine that is its equal.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from osqual.cluster_file import CLUSTER_DIRECTORY
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError
from osqual.processes.process import write_atomic
from osqual.qemu.acceleration import Acceleration
from osqual.qemu.failure import PortTaken
from osqual.qemu.ports import Group, reserved_ports
from osqual.qemu.revival import GENERATION
from osqual.qemu.seed import Seed
from osqual.qemu.vm import Disk, SocketNic, UserNic, Vm, VmSpec

FILE_NAME = "machine.json"
PORT_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class NodeMachine:
    """A node's machine. `disk` is what it writes to now; `vm` where it was started, empty before.

    `directory` is the node's own, in which the rest stands.
    """

    name: str
    directory: Path
    memory_mb: int
    cpus: int
    acceleration: Acceleration
    outside_mac: str
    inside_mac: str
    seed: Seed
    disk: Path
    vm: str = ""

    @property
    def console(self) -> Path:
        """What it writes on its serial line."""
        return self.directory / "console.log"

    def spec(self, port: int, group: Group, *, incoming: bool) -> VmSpec:
        """The machine for QEMU; but for port and group the same for all that share its memory."""
        return VmSpec(
            name=self.name,
            memory_mb=self.memory_mb,
            cpus=self.cpus,
            acceleration=self.acceleration,
            disks=(Disk(path=self.disk),),
            nics=(
                UserNic(host_port=port, mac=self.outside_mac),
                SocketNic(group=group.address, port=group.port, mac=self.inside_mac),
            ),
            serial_log=self.console,
            seed=self.seed,
            extra_args=GENERATION,
            incoming=incoming,
        )

    def attach(self, scope: RunScope) -> Vm:
        """The machine as it runs. Raises InfrastructureError when it was never started."""
        return Vm.attach(self.directory / self.vm, scope)

    def write(self) -> None:
        """Keep the facts in the node's directory."""
        write_atomic(self.directory / FILE_NAME, json.dumps(self.document(), indent=2) + "\n")

    def document(self) -> dict[str, Any]:
        """The facts as JSON."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return found

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "NodeMachine":
        """What `document` made. Raises KeyError, ValueError or TypeError."""
        seed = document["seed"]
        return cls(
            **{
                **document,
                "directory": Path(document["directory"]),
                "disk": Path(document["disk"]),
                "acceleration": Acceleration(**document["acceleration"]),
                "seed": Seed(
                    iso=Path(seed["iso"]),
                    fw_cfg={name: Path(path) for name, path in seed["fw_cfg"].items()},
                ),
            }
        )


def read_machines(run_directory: Path) -> tuple[NodeMachine, ...]:
    """The machines of a cluster by their files, by name. Raises InfrastructureError for none."""
    files = sorted((run_directory / CLUSTER_DIRECTORY).glob(f"*/{FILE_NAME}"))
    try:
        found = tuple(NodeMachine.parse(json.loads(file.read_text())) for file in files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfrastructureError(f"{run_directory} does not describe machines: {error}") from error
    if not found:
        raise InfrastructureError(f"There are no machines in {run_directory}.")
    return found


def start_machine(
    machine: NodeMachine, group: Group, scope: RunScope, *, incoming: bool = False
) -> tuple[NodeMachine, Vm, int]:
    """Start it on a free port; another program may take one first, then the next is tried."""
    for attempt in range(PORT_ATTEMPTS):
        started = replace(machine, vm=f"vm{attempt or ''}")
        with reserved_ports(1) as (port,):
            details = {"platform": "qemu", "node": machine.name}
            row = scope.journal.intend("port", str(port), details)
            try:
                spec = started.spec(port, group, incoming=incoming)
                vm = Vm.start(spec, started.directory / started.vm, scope)
            except PortTaken:
                scope.journal.ended(row)
                continue
            scope.journal.created(row, str(port), {})
            started.write()
            return started, vm, port
    raise InfrastructureError(
        f"No host port could be kept for {machine.name}.",
        details=f"{PORT_ATTEMPTS} were free and then taken by other programs.",
        resolution="run again; look for a program that opens many ports of 127.0.0.1",
    )
