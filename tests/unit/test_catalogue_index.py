"""The index: what it remembers is never believed past a change, and it can always be deleted."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osqual.catalogue.catalogue import Catalogue, conventions_of, open_catalogue
from osqual.catalogue.facts import Facts, Standing, read_facts
from osqual.catalogue.filters import parse_filters
from osqual.catalogue.index import Index, Lines
from tests.fixtures.catalogue_small import LEAF, leaf_files, publish, small_catalogue, write
from tests.fixtures.catalogue_synthetic import write_catalogue

OTHER = LEAF.replace("2.0.1", "2.1.0")


def an_hour_later() -> int:
    """A clock by which every file of the test has settled."""
    return time.time_ns() + 3_600_000_000_000


def tick() -> None:
    """Wait until the file system's clock has moved on: changes in one tick look the same."""
    time.sleep(0.02)


def opened(root: Path, clock_ns: Callable[[], int] = an_hour_later) -> Catalogue:
    cache = root.parent / "cache"
    return Catalogue(
        root=root, conventions=conventions_of(root, cache), cache=cache, clock_ns=clock_ns
    )


def facts(
    root: Path, clock_ns: Callable[[], int] = an_hour_later, **wanted: str
) -> dict[str, Facts]:
    filters = parse_filters({name: [value] for name, value in wanted.items()}, {})
    found, problems = read_facts(opened(root, clock_ns), filters)
    assert not problems
    return {item.path: item for item in found}


def test_what_is_remembered_is_what_is_there(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    write_catalogue(root, 50)
    first = facts(root)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert facts(root) == first
    assert {path: item for path, item in first.items() if item.dimensions["os"] == "rhel"} == facts(
        root, os="rhel"
    )
    found, _ = read_facts(open_catalogue(root))
    assert {item.path: item for item in found} == first


def test_an_unchanged_catalogue_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "catalogue"
    write_catalogue(root, 20)
    first = facts(root)

    def refuse(*_: object) -> None:
        raise AssertionError("looked at what was known")

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "open", refuse)
    assert facts(root) == first


def test_every_kind_of_change_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    small_catalogue(root)
    assert facts(root)[LEAF].standing is Standing.NO_IMAGE
    tick()
    publish(root, LEAF, {"us-west-2": "ami-1"})  # files are added
    assert facts(root)[LEAF].images == {"us-west-2": "ami-1"}
    tick()
    write(root, {f"{LEAF}/dcos_images.yaml": "us-west-2: ami-2\n"})  # same size, other content
    assert facts(root)[LEAF].images == {"us-west-2": "ami-2"}
    tick()
    replacement = root / LEAF / "new"
    replacement.write_text("us-west-2: ami-3\n")
    old = (root / LEAF / "dcos_images.yaml").stat()
    os.utime(replacement, ns=(old.st_atime_ns, old.st_mtime_ns))  # even its times put back
    replacement.rename(root / LEAF / "dcos_images.yaml")
    assert facts(root)[LEAF].images == {"us-west-2": "ami-3"}
    tick()
    publish(root, LEAF, {"us-west-2": "ami-3"}, verdict="qualified")
    assert facts(root)[LEAF].standing is Standing.QUALIFIED
    tick()
    (root / LEAF / "dcos_images.yaml").unlink()  # a file is removed
    assert facts(root)[LEAF].standing is Standing.NO_IMAGE
    tick()
    write(root, leaf_files(OTHER))  # a configuration is added
    assert sorted(facts(root)) == sorted(facts(root, os="centos")) == [LEAF, OTHER]
    tick()
    (root / LEAF).rename(root / LEAF.replace("enforcing", "disabled"))  # and one is renamed
    assert sorted(facts(root)) == [LEAF.replace("enforcing", "disabled"), OTHER]


IN_TWO_PROCESSES = """
import os, sys, pathlib
import osqual.catalogue.index as index
from tests.unit.test_catalogue_index import test_every_kind_of_change_is_noticed as test
index._MANY = 0  # as if the catalogue were a large one
os.sched_getaffinity = lambda process: range(2)
fork, forks = os.fork, []
os.fork = lambda: forks.append(1) or fork()
test(pathlib.Path(sys.argv[1]))
print(len(forks), "children")
"""


def test_every_change_of_a_large_catalogue_is_noticed(tmp_path: Path) -> None:
    """Its files are looked at in a second process; this one has threads, and would not."""
    argv = [sys.executable, "-c", IN_TWO_PROCESSES, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout.split()[0]) > 5


def test_a_history_that_decides_nothing_may_change_and_counts_once_it_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "catalogue"
    small_catalogue(root, OTHER, LEAF)
    publish(root, LEAF, {"us-west-2": "ami-1"}, verdict="qualified")
    first = facts(root)
    asked: list[str] = []
    look = os.lstat

    def noted(path: Any, **more: Any) -> os.stat_result:
        asked.append(str(path))
        return look(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", noted)
        assert facts(root) == first
    assert any(path.endswith(f"{LEAF}/qualification.json") for path in asked)
    assert not any(path.endswith("packer_build_history.json") for path in asked)
    tick()
    (root / LEAF / "qualification.json").unlink()  # now the history says when
    assert facts(root)[LEAF].when == "2019-10-03T12:08:26Z"
    tick()
    history = root / LEAF / "packer_build_history.json"
    history.write_text(history.read_text().replace("1570104506", "1570104507"))
    assert facts(root)[LEAF].when == "2019-10-03T12:08:27Z"
    tick()
    publish(root, LEAF, {"us-west-2": "ami-1"}, verdict="qualified")
    assert facts(root) == first


def test_what_changed_a_moment_ago_is_looked_at_again(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    small_catalogue(root)
    for number in range(5):  # quicker than the clock of the file system ticks
        write(root, {f"{LEAF}/dcos_images.yaml": f"us-west-2: ami-{number}\n"})
        assert facts(root, time.time_ns)[LEAF].images == {"us-west-2": f"ami-{number}"}


def test_settings_decide_what_an_index_is_good_for(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    small_catalogue(root, files={f"{LEAF}/other.yaml": "us-west-2: ami-7\n", "osqual.yaml": ""})
    assert facts(root)[LEAF].images == {}
    write(root, {"osqual.yaml": "files: {images: other.yaml}\n"})
    assert facts(root)[LEAF].images == {"us-west-2": "ami-7"}
    write(root, {"osqual.yaml": ""})
    assert facts(root)[LEAF].images == {}


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text", "header", "directory"])
def test_a_damaged_index_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    root = tmp_path / "catalogue"
    write_catalogue(root, 20)
    first = facts(root)
    (file,) = (tmp_path / "cache").iterdir()
    content = file.read_bytes()
    damaged = {
        "empty": b"",
        "truncated": content[: len(content) // 2],
        "flipped": content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        "text": b"hello\n",
        "header": b'{"for": 1, "crc": [], "directories": "x"}\n',
        "directory": b"",
    }[damage]
    file.write_bytes(damaged)
    if damage == "directory":
        file.unlink()
        file.mkdir()
    assert facts(root) == first


def test_where_nothing_can_be_kept_everything_still_works(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    small_catalogue(root)
    (tmp_path / "cache").write_text("a file where the directory should be")
    assert list(facts(root)) == [LEAF]


def test_broken_files_are_reported_each_time(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    small_catalogue(root, files={f"{LEAF}/dcos_images.yaml": "- x"})
    for _ in range(3):
        found, problems = read_facts(opened(root))
        assert [problem.source for problem in problems] == [f"{LEAF}/dcos_images.yaml"]
        assert found[0].standing is Standing.NO_IMAGE


@pytest.mark.parametrize("image", ["a\tb", "a\nb", "é", "a b", "\\", "=", "\u2028"])
def test_strange_ids_come_back_as_they_are(tmp_path: Path, image: str) -> None:
    root = tmp_path / "catalogue"
    small_catalogue(root, files={f"{LEAF}/dcos_images.yaml": {"us-west-2": image}})
    for _ in range(3):
        assert facts(root)[LEAF].images == {"us-west-2": image}


def test_what_is_not_one_line_is_not_kept_in_a_file_of_lines() -> None:
    assert Lines.of(["a", "", "b"]).each == ["a", "", "b"]
    with pytest.raises(ValueError, match="several lines"):
        Lines.of(["a\nb"])


def test_directories_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    write_catalogue(root, 30)
    facts(root)
    for path in (root / "rhel", root / "centos"):
        for inner in sorted(path.rglob("*"), reverse=True):
            inner.rmdir() if inner.is_dir() else inner.unlink()
        path.rmdir()
    tick()
    facts(root)
    (file,) = (tmp_path / "cache").iterdir()
    assert b"centos" not in file.read_bytes()


def test_two_catalogues_do_not_share_an_index(tmp_path: Path) -> None:
    environ = {"OSQUAL_CACHE_DIR": str(tmp_path)}
    first = open_catalogue(small_catalogue(tmp_path / "a").root, environ=environ)
    second = open_catalogue(small_catalogue(tmp_path / "b", OTHER).root, environ=environ)
    assert [item.path for item in first.configurations()] == [LEAF]
    assert [item.path for item in second.configurations()] == [OTHER]
    names = {Index.load(c.root, c.conventions, c.cache, 0).file for c in (first, second)}
    assert len(names) == 2


def test_the_catalogue_may_say_where_its_index_is(tmp_path: Path) -> None:
    """The environment knows better."""
    root = tmp_path / "catalogue"
    write(root, {"osqual.yaml": f"directories: {{cache: {tmp_path / 'there'}}}\n"})
    small_catalogue(root)
    for environ, place in (({}, "there"), ({"OSQUAL_CACHE_DIR": str(tmp_path / "here")}, "here")):
        read_facts(open_catalogue(root, environ=environ))
        assert list((tmp_path / place).rglob("*.index"))


@pytest.mark.parametrize("wanted", ["none", "selinux_enforcing"])
def test_filters_do_not_hide_what_makes_a_parent_only_a_parent(tmp_path: Path, wanted: str) -> None:
    root = tmp_path / "catalogue"
    shared = LEAF.rpartition("/")[0] + "/cluster_profile.tfvars"
    small_catalogue(root, files={shared: "a = 1\n"})
    assert list(facts(root, variant=wanted)) == ([] if wanted == "none" else [LEAF])
