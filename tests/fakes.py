"""Second implementations of the parts a run is made of: no machines, and failures on demand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from osqual.builders.base import BuildRequest
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import CleanupIncomplete, InfrastructureError
from osqual.events import EventKind
from osqual.inventory.collecting import pack
from osqual.model import (
    Cluster,
    Image,
    Node,
    Outcome,
    Role,
    SshIdentity,
    SuiteResult,
    TestResult,
)
from osqual.mutes.pattern import matches_test
from osqual.platforms.base import ProvisionRequest
from osqual.processes.process import Completed
from osqual.processes.programs import FoundProgram, Program
from osqual.room import Room
from osqual.run.parts import Parts
from osqual.settings import Settings
from osqual.store.database import Row
from osqual.suites.base import Listing, SuiteRequest
from osqual.teardown import LOCAL_KINDS, ResourceKind, end_resources
from osqual.templates.template import PackerTemplate

PROGRAM = FoundProgram(
    program=Program(name="fake-emulator", purpose="tests", version_argv=()),
    path="/usr/bin/fake-emulator",
    version="1.2.3",
)
IMAGE_ID = "sha256:" + "a" * 64
INVENTORY = "osqual-inventory\t1\tdisk\nend\tdisk\n"


@dataclass
class FakeBuilder:
    """Builds an image id at once, or raises `failure`."""

    failure: Exception | None = None
    refusal: Exception | None = None
    takes: Room = field(default_factory=Room)
    release_failure: Exception | None = None
    image_id: str = IMAGE_ID
    inventory: str | None = INVENTORY
    """What the image holds; None for one that nobody looked at."""
    base_inventory: str = INVENTORY
    built: list[BuildRequest] = field(default_factory=list)
    released: list[Image] = field(default_factory=list)

    def validate(self, request: BuildRequest, scope: RunScope) -> None:
        if self.refusal is not None:
            raise self.refusal

    def room(self, request: BuildRequest, settings: Settings, cancellation: Cancellation) -> Room:
        return self.takes

    def find(self, request: BuildRequest, scope: RunScope) -> Image | None:
        return None

    def build(self, request: BuildRequest, scope: RunScope) -> Image:
        if self.failure is not None:
            raise self.failure
        self.built.append(request)
        record = {
            "name": "qemu",
            "builder_type": "qemu",
            "build_time": 1,
            "files": None,
            "artifact_id": f"local:{self.image_id}",
            "packer_run_uuid": f"uuid-{len(self.built)}",
        }
        image = Image(ids={"local": self.image_id}, build_record=record)
        if self.inventory is None:
            return image
        kept = scope.settings.directories.data
        kept.mkdir(parents=True, exist_ok=True)
        places = kept / "inventory.gz", kept / "base-inventory.gz"
        for place, text in zip(places, (self.inventory, self.base_inventory), strict=True):
            place.write_bytes(pack(text))
        return replace(image, inventory=places[0], base_inventory=places[1])

    def release(self, template: PackerTemplate, image: Image, scope: RunScope) -> None:
        self.released.append(image)
        if self.release_failure is not None:
            raise self.release_failure


@dataclass
class FakePlatform:
    """A cluster that exists only in the journal; remembers whether it was destroyed."""

    failure: Exception | None = None
    leaks: bool = False
    running: set[str] = field(default_factory=set)
    destroyed: int = 0
    on_provision: Any = None
    takes: Room = field(default_factory=Room)
    unwritable: bool = False
    """Nothing can be copied to its machines."""
    consoles: Path | None = None
    """Where its machines' consoles are, by name."""

    def validate(self, request: ProvisionRequest, scope: RunScope) -> None:
        pass

    def room(
        self, request: ProvisionRequest, settings: Settings, cancellation: Cancellation
    ) -> Room:
        return self.takes

    def provision(self, request: ProvisionRequest, image: Image, scope: RunScope) -> Cluster:
        nodes = []
        for number, (name, role) in enumerate(request.topology.names()):
            row = scope.journal.intend("vm", name, {})
            self.running.add(name)
            scope.journal.created(row, f"fake-{name}", {})
            nodes.append(
                Node(
                    name=name,
                    role=role,
                    ssh_host="127.0.0.1",
                    ssh_port=10000 + number,
                    ssh_user=request.ssh_user,
                    private_address=f"10.0.0.{number + 1}",
                    public_address="127.0.0.1",
                    console=None if self.consoles is None else self.consoles / name,
                )
            )
        if self.on_provision is not None:
            self.on_provision(scope)
        if self.failure is not None:
            raise self.failure
        key = scope.directory / "key"
        identity = SshIdentity(private_key=key, public_key=key, known_hosts=key)
        return Cluster(nodes=tuple(nodes), identity=identity)

    def accelerator(self, scope: RunScope) -> str:
        return "tcg"

    def destroy(self, scope: RunScope) -> None:
        self.destroyed += 1
        end_resources(scope, {"vm": self.machines})

    @property
    def machines(self) -> ResourceKind:
        """How the journal's rows of machines are looked at and ended."""

        def end(row: Row, scope: RunScope) -> None:
            if self.leaks:
                raise CleanupIncomplete("left", details=", ".join(self.running))
            self.running.discard(row["name"])

        return ResourceKind(is_there=lambda row: row["name"] in self.running, end=end)


@dataclass
class FakeSuites:
    """A suite kind with one result per suite."""

    outcome: Outcome = Outcome.PASS
    failing: set[str] = field(default_factory=set)
    """Suites with a test that fails, whatever `outcome` says."""
    dying: set[str] = field(default_factory=set)
    """Suites that do not come to their end."""
    test_id: str = "test_it"
    tests: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    """Tests of the integration suite, each with its outcome and message."""
    good_again: dict[str, int] = field(default_factory=dict)
    """Failing tests, and in which attempt they pass."""
    ran: list[SuiteRequest] = field(default_factory=list)

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        self.ran.append(request)
        name = request.suite.name
        outcome = Outcome.FAIL if name in self.failing else self.outcome
        result = TestResult(suite=name, test_id=self.test_id, outcome=outcome)
        problem = "it died" if f"{name}{request.part}" in self.dying else ""
        if name == "integration" and self.tests:
            return self._choose(request, problem, scope)
        return SuiteResult(suite=name, results=(result,), problem=problem)

    def _choose(self, request: SuiteRequest, problem: str, scope: RunScope) -> SuiteResult:
        """As a kind does that can leave tests out."""
        name, selection = request.suite.name, request.selection
        muted = [t for t in self.tests if any(matches_test(p, t) for p in selection.leave_out)]
        run = selection.only or [test for test in self.tests if test not in muted]
        again, _, number = request.part.partition("-")
        attempt = int(number.partition("-")[0] if again == "rerun" else 0) + 1
        results = [
            TestResult(
                suite=name,
                test_id=test,
                outcome=Outcome.PASS if self.good_again.get(test, 99) <= attempt else outcome,
                message=message,
            )
            for test, (outcome, message) in self.tests.items()
            if test in (request.shard.take(list(run)) if request.shard else run)
        ]
        for result in results:
            outcome = result.outcome.value
            scope.emit(EventKind.TEST, suite=name, test_id=result.test_id, outcome=outcome)
        left_out = () if selection.only else tuple(muted)
        return SuiteResult(suite=name, results=tuple(results), problem=problem, left_out=left_out)


@dataclass
class FakeMachine:
    """A node that answers what a run asks of every node."""

    node: Node
    identity: SshIdentity
    control_dir: Path
    cancellation: Cancellation
    unwritable: bool = False

    def put_tree(self, local: Path, remote: str, *, sudo: bool = False) -> None:
        if self.unwritable:
            raise InfrastructureError(f"{self.node.name} takes no files")

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        return Completed(argv=tuple(argv), exit_status=0, stdout="6.1.0\nDebian 12\n", stderr="")

    def get(self, remote: str, local: Path, *, sudo: bool = False) -> None:
        if " " in remote:
            raise InfrastructureError(f"no {remote}")
        local.write_text(remote)

    def reboot(self, timeout_s: float) -> None:
        with (self.control_dir / f"{self.node.name}.boots").open("a") as boots:
            boots.write("again\n")

    def close(self) -> None:
        pass


def fake_parts(builder: FakeBuilder, platform: FakePlatform, suites: FakeSuites) -> Parts:
    """Parts made of these fakes."""
    machine: Any = partial(FakeMachine, unwritable=platform.unwritable)
    kinds: Mapping[str, FakeSuites] = {"pytest": suites, "command": suites}
    return Parts(
        builders={"layered": builder, "packer": builder},
        platforms={"qemu": platform},
        suite_kinds=kinds,
        open_machine=machine,
        inspect_programs=lambda: [PROGRAM],
        kinds={**LOCAL_KINDS, "vm": platform.machines},
    )


@dataclass
class ForkingFakePlatform(FakePlatform):
    """A platform that copies its clusters, and tells in which order things happened to them."""

    story: list[str] = field(default_factory=list)
    fork_failure: Exception | None = None

    def hold(self, scope: RunScope) -> None:
        self.story.append("hold")

    def go_on(self, scope: RunScope) -> None:
        self.story.append(f"go on {scope.directory.name}".replace(scope.run_id, "run"))

    def fork(self, source: Path, scope: RunScope) -> Cluster:
        name = scope.directory.name
        row = scope.journal.intend("vm", name, {})
        self.running.add(name)
        scope.journal.created(row, name, {})
        self.story.append(f"begin {name}")
        if self.fork_failure is not None:
            raise self.fork_failure
        node = Node(
            name="master-1",
            role=Role.MASTER,
            ssh_host="127.0.0.1",
            ssh_port=20000,
            ssh_user=name,
            private_address="10.0.0.1",
            public_address="127.0.0.1",
        )
        key = source / "key"
        identity = SshIdentity(private_key=key, public_key=key, known_hosts=key)
        return Cluster(nodes=(node,), identity=identity)

    def save(self, scope: RunScope) -> None:
        row = scope.journal.intend("file", "memory", {"path": str(scope.directory / "ram")})
        (scope.directory / "ram").touch()
        scope.journal.created(row, "ram", {})
        self.story.append(f"save {scope.directory.name}")


@dataclass
class ListingFakeSuites(FakeSuites):
    """Suites whose tests can be run one by one."""

    unlistable: str = ""
    clusters: dict[str, str] = field(default_factory=dict)
    """Test -> the ssh user of the cluster that it ran on, which names the fork."""

    def list_tests(self, request: SuiteRequest, scope: RunScope) -> Listing:
        muted = [
            t for t in self.tests if any(matches_test(p, t) for p in request.selection.leave_out)
        ]
        wanted = tuple(test for test in self.tests if test not in muted)
        return Listing(tests=wanted, left_out=tuple(muted), problem=self.unlistable)

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        for test in request.selection.only or self.tests:
            self.clusters[test] = request.cluster.nodes[0].ssh_user
            if request.on_failure is not None and self.tests[test][0] is Outcome.FAIL:
                request.on_failure(test)
        return super().run(request, scope)
