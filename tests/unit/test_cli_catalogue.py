"""Where a catalogue is, and what is wrong with it: the same for every command that asks."""

import os
from pathlib import Path

import pytest

from tests.fixtures.asking import ASKING, IMAGES, NEWER, RHEL, Osqual, root
from tests.fixtures.catalogue_small import (
    LEAF,
    publish,
    write,
)
from tests.fixtures.catalogue_synthetic import write_catalogue


def test_commands_work_from_any_directory_inside(
    osqual: Osqual, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(root(), LEAF, IMAGES)
    expected = osqual("find", "--json").json
    monkeypatch.chdir(root() / LEAF)
    assert osqual("find", "--json").json == expected
    assert osqual("show", ".", "--json").json["configuration"] == LEAF
    assert osqual("show", NEWER, "--json").json["configuration"] == NEWER
    assert osqual("plan", ".", "--json").json["steps"][0]["configuration"] == LEAF


@pytest.mark.parametrize("command", ["find", "matrix", "recipes", "plan", "show x", "history x"])
def test_outside_of_a_catalogue_that_is_said(
    osqual: Osqual, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    refused = osqual(*command.split())
    assert (refused.code, refused.out) == (2, "")
    assert "There is no catalogue in " in refused.err


@pytest.mark.parametrize(
    "settings", ["layout: 1\n", "layout: '{'\n", "unknown: 1\n", "- a\n", "a: [\n"]
)
@pytest.mark.parametrize("command", ASKING)
def test_settings_that_cannot_be_used(osqual: Osqual, settings: str, command: str) -> None:
    write(root(), {"osqual.yaml": settings})
    arguments = {"show": [LEAF], "history": [LEAF], "ancestry": ["ami-1"]}.get(command, [])
    refused = osqual(command, *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert "osqual.yaml" in refused.err


HOSTILE = {
    "not text": b"\xff\xfe\x00",
    "broken": b"{",
    "deep": b"[" * 100_000,
    "bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
    ),
    "huge": None,
    "directory": None,
    "pipe": None,
    "dangling": None,
    "cycle": None,
    "outside": None,
}


def put(path: Path, kind: str, secret: Path) -> None:
    path.unlink(missing_ok=True)
    content = HOSTILE[kind]
    if content is not None:
        path.write_bytes(content)
    elif kind == "huge":
        with path.open("wb") as stream:
            stream.truncate(50 * 1024 * 1024)
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        targets = {"dangling": "nowhere", "cycle": path.name, "outside": str(secret)}
        path.symlink_to(targets[kind])


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["osqual.yaml", "mutes.yaml", "products/DCOS/product.yaml"])
def test_a_hostile_file_for_all_is_named_or_left_alone(
    osqual: Osqual, tmp_path: Path, kind: str, name: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"secret-word": 1}')
    write(root(), {name: ""})
    put(root() / name, kind, secret)
    before = sorted(path.relative_to(root()) for path in root().rglob("*"))
    for command in ("find", "mutes", "plan", "lint", "derive --set release=9 ** --dry-run"):
        ran = osqual(*command.split())
        assert ran.code in (0, 1, 2), ran.err
        assert ran.code != 2 or name in ran.err
        assert "secret-word" not in ran.out + ran.err
    assert sorted(path.relative_to(root()) for path in root().rglob("*")) == before


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["packer.json", "cluster_profile.tfvars", "dcos_images.yaml"])
def test_one_hostile_file_stops_no_command_about_the_others(
    osqual: Osqual, tmp_path: Path, kind: str, name: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"secret-word": 1}')
    publish(root(), LEAF, IMAGES)
    publish(root(), RHEL, IMAGES)
    put(root() / LEAF / name, kind, secret)
    before = sorted(path.relative_to(root()) for path in root().rglob("*"))
    for command in ("find", "matrix", "recipes", "plan", "ancestry ami-2"):
        ran = osqual(*command.split())
        assert ran.code == 0, ran.err
        assert "secret-word" not in ran.out + ran.err
        assert "rhel" in ran.out
    for command in ("show", "history"):
        ran = osqual(command, LEAF)
        assert ran.code == 0, ran.err
        assert "secret-word" not in ran.out + ran.err
    assert f"{LEAF}/{name}" in osqual("show", LEAF).err
    for command in ("lint", "lint --fix --dry-run --force"):
        ran = osqual(*command.split())
        assert ran.code in (0, 1), ran.err
        assert "secret-word" not in ran.out + ran.err
    assert sorted(path.relative_to(root()) for path in root().rglob("*")) == before


def test_what_files_say_cannot_steer_the_terminal(osqual: Osqual) -> None:
    write(root(), {f"{LEAF}/dcos_images.yaml": {"us-west-2": "\x1b[2Jami\r\n\u202e"}})
    shown = osqual("find").out
    assert r"\x1b[2Jami\r\n\u202e" in shown
    assert "\x1b[2J" not in shown


def test_a_large_catalogue_prints_the_same_each_time(osqual: Osqual, tmp_path: Path) -> None:
    write_catalogue(tmp_path / "large", 120)
    for command in (["find"], ["matrix"], ["recipes"], ["plan"]):
        first = osqual(*command, "-C", str(tmp_path / "large"), "--json")
        again = osqual(*command, "-C", str(tmp_path / "large"), "--json")
        assert first == again
        assert first.code == 0
