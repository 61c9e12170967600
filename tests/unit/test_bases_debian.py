"""Making Debian bases, with a stand-in for mmdebstrap that fails, hangs or succeeds on demand."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from osqual.bases.cache import BaseCache
from osqual.bases.debian.build import debian_key, mmdebstrap_command
from osqual.bases.debian.failure import check_possible
from osqual.bases.reference import DebianReference
from osqual.bases.resolve import cached_base, check_base, resolve_base
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import (
    InfrastructureError,
    Interrupted,
    InvalidInput,
    MissingProgram,
    OsqualError,
)
from osqual.processes.running import process_start
from osqual.settings import Directories, Qemu, Settings
from tests.scopes import Surroundings

# Does what the hooks ask for at the end of a real run; notes each start.
SUCCEEDS = """
echo started >> "$STARTS"
for word in "$@"; do
    case $word in
        --customize-hook=download*disk.qcow2)
            qemu-img create -q -f qcow2 "${word##* }" 2G ;;
        --customize-hook=download*)
            echo content > "${word##* }" ;;
    esac
done
"""
NOTHING_REACHABLE = """
cat >&2 <<END
I: running apt-get update...
Err:1 http://mirror.invalid/debian bookworm InRelease
  Temporary failure resolving 'mirror.invalid'
E: Failed to fetch http://mirror.invalid/debian/dists/bookworm/InRelease
E: apt-get update failed
END
exit 1
"""
NO_SUCH_SUITE = """
echo "E: The repository 'http://m/debian nonsense Release' does not have a Release file." >&2
exit 1
"""
DISK_FULL = """
echo "mke2fs: No space left on device while writing out and closing file system" >&2
echo "E: run_setup failed" >&2
exit 1
"""
NO_KEYS = """
cat >&2 <<END
W: GPG error: http://m/debian bookworm InRelease: The following signatures couldn't be verified
   because the public key is not available: NO_PUBKEY 6ED0E7B82643E131
E: The repository 'http://m/debian bookworm InRelease' is not signed.
END
exit 1
"""
CLOCK = """
echo "E: Release file for http://m/debian/dists/bookworm/InRelease is not valid yet" >&2
exit 1
"""
NO_NAMESPACE = 'echo "E: newuidmap 1234 0 1000 1 1 100000 65536 failed: 256" >&2; exit 1'
SOMETHING_ELSE = 'echo "E: the moon is in the wrong place" >&2; exit 1'
HANGS = 'echo started >> "$STARTS"; echo "I: running" >&2; exec sleep 1000'
# Unpacks as mmdebstrap does, and does not listen to whoever wants it to stop.
UNPACKS = """
trap '' INT TERM
mktemp -d --tmpdir mmdebstrap.XXXXXXXX > "$STARTS.part" && mv "$STARTS.part" "$STARTS"
while :; do sleep 0.1; done
"""


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    return Surroundings(directory=tmp_path / "run")


@pytest.fixture
def scope(surroundings: Surroundings, tmp_path: Path) -> RunScope:
    directories = Directories(state=tmp_path / "state", cache=tmp_path / "cache")
    return replace(surroundings.scope, settings=Settings(directories=directories))


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in notes that it was started."""
    path = tmp_path / "starts"
    monkeypatch.setenv("STARTS", str(path))
    return path


def stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str = "mmdebstrap"
) -> None:
    """Put a program of that name first on PATH."""
    directory = tmp_path / "bin"
    directory.mkdir(exist_ok=True)
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    if str(directory) not in os.environ["PATH"]:
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def resolve(scope: RunScope, reference: str = "debian:bookworm", **kwargs: bool) -> object:
    return resolve_base(reference, relative_to=Path(), scope=scope, **kwargs)


def remains(scope: RunScope) -> list[Path]:
    """Files in the cache, but for lock files."""
    files = scope.settings.directories.cache.rglob("*")
    return [path for path in files if path.is_file() and path.suffix != ".lock"]


def test_makes_a_base_once(
    scope: RunScope,
    surroundings: Surroundings,
    starts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(tmp_path, monkeypatch, SUCCEEDS)
    arguments = {"relative_to": Path(), "settings": scope.settings}
    assert cached_base("debian:bookworm", **arguments) is None  # type: ignore[arg-type]
    image = resolve_base("debian:bookworm", relative_to=Path(), scope=scope)
    assert (image.kind, image.format, image.virtual_size) == ("debian", "qcow2", 2 << 30)
    assert image.kernel is not None
    assert image.initrd is not None
    assert resolve(scope) == image
    assert cached_base("debian:bookworm", **arguments) == image  # type: ignore[arg-type]
    assert starts.read_text().splitlines() == ["started"]
    assert surroundings.journal.unended() == []
    resolve(scope, refresh=True)
    assert len(starts.read_text().splitlines()) == 2


def test_each_variant_is_a_base_of_its_own() -> None:
    plain = DebianReference(text="debian:bookworm", suite="bookworm")
    keys = {
        debian_key(plain, None),
        debian_key(plain, "http://other.invalid/debian"),
        debian_key(replace(plain, suite="trixie"), None),
        debian_key(replace(plain, seed="cloud-init"), None),
    }
    assert len(keys) == 4


def test_names_no_mirror_of_its_own(tmp_path: Path) -> None:
    reference = DebianReference(text="debian:bookworm", suite="bookworm")
    assert mmdebstrap_command(reference, tmp_path, None)[-2:] == ["bookworm", "-"]
    own = mmdebstrap_command(reference, tmp_path, "http://mirror.invalid/debian")
    assert own[-3:] == ["bookworm", "-", "http://mirror.invalid/debian"]


@pytest.mark.parametrize(
    ("script", "error", "said", "advice"),
    [
        (NOTHING_REACHABLE, InfrastructureError, "mirror cannot be reached", "debian_mirror"),
        (NO_SUCH_SUITE, InvalidInput, "no suite bookworm", "base_images.json"),
        (DISK_FULL, InfrastructureError, "disk is full", "cache prune"),
        (NO_KEYS, InfrastructureError, "signature cannot be checked", "debian-archive-keyring"),
        (CLOCK, InfrastructureError, "from the future", "clock"),
        (NO_NAMESPACE, InfrastructureError, "user namespaces", "sysctl"),
        (SOMETHING_ELSE, InfrastructureError, "could not be made", "log"),
    ],
)
def test_failures_have_names_and_advice(
    scope: RunScope,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    error: type[OsqualError],
    said: str,
    advice: str,
) -> None:
    stand_in(tmp_path, monkeypatch, script)
    with pytest.raises(error, match=said) as caught:
        resolve(scope)
    assert advice in caught.value.resolution
    assert "E: " in caught.value.details
    assert "E: " in (scope.directory / "base-bookworm.log").read_text()
    assert remains(scope) == []


def test_user_namespaces_that_are_not_allowed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(
        tmp_path,
        monkeypatch,
        "echo 'unshare failed: Operation not permitted' >&2; exit 1",
        "unshare",
    )
    with pytest.raises(InfrastructureError, match="user namespaces") as caught:
        check_possible(Cancellation())
    assert "not permitted" in caught.value.details
    assert "unprivileged_userns_clone" in caught.value.resolution


def test_what_no_base_could_be_made_with_is_refused_before_anything_is_started(
    scope: RunScope, starts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, SUCCEEDS)
    check_base("debian:bookworm", relative_to=Path(), scope=scope)
    assert not starts.exists()
    (tmp_path / "bin" / "mmdebstrap").unlink()
    for program in ("qemu-img", "unshare"):
        stand_in(tmp_path, monkeypatch, "exit 0", program)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(MissingProgram, match="mmdebstrap"):
        check_base("debian:bookworm", relative_to=Path(), scope=scope)
    for reference in ("debian:", "ftp://host/x", "https://host/x.qcow2", "gone.qcow2"):
        with pytest.raises(InvalidInput):
            check_base(reference, relative_to=tmp_path, scope=scope)
    assert remains(scope) == []


def test_too_little_space_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfrastructureError, match="Too little space") as caught:
        check_possible(Cancellation(), needed_bytes=1 << 60)
    assert "TMPDIR" in caught.value.resolution


def test_cancelling_ends_the_work_and_leaves_nothing(
    scope: RunScope,
    surroundings: Surroundings,
    starts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(tmp_path, monkeypatch, HANGS)
    pids = []

    def cancel() -> None:
        records: list[Path] = []
        while not (starts.exists() and records):
            time.sleep(0.01)
            records = list(scope.settings.directories.cache.rglob("job.json"))
        pids.append(json.loads(records[0].read_text())["pid"])
        surroundings.cancellation.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Interrupted):
        resolve(scope)
    thread.join()
    assert process_start(pids[0]) is None
    assert remains(scope) == []
    assert surroundings.journal.unended() == []


def test_what_was_unpacked_goes_even_when_mmdebstrap_has_to_be_killed(
    scope: RunScope,
    surroundings: Surroundings,
    starts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(tmp_path, monkeypatch, UNPACKS)

    def cancel() -> None:
        while not starts.exists():
            time.sleep(0.01)
        surroundings.cancellation.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Interrupted):
        resolve(scope)
    thread.join()
    unpacked = Path(starts.read_text().strip())
    assert unpacked.parent.name.startswith("osqual-base-")
    assert not unpacked.parent.exists()
    assert remains(scope) == []
    assert surroundings.journal.unended() == []


def test_what_belongs_to_subordinate_ids_is_removed_by_mmdebstrap(
    scope: RunScope, starts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = "mkdir $TMPDIR/system; touch $TMPDIR/system/file; chmod 0 $TMPDIR/system"
    script = (
        'if [ "$1" = --unshare-helper ]; then shift; chmod 700 $5/system; exec "$@"; fi\n'
        f'{stubborn}; echo "$TMPDIR" > "$STARTS"; echo "E: run_setup failed" >&2; exit 1'
    )
    stand_in(tmp_path, monkeypatch, script)
    with pytest.raises(InfrastructureError, match="could not be made"):
        resolve(scope)
    assert not Path(starts.read_text().strip()).exists()


def test_work_of_a_killed_process_is_taken_over(
    scope: RunScope, starts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, f"sleep 2\n{SUCCEEDS}")
    program = (
        "import sys; from pathlib import Path\n"
        "from osqual.bases.debian.build import _start, debian_key\n"
        "from osqual.bases.cache import BaseCache\n"
        "from osqual.bases.reference import DebianReference\n"
        "from osqual.settings import load_settings\n"
        "from tests.scopes import Surroundings\n"
        "from dataclasses import replace\n"
        "cache = BaseCache(load_settings(None).directories.cache); cache.prepare()\n"
        "reference = DebianReference(text='debian:bookworm', suite='bookworm')\n"
        "scope = Surroundings(directory=Path(sys.argv[1])).scope\n"
        "_start(reference, cache.partial(debian_key(reference, None)), scope)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "other")],
        env={**os.environ, "OSQUAL_CACHE_DIR": str(scope.settings.directories.cache)},
        check=False,
    )
    assert killed.returncode == -9
    image = resolve_base("debian:bookworm", relative_to=Path(), scope=scope)
    assert image.path.exists()
    assert starts.read_text().splitlines() == ["started"]


def test_two_at_once_make_one_base(
    scope: RunScope, starts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, f"sleep 0.5\n{SUCCEEDS}")
    images: list[object] = []
    threads = [threading.Thread(target=lambda: images.append(resolve(scope))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(images) == 3
    assert images[0] == images[1] == images[2]
    assert starts.read_text().splitlines() == ["started"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_named(scope: RunScope, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(InfrastructureError, match="cache directory"):
            resolve(scope)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_cache_that_is_a_file_is_named(scope: RunScope, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(InfrastructureError, match="cache directory") as caught:
        resolve(scope)
    assert "OSQUAL_CACHE_DIR" in caught.value.resolution


def test_the_mirror_of_the_settings_is_used(
    scope: RunScope, starts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, f'echo "$*" > {tmp_path}/words\n{SUCCEEDS}')
    mirror = "http://mirror.invalid/debian"
    directories = scope.settings.directories
    own = replace(
        scope, settings=Settings(directories=directories, qemu=Qemu(debian_mirror=mirror))
    )
    resolve(own)
    assert (tmp_path / "words").read_text().split()[-1] == mirror
    reference = DebianReference(text="debian:bookworm", suite="bookworm")
    assert BaseCache(directories.cache).find(debian_key(reference, mirror)) is not None
