"""A world that outlives its orchestrator: fakes whose machines and suites are real processes.

`sleep` stands in for QEMU; jobs, journal, teardown and store are osqual's own.
"""

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osqual.builders.base import BuildRequest
from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import open_catalogue
from osqual.cli.running import Showing, conduct
from osqual.cluster_file import read_cluster, write_cluster
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import OsqualError
from osqual.failpoints import FAULT, TRACE
from osqual.model import Cluster, Image, Node, SshIdentity, SuiteResult
from osqual.operations.prospects import prospects_of, resumable
from osqual.operations.reap import find_remains, reap
from osqual.pipeline.resume import resume
from osqual.pipeline.workflow import Engine, RunResult, qualify
from osqual.platforms.base import ProvisionRequest
from osqual.processes.job import Job, JobState
from osqual.processes.process import Completed, write_atomic
from osqual.processes.running import Marked, marked_processes
from osqual.processes.signals import cancel_on_signals
from osqual.report.lasting import LastingConsole
from osqual.room import Room
from osqual.run.context import RunOptions
from osqual.run.parts import Parts
from osqual.settings import Settings, load_settings
from osqual.ssh.machine import ConnectionLost
from osqual.store.lock import orchestrator_lock
from osqual.store.store import Store, open_store
from osqual.suites import job as suite_job
from osqual.suites.base import SuiteRequest
from osqual.suites.junit import read_junit
from osqual.teardown import LOCAL_KINDS, end_resources, set_aside, short_lived
from osqual.templates.template import PackerTemplate
from tests.stores import new_store

LEAF = "debian/12/qemu/thing-1.0/docker-20.10"
IMAGE_ID = "sha256:" + "a" * 64
TEMPLATE = {
    "builders": [{"type": "qemu", "ssh_username": "admin"}],
    "provisioners": [{"type": "shell", "script": "install.sh"}],
}
PROFILE = 'num_of_masters = "1"\nnum_of_private_agents = "1"\nnum_of_public_agents = "0"\n'
PRODUCT = """\
description: a thing
suites:
  - {name: integration, stage: integration, kind: command, path: suite.sh}
  - {name: framework, stage: framework, kind: command, path: suite.sh}
"""
SUITE = """\
#!/bin/sh
echo "$1" >> "$EXECUTIONS"
sleep 0.05
cat > "$2.part" <<'END'
<testsuites><testsuite name="s" tests="1"><testcase classname="c" name="test_it"/></testsuite>
</testsuites>
END
mv "$2.part" "$2"
"""


def memory_directory() -> Path:
    """In memory where that is possible: thousands of transactions are flushed. To be removed."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))


class DurableBuilder:
    """Writes a seed and a disk, has a machine run beside them, and leaves an image file."""

    def validate(self, request: BuildRequest, scope: RunScope) -> None:
        pass

    def room(self, request: BuildRequest, settings: Settings, cancellation: Cancellation) -> Room:
        return Room()

    def find(self, request: BuildRequest, scope: RunScope) -> Image | None:
        return None

    def build(self, request: BuildRequest, scope: RunScope) -> Image:
        directory = scope.directory / "build"
        if directory.exists():
            end_resources(scope, LOCAL_KINDS, steps={scope.step})
            set_aside(directory)
        file = scope.settings.directories.data / "image.qcow2"
        file.parent.mkdir(parents=True, exist_ok=True)
        with short_lived("key", "build seed", directory / "seed", scope) as seed:
            seed.mkdir(parents=True)
            write_atomic(seed / "key", "secret")
            with short_lived("disk", "build disk", directory / "disk.qcow2", scope) as disk:
                write_atomic(disk, "data")
                with scope.resource("vm", "build", directory=str(directory / "vm")) as vm:
                    job = Job.start(directory / "vm" / "job", ["sleep", "900"])
                    vm.created(str(job.pid))
                    job.end(grace_s=5)
                write_atomic(file, "image")
        record = {
            "name": "qemu",
            "builder_type": "qemu",
            "build_time": 1,
            "files": None,
            "artifact_id": f"local:{IMAGE_ID}",
            "packer_run_uuid": f"uuid-{scope.run_id}",
        }
        return Image(ids={"local": IMAGE_ID}, file=file, build_record=record)

    def release(self, template: PackerTemplate, image: Image, scope: RunScope) -> None:
        pass


class DurablePlatform:
    """A cluster of detached processes, with keys and disks."""

    def validate(self, request: ProvisionRequest, scope: RunScope) -> None:
        pass

    def room(
        self, request: ProvisionRequest, settings: Settings, cancellation: Cancellation
    ) -> Room:
        return Room()

    def provision(self, request: ProvisionRequest, image: Image, scope: RunScope) -> Cluster:
        root = scope.directory / "cluster"
        socket_directory(scope)
        keys = scope.own("key", "ssh keys", path=str(root / "keys"))
        (root / "keys").mkdir(parents=True)
        write_atomic(root / "keys" / "id_ed25519", "secret")
        keys.created(str(root / "keys"))
        nodes = []
        for number, (name, role) in enumerate(request.topology.names()):
            place = root / name
            disk = scope.own("disk", name, path=str(place / "disk.qcow2"))
            place.mkdir()
            write_atomic(place / "disk.qcow2", "data")
            disk.created(str(place / "disk.qcow2"))
            vm = scope.own("vm", name, directory=str(place / "vm"))
            vm.created(str(Job.start(place / "vm" / "job", ["sleep", "900"]).pid))
            nodes.append(
                Node(
                    name=name,
                    role=role,
                    ssh_host="127.0.0.1",
                    ssh_port=10000 + number,
                    ssh_user=request.ssh_user,
                    private_address=f"10.0.0.{number + 1}",
                    public_address="127.0.0.1",
                    console=place / "console.log",
                )
            )
        key = root / "keys" / "id_ed25519"
        identity = SshIdentity(private_key=key, public_key=key, known_hosts=key)
        cluster = Cluster(nodes=tuple(nodes), identity=identity)
        write_cluster(scope.directory / "cluster.json", cluster)
        return cluster

    def accelerator(self, scope: RunScope) -> str:
        return "tcg"

    def hold(self, scope: RunScope) -> None:
        if not (scope.directory / "cluster" / "saved").exists():
            self.save(scope)

    def go_on(self, scope: RunScope) -> None:
        pass

    def save(self, scope: RunScope) -> None:
        path = scope.directory / "cluster" / "memory.qcow2"
        memory = scope.own("file", "memory", path=str(path))
        write_atomic(path, "data")
        memory.created(str(path))
        write_atomic(scope.directory / "cluster" / "saved", "")

    def fork(self, source: Path, scope: RunScope) -> Cluster:
        """The nodes once more: processes and disks of their own."""
        assert (source / "cluster" / "saved").exists()
        original = read_cluster(source / "cluster.json")
        socket_directory(scope)
        nodes = []
        for node in original.nodes:
            place = scope.directory / "cluster" / node.name
            disk = scope.own("disk", node.name, path=str(place / "disk.qcow2"))
            place.mkdir(parents=True)
            write_atomic(place / "disk.qcow2", "data")
            disk.created(str(place / "disk.qcow2"))
            vm = scope.own("vm", node.name, directory=str(place / "vm"))
            vm.created(str(Job.start(place / "vm" / "job", ["sleep", "900"]).pid))
            nodes.append(replace(node, console=place / "console.log"))
        return Cluster(nodes=tuple(nodes), identity=original.identity)

    def destroy(self, scope: RunScope) -> None:
        end_resources(scope, LOCAL_KINDS)
        (scope.directory / "cluster.json").unlink(missing_ok=True)


class DurableSuites:
    """Runs the suite's file as a job, and reads the report that it leaves."""

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        junit, name = request.directory / "junit.xml", request.suite.name
        executions = scope.settings.directories.state.parent / "executions"
        end = suite_job.run_job(
            f"suite-{name}",
            [str(request.suite.path), name, str(junit)],
            directory=request.directory / "job",
            cwd=request.directory,
            env={"EXECUTIONS": str(executions)},
            scope=scope,
            on_poll=lambda: None,
        )
        report = read_junit(junit, name)
        return SuiteResult(
            suite=name,
            results=report.results,
            exit_status=end.exit_status,
            duration_s=end.duration_s,
            problem=end.death or report.problem,
        )


@dataclass
class DurableMachine:
    """A node that answers as long as its process runs."""

    node: Node
    identity: SshIdentity
    control_dir: Path
    cancellation: Cancellation

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        assert self.node.console is not None
        if Job(self.node.console.parent / "vm" / "job").state() is not JobState.RUNNING:
            raise ConnectionLost(f"{self.node.name} does not answer.")
        return Completed(argv=tuple(argv), exit_status=0, stdout="6.1.0\nDebian 12\n", stderr="")

    def close(self) -> None:
        pass


def durable_parts() -> Parts:
    """Parts made of these, with osqual's own ways to end them."""
    machine: Any = DurableMachine
    suites = DurableSuites()
    return Parts(
        builders={"layered": DurableBuilder()},
        platforms={"qemu": DurablePlatform()},
        suite_kinds={"command": suites, "pytest": suites},
        open_machine=machine,
        inspect_programs=lambda: (),
        kinds=LOCAL_KINDS,
    )


@dataclass(frozen=True)
class DurableWorld:
    """A catalogue with one configuration, and a state directory with an empty store."""

    root: Path
    url: str = ""
    """The store's; empty for SQLite in the state directory."""

    @classmethod
    def make(cls, root: Path, url: str = "") -> "DurableWorld":
        world = cls(root, url)
        world.leaf.mkdir(parents=True)
        (world.leaf / "packer.json").write_text(json.dumps(TEMPLATE))
        (world.leaf / "install.sh").write_text("#!/bin/sh\n")
        (world.leaf / "cluster_profile.tfvars").write_text(PROFILE)
        (world.leaf.parents[1] / "base_images.json").write_text('{"local": "debian:bookworm"}')
        product = world.catalogue / "products" / "thing"
        product.mkdir(parents=True)
        (product / "product.yaml").write_text(PRODUCT)
        (product / "suite.sh").write_text(SUITE)
        (product / "suite.sh").chmod(0o755)
        (world.catalogue / "osqual.yaml").write_text("products: products\n")
        new_store(world.settings).close()
        return world

    def suites_take(self, seconds: float) -> None:
        """Have both suites last so long, from now on."""
        suite = self.catalogue / "products" / "thing" / "suite.sh"
        text, count = re.subn(r"(?m)^sleep \S+$", f"sleep {seconds}", suite.read_text())
        assert count == 1
        suite.write_text(text)

    def add_release(self, release: str) -> Path:
        """Another configuration, which shares the first one's recipe."""
        leaf = self.catalogue / LEAF.replace("thing-1.0", f"thing-{release}")
        shutil.copytree(self.leaf, leaf)
        return leaf

    def copy(self, root: Path) -> "DurableWorld":
        """The same elsewhere: quicker than making a store."""
        shutil.copytree(self.root, root)
        return DurableWorld(root, self.url)

    @property
    def catalogue(self) -> Path:
        return self.root / "catalogue"

    @property
    def leaf(self) -> Path:
        return self.catalogue / LEAF

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def environ(self) -> dict[str, str]:
        own = {f"OSQUAL_{name.upper()}_DIR": str(self.root / name) for name in ("state", "cache")}
        return {**own, "OSQUAL_DATA_DIR": str(self.root / "data"), "OSQUAL_STORE": self.url}

    @property
    def settings(self) -> Settings:
        return load_settings(self.catalogue, self.environ)

    def store(self) -> Store:
        return open_store(self.settings)

    def engine(self, store: Store, cancellation: Cancellation | None = None) -> Engine:
        return Engine(
            settings=self.settings,
            store=store,
            cancellation=cancellation or Cancellation(),
            environ={},
            parts=durable_parts(),
        )

    # What a person does, each in a process of its own

    def run(self, **options: Any) -> int:
        with self._orchestrator() as engine:
            catalogue = open_catalogue(self.catalogue)
            configuration = catalogue.configuration(self.leaf)
            return _code(qualify(catalogue, configuration, RunOptions(**options), engine))

    def run_all(self, jobs: int | None = None, log_format: str = "text") -> int:
        """As `osqual run '**'` does: side by side."""
        with self._orchestrator() as engine:
            catalogue = open_catalogue(self.catalogue)
            found = prospects_of(catalogue, catalogue.configurations(), RunOptions(), engine)
            showing = Showing(log_format=log_format)
            return conduct(found, engine, LastingConsole(stderr=True), showing, jobs)

    def resume_all(self) -> int:
        """As `osqual resume` does: side by side."""
        with self._orchestrator() as engine:
            found = resumable(engine.store.runs(unfinished_only=True), engine)
            return conduct(found, engine, LastingConsole(stderr=True), Showing(), None)

    def resume(self) -> int:
        with self._orchestrator() as engine:
            worst = 0
            for run in engine.store.runs(unfinished_only=True):
                worst = max(worst, _code(resume(run, engine)))
            return worst

    def reap(self) -> int:
        with self._orchestrator() as engine:
            reap(find_remains(engine), engine, lambda remains, failure: None)
            return 0

    def _orchestrator(self) -> "_Orchestrator":
        return _Orchestrator(self)

    # What a test looks at

    def processes(self) -> list[Marked]:
        """Processes of this world's jobs that still run."""
        return [each for each in marked_processes() if each.job.is_relative_to(self.root)]

    def kill_machines(self) -> None:
        """As a restart of the host would."""
        for process in self.processes():
            with suppress(ProcessLookupError):  # ended by itself since it was listed
                os.kill(process.pid, signal.SIGKILL)

    def executions(self) -> list[str]:
        """Every start of a suite, by its name."""
        path = self.root / "executions"
        return path.read_text().split() if path.exists() else []


class _Orchestrator:
    def __init__(self, world: DurableWorld) -> None:
        self._world = world
        self._lock = orchestrator_lock(world.state, "a test")

    def __enter__(self) -> Engine:
        self._lock.__enter__()
        self._store = self._world.store()
        cancellation = Cancellation()
        self._signals = cancel_on_signals(cancellation, lambda text: None)
        self._signals.__enter__()
        return self._world.engine(self._store, cancellation)

    def __exit__(self, *exception: Any) -> None:
        self._signals.__exit__(None, None, None)
        self._store.close()
        self._lock.__exit__(None, None, None)


def _code(result: RunResult) -> int:
    return int(result.exit_code)


def in_child(action: Callable[[], int], *, trace: Path | None = None, fault: str = "") -> int:
    """The exit status of a child process that does it, or minus the signal that ended it.

    A child and not a program of its own: it need not load osqual again, thousands of times.
    """
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            if trace is not None:
                os.environ[TRACE] = str(trace)
                os.environ[FAULT] = fault
            code = action()
        except OsqualError as error:
            print(error)
            code = int(error.exit_code)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
