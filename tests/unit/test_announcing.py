"""What a run tells the forge, from its begin to later: the whole pipeline beside an emulator."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.cli.main import main
from osqual.conventions import FileNames
from osqual.errors import ExitCode
from osqual.forge.comment import rows_of
from osqual.publish.repository import Repository
from osqual.report.bundle import write_bundle
from osqual.run.announcing import carries_over
from osqual.secrecy import Secrecy
from osqual.settings import Retries
from tests.archives import unpack
from tests.forge_emulator import Fault, ForgeEmulator, running_forge
from tests.unit.test_workflow import LEAF, World

TOKEN = "ghs_planted-and-nowhere-else"
PASSWORD = "planted-passphrase-42"
CONTEXT = f"osqual/{LEAF}"


@pytest.fixture
def emulator() -> Iterator[ForgeEmulator]:
    with running_forge(TOKEN) as forge:
        yield forge
    assert forge.violations == []


def git(directory: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def world(tmp_path: Path, emulator: ForgeEmulator) -> World:
    """A pull request's catalogue in git, in a job of its forge's continuous integration."""
    (tmp_path / "catalogue").mkdir()
    root = tmp_path / "catalogue"
    world = World(tmp_path)
    quickly = Retries(attempts=2, first_wait_s=0.01)
    world.settings = world.settings.model_copy(update={"retries": quickly})
    git(tmp_path, "init", "-q", "--bare", "-b", "topic", "remote.git")
    git(root, "init", "-q", "-b", "topic")
    git(root, "config", "user.name", "Bot")
    git(root, "config", "user.email", "bot@example.org")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "catalogue")
    git(root, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(root, "push", "-q", "origin", "topic")
    head = git(root, "rev-parse", "HEAD")
    pull = {
        "number": 7,
        "head": {"sha": head, "ref": "topic", "repo": {"full_name": "acme/images"}},
    }
    (tmp_path / "event.json").write_text(json.dumps({"pull_request": pull}))
    world.environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "acme/images",
        "GITHUB_API_URL": emulator.url,
        "GITHUB_RUN_ID": "42",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_TOKEN": TOKEN,
        "ADMIN_PASSWORD": PASSWORD,
    }
    return world


def head_of(world: World) -> str:
    event = json.loads((world.root / "event.json").read_text())
    return str(event["pull_request"]["head"]["sha"])


def comment(emulator: ForgeEmulator) -> str:
    (only,) = emulator.comments.values()
    return str(only["body"])


def test_head_and_published_commit_get_the_verdict(world: World, emulator: ForgeEmulator) -> None:
    world.run(publish="push")
    published = git(world.root / "remote.git", "rev-parse", "topic")
    assert published != head_of(world)
    for commit in (head_of(world), published):
        assert emulator.status_of(commit, CONTEXT) == "success"
    states = [each["state"] for each in emulator.statuses]
    assert states == ["pending", "success", "success"]
    (row,) = rows_of(comment(emulator))
    assert (row.configuration, row.verdict, row.commit) == (LEAF, "qualified", head_of(world))
    assert row.url == "https://github.example/acme/images/actions/runs/42"


def test_a_rejected_run_is_red_and_its_tests_are_named(
    world: World, emulator: ForgeEmulator
) -> None:
    world.suites.failing.add("integration")
    world.config("publish_dcos_images_after: integration_tests\n")
    world.run(publish="push")
    assert emulator.status_of(head_of(world), CONTEXT) == "failure"
    (row,) = rows_of(comment(emulator))
    assert (row.step, row.counts["failing"]) == ("test", 1)
    assert row.failing[0].startswith("integration: ")


def test_a_verdict_is_not_carried_over_to_what_was_not_tested(
    world: World, emulator: ForgeEmulator
) -> None:
    other = world.root / "other"
    git(world.root, "clone", "-q", str(world.root / "remote.git"), "other")
    (other / "install.sh").write_text("something that nobody tested\n")
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "another change")
    git(other, "push", "-q", "origin", "topic")
    world.run(publish="push")
    published = git(world.root / "remote.git", "rev-parse", "topic")
    assert git(world.root / "remote.git", "log", "-1", "--format=%s").startswith("Publish images")
    assert emulator.status_of(head_of(world), CONTEXT) == "success"
    assert emulator.status_of(published, CONTEXT) is None


@pytest.mark.parametrize(
    ("changed", "carried"),
    [
        (["a/dcos_images.yaml", "b/c/qualification.json"], True),
        (["a/packer_build_history.json"], True),
        (["a/dcos_images.yaml", "a/packer.json"], False),
        (["README.md"], False),
        (["a/not_qualification.json"], False),
    ],
)
def test_only_published_files_carry_a_verdict_over(
    tmp_path: Path, changed: list[str], carried: bool
) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "tested")
    for name in changed:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "later")
    repository = Repository(root=tmp_path, cancellation=Cancellation())
    tested, later = git(tmp_path, "rev-parse", "HEAD~1"), git(tmp_path, "rev-parse", "HEAD")
    assert carries_over(repository, tested, later, FileNames()) is carried
    assert not carries_over(repository, "f" * 40, later, FileNames()), "nobody knows what it is"


def test_a_forge_that_is_down_loses_nothing(
    world: World,
    emulator: ForgeEmulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    emulator.faults = [Fault(500)] * 50
    result = world.run(publish="push")
    assert (result.judgement.verdict.value, result.exit_code) == (
        "qualified",
        ExitCode.INCONCLUSIVE,
    )
    assert "osqual publish" in result.errors[0].resolution
    emulator.faults = []
    monkeypatch.chdir(world.root / "catalogue")
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    for name in ("state", "cache", "data"):
        monkeypatch.setenv(f"OSQUAL_{name.upper()}_DIR", str(world.root / name))
    with pytest.raises(SystemExit) as ended:
        main(["publish", "latest"])
    assert ended.value.code == 0
    assert "The forge was told." in capsys.readouterr().out
    assert emulator.status_of(head_of(world), CONTEXT) == "success"
    published = git(world.root / "remote.git", "rev-parse", "topic")
    assert emulator.status_of(published, CONTEXT) == "success"
    subjects = git(world.root / "remote.git", "log", "--format=%s", "topic").splitlines()
    assert len(subjects) == 2, "what was pushed before is not pushed again"


def watched_commands(seen: set[bytes], stop: threading.Event) -> None:
    """Every command line of this machine, looked at again and again."""
    while not stop.wait(0.001):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                seen.add(path.read_bytes())


def test_planted_secrets_are_in_nothing_that_is_left(
    world: World, emulator: ForgeEmulator, tmp_path: Path
) -> None:
    """Neither in files, records, comments, requests, the bundle, nor in any command line."""
    secrets = (PASSWORD, TOKEN, "planted-in-the-profile", "planted-in-the-url")
    (world.leaf / "cluster_profile.tfvars").write_text(f'db_password = "{secrets[2]}"\n')
    git(world.root / "catalogue", "remote", "add", "other", f"https://u:{secrets[3]}@git.example/x")
    world.suites.test_id = f"test_login[{PASSWORD}-{TOKEN}]"
    world.suites.failing.add("integration")
    commands: set[bytes] = set()
    stop = threading.Event()
    watcher = threading.Thread(target=watched_commands, args=(commands, stop))
    watcher.start()
    world.run(publish="push")
    stop.set()
    watcher.join()
    assert any(b"git\0" in command for command in commands), "somebody was watching"
    bundle = tmp_path / "bundle.tar.gz"
    write_bundle(bundle, world.store, world.store.run("latest"), Secrecy(world.environ))
    unpack(bundle, tmp_path / "bundle")
    left = [comment(emulator), *map(str, emulator.statuses), *emulator.requests]
    places = [world.root / "state" / "runs", world.root / "remote.git", tmp_path / "bundle"]
    published = [world.leaf / name for name in FileNames().published]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert "[secret]" in comment(emulator)
    for secret in secrets:
        assert secret not in "".join(left)
        assert not [one for one in commands if secret.encode() in one]
        for path in (*files, *(path for path in published if path.exists())):
            assert secret.encode() not in path.read_bytes(), path


def test_outside_of_continuous_integration_nobody_is_told(
    world: World, emulator: ForgeEmulator
) -> None:
    world.environ = {"GITHUB_TOKEN": TOKEN}
    assert world.run(publish="push").exit_code is ExitCode.OK
    world.environ = {}
    assert emulator.requests == []


def test_the_branch_is_green_by_the_verdicts_about_its_inputs(
    world: World,
    emulator: ForgeEmulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Also on the commit that osqual pushed; and no longer after a change that nobody tested."""
    root = world.root / "catalogue"
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    for name in ("state", "cache", "data"):
        monkeypatch.setenv(f"OSQUAL_{name.upper()}_DIR", str(world.root / name))
    monkeypatch.chdir(root)
    base = git(root, "rev-parse", "HEAD")
    (world.leaf / "install.sh").write_text("#!/bin/sh\necho changed\n")
    git(root, "commit", "-q", "-a", "-m", "a change")
    git(root, "push", "-q", "origin", "topic")

    def ask() -> tuple[int, str | None]:
        summary = tmp_path / "summary.md"
        with pytest.raises(SystemExit) as ended:
            main(["ci", "verdicts", "--changed-since", base, "--markdown", str(summary)])
        assert "| configuration |" in summary.read_text()
        head = git(root, "rev-parse", "HEAD")
        assert emulator.status_of(head, CONTEXT) == emulator.status_of(head, "osqual")
        return int(ended.value.code or 0), emulator.status_of(head, "osqual")

    assert ask() == (3, "error"), "nothing has been run"
    world.run(publish="push")
    assert git(root, "log", "-1", "--format=%s").startswith("Publish images")
    assert ask() == (0, "success")
    (world.leaf / "install.sh").write_text("#!/bin/sh\necho changed again\n")
    git(root, "commit", "-q", "-a", "-m", "nobody tested this")
    assert ask() == (3, "error")
    assert "install.sh changed" in capsys.readouterr().out


def test_a_try_is_told_to_nobody(world: World, emulator: ForgeEmulator) -> None:
    world.run(keywords=("test_it",))
    world.run(publish="none")
    assert emulator.requests == []


def test_a_key_that_cannot_sign_is_refused_before_anything_is_built(world: World) -> None:
    world.environ = {"OSQUAL_SIGNING_PRIVATE_KEY": "no key at all"}
    assert world.run().exit_code is ExitCode.USAGE
    assert world.builder.built == []


def test_what_publishes_never_is_told_by_its_run_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = world.root / "catalogue"
    base = git(root, "rev-parse", "HEAD")
    world.config("publish_dcos_images_after: never\n")
    monkeypatch.chdir(root)
    monkeypatch.setenv("OSQUAL_CACHE_DIR", str(world.root / "cache"))
    with pytest.raises(SystemExit) as ended:
        main(["ci", "verdicts", "--changed-since", base])
    assert ended.value.code == 0
    assert f"by its run   {LEAF}" in capsys.readouterr().out
