"""Secrets planted in every input of a run, and looked for in everything that it leaves behind."""

import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osqual.builders.base import BuildRequest
from osqual.effects.scope import RunScope
from osqual.errors import BuildFailed
from osqual.events import EventKind
from osqual.model import Image, Verdict
from osqual.pipeline.workflow import Engine
from osqual.processes.process import Completed
from osqual.suites.command_suite import CommandSuite
from osqual.suites.pytest_suite import PytestSuite
from tests.fakes import FakeBuilder, FakeMachine
from tests.fixtures.command import osqual
from tests.forge_emulator import ForgeEmulator, running_forge
from tests.unit.test_announcing import comment, git, watched_commands
from tests.unit.test_announcing import world as world
from tests.unit.test_workflow import World

TOKEN = "ghs_planted-forge-token"
# One for each way in. Some have what JSON, XML, URLs and shells write otherwise.
ENVIRONMENT = {
    "ADMIN_PASSWORD": 'planted<env>&"quoted\\value',
    "DEPLOY_PRIVATE_KEY": "-----BEGIN KEY-----\nplanted/key+line/one=\nplantedkeylinetwo\n-----END",
    "HTTPS_PROXY": "http://someone:planted%2Fproxy@proxy.example:3128",
    "CHAT_WEBHOOK": "https://chat.example/services/planted-webhook",
}
PROFILE = (
    'db_password = "planted-profile-1"\nmirror = "https://u:planted-mirror@mirror.example/x"\n'
)
TEMPLATE_SECRET = "planted-template-2"
INSTALL_SECRET = "planted-install-3"
ORIGIN = "https://planted-remote-4@git.example/x"
SIGNED_URL = "https://bucket.example/f?X-Amz-Signature=planted-signature&part=1"
EVERYTHING = [
    *ENVIRONMENT.values(),
    *PROFILE.splitlines(),
    TEMPLATE_SECRET,
    ORIGIN,
    SIGNED_URL,
    TOKEN,
]
SPOKEN = "\n".join(EVERYTHING)
SPOKEN_LATER = f"{SPOKEN}\n{INSTALL_SECRET}"
"""By what can know it: the installation, suites and nodes after it."""
MARKS = [
    'planted<env>&"quoted\\value', "planted&lt;env", "planted%3Cenv", 'planted<env>&\\"',
    "planted/key+line", "plantedkeylinetwo", "planted%2Fproxy", "planted/proxy",
    "planted-webhook", "planted-profile-1", "planted-mirror", "planted-signature",
    TEMPLATE_SECRET, INSTALL_SECRET, "planted-remote-4", TOKEN,
]  # fmt: skip

REPORTS = ("text", "markdown", "html", "json", "junit")
PRODUCT = """\
description: a thing
install:
  - {name: begin, script: install.sh, nodes: first_master, secrets: [ADMIN_KEY]}
suites:
  - {name: integration, stage: integration, kind: pytest, path: tests}
  - {name: framework, stage: framework, kind: command, path: load.py,
     artefacts: [{path: /spoken.log}]}
"""
TESTS = """\
import os, pathlib, sys
SPOKEN = pathlib.Path(os.environ["SPOKEN"]).read_text()
def test_said():
    print(SPOKEN); print(SPOKEN, file=sys.stderr)
    assert SPOKEN == "something else"
"""
LOAD = """\
#!/usr/bin/env python3
import os, pathlib, sys
from xml.sax.saxutils import escape, quoteattr
spoken = pathlib.Path(os.environ["SPOKEN"]).read_text()
print(spoken); print(spoken, file=sys.stderr)
pathlib.Path(os.environ["OSQUAL_JUNIT"]).write_text(
    '<testsuite name="x" tests="2" failures="1">'
    '<testcase name="a"/><testcase name=' + quoteattr(spoken) + '>'
    '<failure message=' + quoteattr(spoken) + '>' + escape(spoken) + '</failure></testcase>'
    '<system-out>' + escape(spoken) + '</system-out></testsuite>')
sys.exit(1)
"""
INSTALL = f"""\
#!/bin/sh
echo ADMIN_KEY={INSTALL_SECRET} > "$OSQUAL_OUTPUT"
cat "$SPOKEN"; cat "$SPOKEN" >&2
"""


class SpeakingBuilder(FakeBuilder):
    """Writes a log, as builders do, and says what is in it."""

    def build(self, request: BuildRequest, scope: RunScope) -> Image:
        log = scope.directory / "build" / "packer.log"
        log.parent.mkdir()
        log.write_text(SPOKEN)
        (log.parent / "packer.json").write_text(json.dumps(request.template.data))
        for line in SPOKEN.splitlines():
            scope.emit(EventKind.OUTPUT, line, source="build")
        return super().build(request, scope)


def local_machine(places: Path, spoken: Path) -> Callable[..., FakeMachine]:
    """Machines whose scripts really run, here."""

    class LocalMachine(FakeMachine):
        def put_tree(self, local: Path, remote: str, *, sudo: bool = False) -> None:
            place = places / self.node.name / remote
            place.mkdir(parents=True, exist_ok=True)
            for path in local.iterdir():
                (place / path.name).write_bytes(path.read_bytes())

        def run(self, argv: Sequence[str], **options: Any) -> Completed:
            home = places / self.node.name
            home.mkdir(parents=True, exist_ok=True)
            if argv[0] not in ("sh", "cat"):
                return super().run(argv, **options)
            done = subprocess.run(
                argv,
                cwd=home,
                env={"PATH": os.environ["PATH"], "SPOKEN": str(spoken)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for line in done.stdout.splitlines():
                options.get("on_line", lambda _: None)(line)
            return Completed(
                argv=tuple(argv), exit_status=done.returncode, stdout=done.stdout, stderr=""
            )

        def get(self, remote: str, local: Path, *, sudo: bool = False) -> None:
            local.write_text(SPOKEN_LATER)

    return LocalMachine


class SpeakingWorld:
    """A world in which everything that is given a secret says it aloud."""

    def __init__(self, world: World) -> None:
        self.world = world
        root = world.root / "catalogue"
        self.spoken = world.root / "spoken.txt"
        self.spoken.write_text(SPOKEN_LATER)
        product = root / "products" / "thing"
        for name, text in (
            ("product.yaml", PRODUCT), ("install.sh", INSTALL), ("load.py", LOAD),
            ("tests/test_it.py", TESTS),
        ):  # fmt: skip
            (product / name).write_text(text)
        (product / "load.py").chmod(0o755)
        template = json.loads((world.leaf / "packer.json").read_text())
        template["variables"] = {"api_token": TEMPLATE_SECRET}
        template["sensitive-variables"] = ["api_token"]
        (world.leaf / "packer.json").write_text(json.dumps(template))
        (world.leaf / "cluster_profile.tfvars").write_text(PROFILE)
        git(root, "remote", "add", "other", ORIGIN)
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", "secrets everywhere")
        world.environ = {**world.environ, **ENVIRONMENT, "GITHUB_TOKEN": TOKEN}
        world.builder = SpeakingBuilder()
        world.platform.consoles = world.root / "state" / "runs"

    def engine(self) -> Engine:
        engine = World.engine(self.world)
        return replace(
            engine,
            parts=replace(
                engine.parts,
                suite_kinds={
                    "pytest": PytestSuite(lambda *_: ""),
                    "command": CommandSuite(lambda *_: ""),
                },
                open_machine=local_machine(self.world.root / "machines", self.spoken),  # type: ignore[arg-type]
            ),
        )


@pytest.fixture
def emulator() -> Iterator[ForgeEmulator]:
    with running_forge(TOKEN) as forge:
        yield forge


@pytest.fixture
def speaking(world: World, monkeypatch: pytest.MonkeyPatch) -> SpeakingWorld:
    made = SpeakingWorld(world)
    monkeypatch.setattr(world, "engine", made.engine)
    monkeypatch.setenv("SPOKEN", str(made.spoken))
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    world.stand_in(monkeypatch)
    return made


def leaks_in(name: str, content: bytes) -> list[str]:
    return [f"{name}: {mark}" for mark in MARKS if mark.encode() in content]


def leaks_below(*places: Path) -> list[str]:
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert files
    return [leak for path in files for leak in leaks_in(str(path), path.read_bytes())]


def members_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {
            member.name: stream.read()
            for member in opened
            if (stream := opened.extractfile(member)) is not None
        }


def test_what_is_planted_is_found_nowhere(
    speaking: SpeakingWorld,
    emulator: ForgeEmulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = speaking.world
    commands: set[bytes] = set()
    stop = threading.Event()
    watcher = threading.Thread(target=watched_commands, args=(commands, stop))
    watcher.start()
    result = world.run(publish="push")
    stop.set()
    watcher.join()
    assert result.judgement.verdict is Verdict.REJECTED, result.errors[0].details
    (reason,) = result.judgement.reasons
    assert "test_said" in reason, "both suites have run, and said what they were given"
    assert "framework: [secret]" in reason
    assert osqual("bundle", "latest", "--output", str(tmp_path / "b.tar.gz")) == 0
    members = members_of(tmp_path / "b.tar.gz")
    assert any("junit" in name for name in members)
    for words in (
        ("logs", "-v"), ("logs", "--file", "s"), ("runs", "--json"), ("why",),
        *(("report", "latest", "--format", form) for form in REPORTS),
    ):  # fmt: skip
        osqual(*words)
    said = capsys.readouterr()
    assert "[secret]" in said.out
    shown = json.dumps([str(event) for event in world.events])
    found = [
        *leaks_below(world.root / "state", world.root / "remote.git"),
        *(leak for name, content in members.items() for leak in leaks_in(name, content)),
        *leaks_in("what was printed", (said.out + said.err).encode()),
        *leaks_in("events", shown.encode()),
        *leaks_in("comment", comment(emulator).encode()),
        *leaks_in("requests", "".join([*map(str, emulator.statuses), *emulator.requests]).encode()),
        *(leak for line in commands for leak in leaks_in(f"a process: {line!r}", line)),
        *leaks_in("errors", repr(result).encode()),
    ]
    assert found == [], "\n".join(found)


def test_an_error_is_shown_without_secrets(
    speaking: SpeakingWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world = speaking.world
    world.builder.failure = BuildFailed(SPOKEN, details=SPOKEN, resolution=SPOKEN)
    result = world.run(publish="none")
    assert "[secret]" in result.errors[0].brief
    osqual("report", "latest")
    out = io.StringIO()
    print(result, capsys.readouterr(), file=out)
    assert leaks_in("error", out.getvalue().encode()) == []
    assert leaks_below(world.root / "state") == []
