import fcntl
import hashlib
import json
import os
import shlex
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock

from osqual.bases.cache import BaseCache, key_name
from osqual.bases.entries import list_entries
from osqual.bases.image import BaseImage
from osqual.bases.prune import JUST_USED_S, is_open, prune_cache
from osqual.bases.resolve import cached_base, check_base, resolve_base
from osqual.cli.cache import cache as cache_command
from osqual.effects.scope import RunScope
from osqual.errors import InvalidInput, TimeLimitExceeded
from osqual.processes.job import Job
from osqual.processes.process import run
from osqual.settings import Directories, Settings
from tests.scopes import Surroundings

DAY_S = 86400.0


@pytest.fixture
def scope(tmp_path: Path) -> RunScope:
    directories = Directories(state=tmp_path / "state", cache=tmp_path / "cache")
    surroundings = Surroundings(directory=tmp_path / "run")
    return replace(surroundings.scope, settings=Settings(directories=directories))


@pytest.fixture
def cache(tmp_path: Path) -> BaseCache:
    cache = BaseCache(tmp_path / "cache")
    cache.prepare()
    return cache


def add(cache: BaseCache, key: str, content: bytes, age_s: float = 0.0) -> BaseImage:
    """Put an image into the cache, used last so long ago."""
    draft = cache.partial(key)
    draft.write_bytes(content)
    image = BaseImage(
        reference=key,
        digest=hashlib.sha256(content).hexdigest(),
        path=draft,
        virtual_size=1,
        format="qcow2",
        kind="debian",
    )
    kernel = draft.with_suffix(".kernel")
    kernel.write_bytes(b"kernel")
    added = cache.add(key, draft, image, kernel=kernel)
    used = time.time() - age_s
    os.utime(cache.record_path(key), (used, used))
    return added


def add_layer(root: Path, name: str, age_s: float) -> Path:
    layer = root / "layers" / name
    layer.mkdir(parents=True)
    disk = layer / "disk.qcow2"
    disk.write_bytes(b"layer")
    used = time.time() - age_s
    os.utime(disk, (used, used))
    return layer


def test_images_are_found_by_key_and_named_by_content(cache: BaseCache) -> None:
    image = add(cache, "debian:a", b"content")
    assert cache.find("debian:a") == image
    assert cache.find("debian:b") is None
    assert image.path.read_bytes() == b"content"
    assert image.kernel is not None
    assert image.kernel.read_bytes() == b"kernel"


@pytest.mark.parametrize("damage", [b"", b"short", b"longer than it was"])
def test_a_damaged_image_is_not_used(cache: BaseCache, damage: bytes) -> None:
    image = add(cache, "debian:a", b"content")
    image.path.write_bytes(damage)
    assert cache.find("debian:a") is None


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"file": 3}', "\x00"])
def test_a_damaged_record_is_not_used(cache: BaseCache, record: str) -> None:
    add(cache, "debian:a", b"content")
    cache.record_path("debian:a").write_text(record)
    assert cache.find("debian:a") is None
    assert [entry.kind for entry in list_entries(cache.root)] == ["base"]


def test_a_lock_is_waited_for_and_can_be_given_up(cache: BaseCache, scope: RunScope) -> None:
    with cache.lock("debian:a", scope):
        hurried = scope.limited(0.3, "waiting")
        with pytest.raises(TimeLimitExceeded), cache.lock("debian:a", hurried):
            pass
    with cache.lock("debian:a", scope):
        pass


def test_a_local_file_is_used_where_it_is(scope: RunScope, tmp_path: Path) -> None:
    disk = tmp_path / "catalogue" / "os.qcow2"
    disk.parent.mkdir()
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "8M"])
    settings = scope.settings
    assert cached_base("os.qcow2", relative_to=disk.parent, settings=settings) is None
    image = resolve_base("os.qcow2", relative_to=disk.parent, scope=scope)
    assert image.path == disk
    assert image.digest == hashlib.sha256(disk.read_bytes()).hexdigest()
    assert (image.kind, image.format, image.virtual_size) == ("file", "qcow2", 8 << 20)
    assert cached_base("os.qcow2", relative_to=disk.parent, settings=settings) == image
    assert cached_base(str(disk), relative_to=Path("/"), settings=settings) is not None

    run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "16M"])
    assert cached_base("os.qcow2", relative_to=disk.parent, settings=settings) is None
    assert resolve_base("os.qcow2", relative_to=disk.parent, scope=scope).virtual_size == 16 << 20


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "does not exist"),
        (
            lambda path: run(
                shlex.split("qemu-img create -q -u -f qcow2 -F raw -b /etc/passwd os.qcow2 1M"),
                cwd=path.parent,
            ),
            "rests on another file",
        ),
        (
            lambda path: run(["qemu-img", "create", "-q", "-f", "vmdk", str(path), "1M"]),
            "has the format vmdk",
        ),
        (lambda path: path.write_text("not an image\n"), "not a disk image that boots"),
        (lambda path: path.write_bytes(bytes(2 << 20)), "not a disk image that boots"),
        (
            lambda path: run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "4k"]),
            "not a disk image that boots",
        ),
    ],
)
def test_a_file_that_cannot_be_a_base_is_refused(
    scope: RunScope, tmp_path: Path, make: "object", said: str
) -> None:
    assert callable(make)
    make(tmp_path / "os.qcow2")
    with pytest.raises(InvalidInput, match=said) as caught:
        resolve_base("os.qcow2", relative_to=tmp_path, scope=scope)
    assert caught.value.resolution
    with pytest.raises(InvalidInput, match=said):
        check_base("os.qcow2", relative_to=tmp_path, scope=scope)


def test_a_raw_disk_with_a_boot_sector_may_be_a_base(scope: RunScope, tmp_path: Path) -> None:
    (tmp_path / "os.raw").write_bytes(bytes(510) + b"\x55\xaa" + bytes(2 << 20))
    assert resolve_base("os.raw", relative_to=tmp_path, scope=scope).format == "raw"


def test_lists_bases_layers_and_unfinished_work(cache: BaseCache) -> None:
    add(cache, "debian:a", b"content")
    add_layer(cache.root, "0123456789abcdef", DAY_S)
    cache.partial("sha256=1").with_suffix(".part").write_bytes(b"half")
    entries = list_entries(cache.root)
    assert [entry.kind for entry in entries] == ["base", "layer", "partial"]
    assert [entry.name for entry in entries[:2]] == ["debian:a", "0123456789ab"]
    assert all(entry.size_bytes > 0 for entry in entries)


def test_what_bases_hold_and_what_catalogues_say_is_pruned_too(cache: BaseCache) -> None:
    for place in ("inventories/0123-4567.gz", "catalogues/0123456789abcdef.index"):
        path = cache.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
        os.utime(path, (time.time() - 2 * DAY_S,) * 2)
    assert [(entry.kind, entry.name) for entry in list_entries(cache.root)] == [
        ("index", "0123456789ab"),
        ("inventory", "0123-4567"),
    ]
    assert prune_cache(cache.root, unused_for_s=3 * DAY_S).removed == ()
    assert len(prune_cache(cache.root, unused_for_s=DAY_S).removed) == 2
    assert list_entries(cache.root) == ()


def test_an_empty_cache_has_nothing(tmp_path: Path) -> None:
    assert list_entries(tmp_path / "missing") == ()
    assert prune_cache(tmp_path / "missing", unused_for_s=0).removed == ()


def test_prunes_what_was_not_used_for_long(cache: BaseCache) -> None:
    old, new = add(cache, "debian:old", b"1", 40 * DAY_S), add(cache, "debian:new", b"2", DAY_S)
    old_layer = add_layer(cache.root, "old", 40 * DAY_S)
    new_layer = add_layer(cache.root, "new", DAY_S)

    assert len(prune_cache(cache.root, unused_for_s=30 * DAY_S, dry_run=True).removed) == 2
    assert old.path.exists()

    pruned = prune_cache(cache.root, unused_for_s=30 * DAY_S)
    assert sorted(entry.name for entry in pruned.removed) == ["debian:old", "old"]
    assert cache.find("debian:old") is None
    assert not old.path.exists()
    assert old.kernel is not None
    assert not old.kernel.exists()
    assert not old_layer.exists()
    assert cache.find("debian:new") == new
    assert new_layer.exists()


def test_a_base_that_was_just_resolved_stays(cache: BaseCache) -> None:
    image = add(cache, "debian:a", b"1", DAY_S)
    assert cache.find("debian:a") == image
    pruned = prune_cache(cache.root, unused_for_s=0)
    assert [entry.name for entry in pruned.in_use] == ["debian:a"]
    assert image.path.exists()


def test_what_somebody_holds_stays(cache: BaseCache) -> None:
    add(cache, "debian:a", b"1", DAY_S)
    layer = add_layer(cache.root, "held", DAY_S)
    lock = os.open(f"{layer}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        with FileLock(cache.lock_path(key_name("debian:a"))):
            pruned = prune_cache(cache.root, unused_for_s=0)
    finally:
        os.close(lock)
    assert sorted(entry.name for entry in pruned.in_use) == ["debian:a", "held"]
    assert len(prune_cache(cache.root, unused_for_s=0).removed) == 2


def test_what_a_machine_has_open_stays(cache: BaseCache, tmp_path: Path) -> None:
    """QEMU's own locks say so, also for what stands below an overlay."""
    base, overlay = tmp_path / "base.qcow2", tmp_path / "overlay.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "8M"])
    image = add(cache, "debian:a", base.read_bytes(), 2 * JUST_USED_S)
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.path), "-F", "qcow2"]
    run([*argv, str(overlay)])
    assert not is_open(image.path)
    job = Job.start(tmp_path / "job", ["qemu-io", str(overlay), "-c", "sleep 60000"])
    try:
        while not is_open(image.path):
            assert job.exit_status is None
            time.sleep(0.02)
        pruned = prune_cache(cache.root, unused_for_s=0)
        assert [entry.name for entry in pruned.in_use] == ["debian:a"]
    finally:
        job.end(grace_s=1)
    assert [entry.name for entry in prune_cache(cache.root, unused_for_s=0).removed] == ["debian:a"]


def test_many_threads_make_one_image(scope: RunScope, cache: BaseCache) -> None:
    made = []

    def make() -> None:
        with cache.lock("debian:a", scope):
            if cache.find("debian:a") is None:
                made.append(add(cache, "debian:a", b"content"))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.fixture
def command_cache(cache: BaseCache, monkeypatch: pytest.MonkeyPatch) -> BaseCache:
    monkeypatch.setenv("OSQUAL_CACHE_DIR", str(cache.root))
    monkeypatch.chdir(cache.root)
    return cache


def test_command_shows_and_prunes(command_cache: BaseCache) -> None:
    runner = CliRunner()
    add(command_cache, "debian:a", b"1", 40 * DAY_S)
    shown = runner.invoke(cache_command, ["show"])
    assert shown.exit_code == 0
    assert "debian:a" in shown.output
    document = json.loads(runner.invoke(cache_command, ["show", "--json"]).output)
    assert [entry["name"] for entry in document["entries"]] == ["debian:a"]

    rehearsed = runner.invoke(cache_command, ["prune", "--dry-run"])
    assert "would be removed" in rehearsed.output
    assert len(list_entries(command_cache.root)) == 1
    pruned = runner.invoke(cache_command, ["prune", "--older-than", "2w", "--json"])
    assert [entry["name"] for entry in json.loads(pruned.output)["removed"]] == ["debian:a"]
    assert list_entries(command_cache.root) == ()


@pytest.mark.parametrize(
    "arguments",
    [["--older-than", "soon"], ["--older-than", "-1d"], ["--all", "--older-than", "1d"]],
)
def test_command_refuses_nonsense(command_cache: BaseCache, arguments: list[str]) -> None:
    add(command_cache, "debian:a", b"1", 400 * DAY_S)
    assert CliRunner().invoke(cache_command, ["prune", *arguments]).exit_code == 2
    assert len(list_entries(command_cache.root)) == 1
