"""Both builders on real machines: what they build, what they reuse, and how builds end."""

import hashlib
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from osqual.builders.base import Builder, BuildRequest
from osqual.builders.layered import BUILD_KINDS, LayeredBuilder
from osqual.builders.layers import LayerStore
from osqual.builders.locks import FileHold
from osqual.builders.packer import PackerBuilder
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.effects.sockets import remove_socket_directory
from osqual.errors import BuildFailed, Interrupted
from osqual.events import Event, EventBus, EventKind
from osqual.model import Configuration, Image, Recipe
from osqual.processes.process import run
from osqual.processes.running import process_start
from osqual.settings import Directories, Qemu, Settings
from osqual.teardown import end_resources
from osqual.templates.template import parse_template
from tests.integration.conftest import Workshop, processes_naming
from tests.scopes import MemoryJournal

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(1800)]

BUILDER = {
    "type": "qemu",
    "memory": 768,
    "cpus": 2,
    "disk_size": "3G",
    "disk_image": True,
    "ssh_username": "root",
    "ssh_timeout": "15m",
    "headless": True,
}

# What no two boots of a machine leave alike, in images that are otherwise compared to the byte.
VOLATILE: frozenset[str] = frozenset()


@dataclass
class Attempt:
    """One build: its scope, what it said, and what it gave or raised."""

    scope: RunScope
    journal: MemoryJournal
    events: list[Event]
    image: Image | None = None
    error: Exception | None = None

    @property
    def messages(self) -> str:
        return "\n".join(event.message for event in self.events)

    @property
    def built(self) -> Image:
        assert self.image is not None, f"{self.error}\n{self.messages}"
        return self.image

    def failure(self, kind: type[Exception]) -> str:
        assert isinstance(self.error, kind), f"{self.error}\n{self.messages}"
        return str(self.error)

    def assert_nothing_left(self) -> None:
        assert self.journal.unended() == []
        assert processes_naming(str(self.scope.directory)) == []
        left = [*self.scope.directory.rglob("*.qcow2"), *self.scope.directory.rglob("seed*")]
        assert left == []
        layers = LayerStore(self.scope.settings.directories.cache)
        unfinished = [
            item.name
            for item in layers.directory.glob("*/")
            if not (item / "layer.json").exists() and not in_the_making(layers, item.name)
        ]
        assert unfinished == []


def in_the_making(layers: LayerStore, key: str) -> bool:
    """Whether somebody writes this layer now, such as tests beside these."""
    hold = FileHold(layers.lock_path(key))
    try:
        return not hold.try_lock()
    finally:
        hold.close()


@dataclass
class Bench:
    """A configuration of its own and the directories that all builds here share."""

    leaf: Path
    root: Path
    cache: Path
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """In every script, so that layers of an earlier session are not taken for this one's."""

    def template(self, *provisioners: Mapping[str, Any], **builder: Any) -> None:
        document = {"builders": [{**BUILDER, **builder}], "provisioners": list(provisioners)}
        (self.leaf / "packer.json").write_text(json.dumps(document))

    def script(self, name: str, text: str) -> dict[str, str]:
        (self.leaf / name).write_text(f"#!/bin/sh -e\n# {self.token}\n{text}\n")
        return {"type": "shell", "script": name}

    def build(
        self,
        *,
        layers: str = "ram",
        builder: Builder | None = None,
        data: str = "data",
        on_event: Callable[[Attempt, Event], None] | None = None,
        **request: Any,
    ) -> Attempt:
        run_id = uuid.uuid4().hex[:8]
        directory = self.root / "runs" / run_id
        directory.mkdir(parents=True)
        directories = Directories(
            state=self.root / "state", cache=self.cache, data=self.root / data
        )
        journal = MemoryJournal()
        events: list[Event] = []
        scope = RunScope(
            run_id=run_id,
            directory=directory,
            settings=Settings(
                directories=directories, qemu=Qemu.model_validate({"layers": layers})
            ),
            journal=journal,
            bus=EventBus(events.append),
            cancellation=Cancellation(),
            step="build",
        )
        attempt = Attempt(scope=scope, journal=journal, events=events)
        if on_event is not None:
            scope.bus.subscribe(lambda event: on_event(attempt, event))
        chosen: Builder = builder or LayeredBuilder()
        try:
            made = self.request(**request)
            chosen.validate(made, scope)
            attempt.image = chosen.build(made, scope)
        except Exception as error:
            attempt.error = error
        finally:
            if not request.get("keep_on_failure"):
                remove_socket_directory(scope)
        return attempt

    def request(self, **options: Any) -> BuildRequest:
        text = (self.leaf / "packer.json").read_text()
        return BuildRequest(
            configuration=Configuration(root=self.leaf.parent, path=self.leaf.name, dimensions={}),
            template=parse_template(text, "packer.json"),
            recipe=Recipe(digest="", inputs={}),
            base_images={"local": "debian:bookworm"},
            find_file=lambda name: self.leaf / name,
            **options,
        )


@pytest.fixture(scope="module")
def shared(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("builders")


@pytest.fixture
def bench(workshop: Workshop, shared: Path, tmp_path: Path) -> Bench:
    leaf = tmp_path / "leaf"
    leaf.mkdir()
    return Bench(leaf=leaf, root=shared, cache=workshop.cache)


def image_files(image: Image, work: Path) -> dict[str, tuple[Any, ...]]:
    """Path → (mode, owner, group, digest or link target) of every file in the root file system."""
    work.mkdir()
    raw, root = work / "raw", work / "root"
    root.mkdir()
    run(["qemu-img", "convert", "-O", "raw", str(image.file), str(raw)], timeout_s=600)
    table = json.loads(run(["sfdisk", "--json", str(raw)]).stdout)["partitiontable"]
    start = max(table["partitions"], key=lambda part: part["size"])["start"] * 512
    # debugfs cannot tell owners to a caller who is not root; then all are the caller's, alike.
    dump = ["debugfs", "-R", f"rdump / {root}", f"{raw}?offset={start}"]
    subprocess.run(dump, check=True, capture_output=True, timeout=600)
    found = {}
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        content = "directory"
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        name = f"/{path.relative_to(root)}"
        found[name] = (oct(state.st_mode), state.st_uid, state.st_gid, content)
    raw.unlink()
    return found


# The same files, however built


def packages(bench: Bench) -> list[dict[str, Any]]:
    (bench.leaf / "conf").mkdir(exist_ok=True)
    (bench.leaf / "conf" / "a.conf").write_text("a = 1\n")
    (bench.leaf / "conf" / "run").write_text("#!/bin/sh\n")
    (bench.leaf / "conf" / "run").chmod(0o750)
    return [
        bench.script(
            "one.sh", "mkdir /opt/demo; echo one > /opt/demo/one; umask > /opt/demo/umask"
        ),
        {"type": "file", "source": "conf", "destination": "/opt/demo"},
        {"type": "file", "source": "conf/", "destination": "/opt/demo/"},
        {
            "type": "shell",
            "inline": ['echo "$GREETING" > /opt/demo/greeting', "useradd -m someone"],
            "environment_vars": ["GREETING=it's {{user `name`}}"],
        },
    ]


def write_packages(bench: Bench, last: str) -> None:
    provisioners = [*packages(bench), bench.script("last.sh", last)]
    document = {
        "variables": {"name": "me"},
        "builders": [BUILDER],
        "provisioners": provisioners,
        "post-processors": [{"type": "manifest", "output": "packer_build_history.json"}],
    }
    (bench.leaf / "packer.json").write_text(json.dumps(document))


@pytest.mark.packer
@pytest.mark.minutes(8)
def test_every_way_to_build_gives_the_same_files(bench: Bench, tmp_path: Path) -> None:
    final = "echo last > /opt/demo/last; systemctl is-system-running --wait > /dev/null || :"
    write_packages(bench, "echo earlier > /opt/demo/last")
    first = bench.build()
    assert first.built.build_record is not None
    assert first.journal.started("vm") == 1
    bench.build(layers="disk", data="disk").built  # noqa: B018 - for its layers
    write_packages(bench, final)

    again = bench.build()
    disk = bench.build(layers="disk", data="disk")
    cold = bench.build(cold=True, data="cold")
    packer = bench.build(builder=PackerBuilder(), data="packer")

    assert "continuing from memory after 4 of 5 provisioners" in again.messages
    assert "continuing from disk after 4 of 5 provisioners" in disk.messages
    assert "as a layer" not in cold.messages
    for attempt in (first, again, disk, cold, packer):
        attempt.assert_nothing_left()
    assert not (bench.leaf / "packer_build_history.json").exists()

    ways = {"ram": again, "disk": disk, "cold": cold, "packer": packer}
    files = {name: image_files(way.built, tmp_path / name) for name, way in ways.items()}
    reference = files.pop("cold")
    assert reference["/opt/demo/last"][3] == hashlib.sha256(b"last\n").hexdigest()
    assert reference["/opt/demo/greeting"][3] == hashlib.sha256(b"it's me\n").hexdigest()
    assert reference["/opt/demo/run"][0] == reference["/opt/demo/conf/run"][0] == "0o100750"
    assert reference["/etc/machine-id"][3] == hashlib.sha256(b"").hexdigest()
    gone = [name for name in reference if "ssh_host_" in name or name.endswith("/authorized_keys")]
    assert gone == []
    for name, other in files.items():
        differing = {
            path
            for path in reference.keys() | other.keys()
            if reference.get(path) != other.get(path)
        }
        assert differing <= VOLATILE, f"{name} differs from cold"

    # Nothing changed: no machine, and the build that made it is still known.
    same = bench.build()
    assert same.built.ids == again.built.ids
    assert same.built.reused
    assert same.built.build_record == again.built.build_record
    assert same.journal.rows == []
    assert bench.build(builder=PackerBuilder(), data="packer").journal.rows == []

    # A finished image that is damaged is made again, from the last layer.
    assert again.built.file is not None
    again.built.file.chmod(0o644)
    with again.built.file.open("ab") as stream:
        stream.write(b"x")
    mended = bench.build()
    assert not mended.built.reused
    assert "continuing from memory after 5 of 5 provisioners" in mended.messages


# How builds end badly. All of them continue from the booted base.


def test_a_script_that_fails_shows_its_last_lines(bench: Bench) -> None:
    bench.template(bench.script("bad.sh", "seq 100; echo 'cannot do it' >&2; exit 7"))
    attempt = bench.build()
    message = attempt.failure(BuildFailed)
    assert "bad.sh (provisioner 1) failed with exit status 7" in message
    assert "100\ncannot do it" in message
    assert "\n50\n" not in message
    log = attempt.scope.directory / "build" / "01-bad.sh.log"
    assert log.read_text().splitlines()[0] == "1"
    assert str(log) in message
    attempt.assert_nothing_left()


def test_a_valid_exit_code_a_retry_and_a_secret(bench: Bench) -> None:
    document = {
        "variables": {"password": "hunter2"},
        "sensitive-variables": ["password"],
        "builders": [BUILDER],
        "provisioners": [
            {"type": "shell", "inline": [f"exit 9 # {bench.token}"], "valid_exit_codes": [0, 9]},
            {
                "type": "shell",
                "inline": [
                    "echo {{user `password`}}",
                    "test -e /root/x || { touch /root/x; false; }",
                ],
                "max_retries": 1,
            },
        ],
    }
    (bench.leaf / "packer.json").write_text(json.dumps(document))
    attempt = bench.build(cold=False)
    assert attempt.built
    assert any(event.kind is EventKind.RETRY for event in attempt.events)
    assert "hunter2" not in attempt.messages
    assert "<sensitive>" in attempt.messages


def test_a_script_that_hangs_is_ended_at_its_timeout(bench: Bench) -> None:
    hangs = bench.script("hang.sh", "echo before; sleep 3600")
    bench.template({**hangs, "timeout": "20s"})
    message = (attempt := bench.build()).failure(BuildFailed)
    assert "longer than its timeout of 20 s" in message
    assert "before" in message
    attempt.assert_nothing_left()


def test_a_script_that_restarts_the_machine(bench: Bench) -> None:
    restart = bench.script("restart.sh", "systemctl reboot; sleep 60")
    bench.template(restart)
    message = (attempt := bench.build()).failure(BuildFailed)
    assert "lost the connection" in message
    assert '"expect_disconnect": true' in message
    attempt.assert_nothing_left()

    after = bench.script("after.sh", "cut -d' ' -f1 /proc/uptime > /root/uptime; echo back")
    bench.template({**restart, "expect_disconnect": True, "start_retry_timeout": "15m"}, after)
    attempt = bench.build()
    assert attempt.built
    assert "back" in attempt.messages


def test_a_disk_that_fills_up_inside_is_named(bench: Bench) -> None:
    bench.template(
        bench.script("fill.sh", "mount -t tmpfs -o size=1m none /mnt; cat /dev/zero > /mnt/x")
    )
    message = (attempt := bench.build()).failure(BuildFailed)
    assert "filled the disk of the machine" in message
    assert "raise disk_size" in message
    attempt.assert_nothing_left()


def test_an_interrupt_leaves_nothing_but_whole_layers(bench: Bench) -> None:
    bench.template(
        bench.script("quick.sh", "true"), bench.script("slow.sh", "echo started; sleep 3600")
    )

    def interrupt(attempt: Attempt, event: Event) -> None:
        if event.message == "started":
            attempt.scope.cancellation.cancel()

    began = time.monotonic()
    attempt = bench.build(on_event=interrupt)
    attempt.failure(Interrupted)
    assert time.monotonic() - began < 1000
    attempt.assert_nothing_left()
    bench.template(bench.script("quick.sh", "true"), bench.script("slow.sh", "echo done"))
    assert "continuing from memory after 1 of 2" in bench.build().messages


def test_the_machine_of_a_failed_build_is_kept_when_asked(bench: Bench) -> None:
    bench.template(bench.script("bad.sh", "echo kept > /root/kept; exit 1"))
    attempt = bench.build(keep_on_failure=True)
    message = attempt.failure(BuildFailed)
    (row,) = [row for row in attempt.journal.unended() if row["kind"] == "vm"]
    try:
        command = next(line for line in message.splitlines() if line.startswith("  ssh "))
        done = subprocess.run(
            f"{command} cat /root/kept", shell=True, capture_output=True, text=True, timeout=120
        )
        assert done.stdout == "kept\n", done.stderr
        assert process_start(int(row["external_id"])) is not None
    finally:
        end_resources(attempt.scope, BUILD_KINDS)
        remove_socket_directory(attempt.scope)
    attempt.assert_nothing_left()
    end_resources(attempt.scope, BUILD_KINDS)


def test_a_layer_that_cannot_be_used_is_made_again(bench: Bench) -> None:
    bench.template(bench.script("a.sh", "echo a"), bench.script("b.sh", "echo b"))
    assert bench.build().built
    store = LayerStore(bench.cache)
    newest = [layer for layer in store.all() if layer.title == "1: a.sh"][-1]
    assert newest.ram is not None
    content = bytearray(newest.ram.read_bytes())
    content[4096 : len(content) // 2] = bytes(len(content) // 2 - 4096)
    newest.ram.write_bytes(content)
    bench.template(bench.script("a.sh", "echo a"), bench.script("b.sh", "echo c"))
    attempt = bench.build()
    assert attempt.built
    assert "cannot be used" in attempt.messages
    attempt.assert_nothing_left()


def test_two_builds_of_one_image_share_one_machine(bench: Bench) -> None:
    bench.template(bench.script("once.sh", "echo once"))
    attempts: list[Attempt] = []
    threads = [threading.Thread(target=lambda: attempts.append(bench.build())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert attempts[0].built.ids == attempts[1].built.ids
    assert sorted(attempt.built.reused for attempt in attempts) == [False, True]
    assert sum(attempt.journal.started("vm") for attempt in attempts) == 1


@pytest.mark.packer
def test_what_packer_refuses_is_shown_in_its_words(bench: Bench) -> None:
    bench.template(bench.script("a.sh", "echo a"), boot_wait="soon")
    attempt = bench.build(builder=PackerBuilder())
    assert "Packer does not accept the template" in str(attempt.error)
    assert "boot_wait" in str(attempt.error)
    attempt.assert_nothing_left()


@pytest.mark.packer
def test_an_interrupted_packer_ends_its_machine(bench: Bench) -> None:
    bench.template(bench.script("a.sh", "echo a"))

    def interrupt(attempt: Attempt, event: Event) -> None:
        if "Waiting for SSH" in event.message:
            attempt.scope.cancellation.cancel()

    attempt = bench.build(builder=PackerBuilder(), on_event=interrupt)
    attempt.failure(Interrupted)
    attempt.assert_nothing_left()
