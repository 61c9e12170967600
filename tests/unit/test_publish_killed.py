"""A process that is killed while it publishes: resumed, it loses nothing and doubles nothing."""

import json
import os
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from osqual.failpoints import number_boundaries
from tests.durable import LEAF, DurableWorld, in_child
from tests.fixtures.command import osqual, stand_in

CONFIG = "publish: {author: Bot <bot@example.org>}\n"
STRIDE = 6
"""Every so many boundaries the process is killed once."""


def git(directory: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def with_remote(world: DurableWorld) -> DurableWorld:
    """The catalogue in git, with a bare repository of its own to push to."""
    settings = world.catalogue / "osqual.yaml"
    if CONFIG not in settings.read_text():
        settings.write_text(settings.read_text() + CONFIG)
    bare = world.root / "remote.git"
    git(world.root, "init", "-q", "--bare", "-b", "main", str(bare))
    git(world.catalogue, "init", "-q", "-b", "main")
    git(world.catalogue, "add", ".")
    git(world.catalogue, "commit", "-q", "-m", "catalogue")
    git(world.catalogue, "remote", "add", "origin", str(bare))
    git(world.catalogue, "push", "-q", "origin", "main")
    return world


def copy_with_remote(world: DurableWorld, root: Path) -> DurableWorld:
    """The same elsewhere, with its own remote: quicker than making it."""
    copy = world.copy(root)
    git(copy.catalogue, "remote", "set-url", "origin", str(copy.root / "remote.git"))
    return copy


@pytest.fixture
def template(tmp_path: Path) -> DurableWorld:
    return DurableWorld.make(tmp_path / "template")


def boundaries_of_publishing(world: DurableWorld) -> list[str]:
    """What a run passes between the begin and the end of its step `publish`."""
    trace = world.root / "trace"
    assert in_child(lambda: world.run(publish="push"), trace=trace) == 0
    passed = number_boundaries(trace.read_text())
    begin = next(n for n, name in enumerate(passed) if "begin step publish" in name)
    end = next(n for n, name in enumerate(passed) if name.startswith("after store: end step publ"))
    return passed[begin : end + 1]


def assert_published_once(world: DurableWorld) -> None:
    bare = world.root / "remote.git"
    assert git(bare, "log", "--format=%s", "main").splitlines() == [
        f"Publish images for {LEAF}",
        "catalogue",
    ]
    record = json.loads(git(bare, "show", f"main:{LEAF}/qualification.json"))
    assert f"Osqual-Run: {record['run']}" in git(bare, "log", "-1", "--format=%B", "main")
    history = json.loads(git(bare, "show", f"main:{LEAF}/packer_build_history.json"))
    assert len(history["builds"]) == 1
    assert [path.name for path in world.leaf.iterdir() if path.name.endswith(".tmp")] == []


@pytest.mark.timeout(1500)  # ten runs, each killed and resumed: minutes on a machine that is busy
def test_killed_anywhere_while_publishing(template: DurableWorld, tmp_path: Path) -> None:
    with_remote(template)
    passed = boundaries_of_publishing(copy_with_remote(template, tmp_path / "whole"))
    assert len(passed) > 40
    for number, fault in enumerate(passed[::STRIDE]):
        world = copy_with_remote(template, tmp_path / f"killed{number}")
        trace = world.root / "trace"
        push = partial(world.run, publish="push")
        code = in_child(push, trace=trace, fault=fault)
        assert code == -signal.SIGKILL, fault
        assert in_child(world.resume) == 0, fault
        assert_published_once(world)
        store = world.store()
        assert store.resources() == [], fault
        store.close()


def test_a_finished_run_is_published_later(
    template: DurableWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = with_remote(template)
    hook = world.root / "remote.git" / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert in_child(lambda: world.run(publish="push")) == 3
    store = world.store()
    run = store.run("latest")
    store.close()
    assert run["verdict"] == "qualified"
    patch = Path(run["directory"]) / "publish" / f"{run['id']}.patch"
    assert patch.is_file()
    hook.unlink()
    stand_in(world.catalogue, world.environ, monkeypatch)
    assert osqual("publish", "latest", "--json") == 0
    published: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert published["commit"] == git(world.root / "remote.git", "rev-parse", "main")
    assert osqual("publish", "latest") == 0
    assert_published_once(world)


def test_what_cannot_be_published_is_refused_before_anything_is_built(
    template: DurableWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_child(lambda: template.run(publish="push")) == 2
    assert template.executions() == []
    stand_in(template.catalogue, template.environ, monkeypatch)
    assert osqual("publish", "latest") == 2
    assert "nothing to publish" in capsys.readouterr().err
    assert os.environ.get("OSQUAL_STATE_DIR")
