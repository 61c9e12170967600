"""One workshop for all slow tests: shared caches, a catalogue in git, and the real program."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.integration.browsing import launched

ROOT = Path(__file__).parents[2]
LEAF = "debian/12/qemu/swarm-20.10/docker-20.10"
TINY = "debian/12/qemu/hello-1.0/docker-none"
"""One node and a product that is a greeting, for what is not about the product."""
collect_ignore = ["tiny"]
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "qemu": ("qemu-system-x86_64", "qemu-img", "ssh", "mmdebstrap", "sfdisk"),
    "packer": ("packer",),
    "postgres": ("initdb", "pg_ctl"),
    "browser": ("chromium",),
}
RUN_LIMIT_S = 4500
"""Not how long a run may take, but when it certainly hangs."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin no test with machines when the time that the caller gave is over, or too short."""
    if item.get_closest_marker("qemu"):
        lasts = item.get_closest_marker("minutes")
        skip_when_late(lasts.args[0] if lasts else 0)


def skip_when_late(minutes: float = 0) -> None:
    """Skip, and say so, what would take that long and so end after the time that was given."""
    until = float(os.environ.get("OSQUAL_TEST_UNTIL") or "inf")
    if time.time() + 60 * minutes > until:
        pytest.skip("NOT RUN: the time for tests was over (OSQUAL_TEST_MINUTES)")


@pytest.fixture(autouse=True)
def _programs(request: pytest.FixtureRequest) -> None:
    """Skip, or fail where everything is required, when a marked test's program is missing."""
    for marker, programs in PROGRAMS.items():
        missing = [name for name in programs if shutil.which(name) is None]
        if request.node.get_closest_marker(marker) and missing:
            text = f"not installed: {', '.join(missing)}"
            if os.environ.get("OSQUAL_TEST_REQUIRE_ALL"):
                pytest.fail(text)
            pytest.skip(text)


@dataclass(frozen=True)
class Workshop:
    """Directories that slow tests share, and the program run in them.

    The cache serves every worker of a session; the rest is this worker's own.
    """

    root: Path
    cache: Path
    runtime: Path

    @property
    def catalogue(self) -> Path:
        return self.root / "catalogue"

    @property
    def leaf(self) -> Path:
        return self.catalogue / LEAF

    @property
    def tiny(self) -> Path:
        return self.catalogue / TINY

    @property
    def state(self) -> Path:
        return self.root / "state"

    def environ(self, **extra: str) -> dict[str, str]:
        own = {
            "OSQUAL_STATE_DIR": str(self.state),
            "OSQUAL_CACHE_DIR": str(self.cache),
            "OSQUAL_DATA_DIR": str(self.root / "data"),
            "XDG_RUNTIME_DIR": str(self.runtime),
        }
        return {**os.environ, **own, "COLUMNS": "120", **extra}

    def start(self, *arguments: str, **extra: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "osqual", *arguments],
            cwd=self.catalogue,
            env=self.environ(**extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def osqual(self, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """Run the program to its end; its output is shown when the test fails."""
        child = self.start(*arguments, **extra)
        try:
            stdout, stderr = child.communicate(timeout=RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
            stdout, stderr = child.communicate(timeout=120)
        print(f"$ osqual {' '.join(arguments)} -> {child.returncode}\n{stdout}{stderr}")
        return subprocess.CompletedProcess(arguments, child.returncode, stdout, stderr)

    def run(self, *arguments: str, leaf: str = LEAF, code: int = 0, **extra: str) -> dict[str, Any]:
        """`osqual run LEAF --json ...`; the one result, with the exit code checked."""
        done = self.osqual("run", leaf, "--json", *arguments, **extra)
        assert done.returncode == code, done.stderr
        (result,) = json.loads(done.stdout)
        assert isinstance(result, dict)
        return result

    def stored(self, run: str = "latest") -> dict[str, Any]:
        """What the store knows of a run."""
        document = json.loads(self.osqual("runs", run, "--json").stdout)
        assert isinstance(document, dict)
        return document

    def git(self, *arguments: str) -> str:
        argv = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments]
        return subprocess.run(
            argv, cwd=self.catalogue, check=True, capture_output=True, text=True
        ).stdout

    def changed_files(self) -> set[str]:
        """Files of the catalogue that differ from the last commit."""
        return {line[3:] for line in self.git("status", "--short", "-uall").splitlines()}

    def reset_catalogue(self, path: str = ".") -> None:
        """The catalogue, or a part of it, as it was committed."""
        self.git("checkout", "-q", path)
        self.git("clean", "-qfd", path)

    def assert_nothing_left(self, run: str = "latest") -> None:
        """No process, disk, key, socket, lock or open row of the run."""
        document = self.stored(run)
        directory = Path(document["directory"])
        left = [row for row in document["resources"] if row["state"] != "ended"]
        assert left == []
        assert processes_naming(str(directory)) == []
        leftovers = [*directory.rglob("*.qcow2"), *directory.rglob("id_ed25519*")]
        assert leftovers == []
        sockets = [path for path in self.runtime.rglob("*") if path.is_socket()]
        assert sockets == []
        assert not (directory / "sockets").is_symlink()
        assert not (self.state / "holder.json").exists()


def processes_naming(text: str) -> list[str]:
    """Command lines of the processes that mention a text, this one left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


def wait_until(condition: Any, *, limit_s: float, what: str) -> None:
    """Poll until the condition holds."""
    give_up = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up, f"waited {limit_s} s for {what}"
        time.sleep(0.2)


@contextmanager
def shared_directory() -> Iterator[Path]:
    """One for all workers of this session, gone with the last of them.

    OSQUAL_TEST_DIR names one to keep between sessions: those of script/test, or while developing.
    """
    if kept := os.environ.get("OSQUAL_TEST_DIR"):
        yield Path(kept)
        return
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    root = Path(tempfile.gettempdir()) / f"osqual-test-{session}"
    root.mkdir(mode=0o700, exist_ok=True)
    with (root / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield root
        with suppress(BlockingIOError):  # others still use it
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def workshop() -> Iterator[Workshop]:
    with shared_directory() as shared:
        root = shared / os.environ.get("PYTEST_XDIST_WORKER", "alone")
        runtime = Path(tempfile.mkdtemp(prefix="oq-"))
        found = Workshop(root, shared / "cache", runtime)
        shutil.rmtree(found.catalogue, ignore_errors=True)
        shutil.copytree(ROOT / "examples", found.catalogue)
        shutil.copytree(Path(__file__).with_name("tiny"), found.catalogue, dirs_exist_ok=True)
        found.git("init", "-q")
        found.git("clean", "-qfdX")
        found.git("add", "-A")
        found.git("commit", "-qm", "catalogue: start")
        yield found
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for longer: while it is there its event loop runs, and tests start such loops."""
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()
