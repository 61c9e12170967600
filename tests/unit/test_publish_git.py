"""Publishing with real git: commits, pushes, races, refusals, signatures, other people's work."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from osqual.conventions import FileNames
from osqual.effects.scope import RunScope
from osqual.errors import InvalidInput, PublishFailed
from osqual.events import EventKind
from osqual.publish.deliver import Delivered, Delivery
from osqual.publish.destination import check_destination, deliver, destination
from osqual.publish.outbox import keep_publication
from osqual.publish.repository import Destination, Repository
from osqual.settings import Publish, Retries, Settings
from tests.scopes import Surroundings
from tests.unit.test_publish import publication

NAMES = FileNames()
MAIN = Destination(remote="origin", branch="main")
AUTHOR = "Qualification <bot@example.org>"


@pytest.fixture(autouse=True)
def no_settings_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=A Person", "-c", "user.email=a@b.c", *arguments],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@dataclass
class Forge:
    """A bare repository with a catalogue on its branch `main`."""

    root: Path

    @property
    def bare(self) -> Path:
        return self.root / "remote.git"

    def clone(self, name: str, url: str = "") -> Path:
        git(self.root, "clone", "-q", url or str(self.bare), name)
        return self.root / name

    def show(self, path: str, ref: str = "main") -> str:
        return git(self.bare, "show", f"{ref}:{path}")

    def subjects(self) -> list[str]:
        return git(self.bare, "log", "--format=%s", "main").splitlines()

    def hook(self, name: str, text: str) -> None:
        path = self.bare / "hooks" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    forge = Forge(tmp_path)
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "remote.git")
    work = forge.clone("first")
    for name in ("one", "two"):
        (work / "debian" / name).mkdir(parents=True)
        (work / "debian" / name / "packer.json").write_text("{}\n")
    git(work, "checkout", "-q", "-b", "main")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "catalogue")
    git(work, "push", "-q", "origin", "main")
    return forge


def scope_in(directory: Path, **publish: Any) -> RunScope:
    directory.mkdir(exist_ok=True)
    settings = Settings(
        publish=Publish(**{"author": AUTHOR, **publish}),
        retries=Retries(attempts=2, first_wait_s=0.01),
    )
    return replace(Surroundings(directory).scope, settings=settings)


def delivery(work: Path, run_id: str = "r1", where: str = "debian/one", **publish: Any) -> Delivery:
    known = replace(publication(run_id), configuration=where)
    directory = work.parent / f"run-{run_id}"
    scope = scope_in(directory, **publish)
    keep_publication(directory, known)
    return Delivery(publication=known, root=work, scope=scope)


def test_a_commit_has_the_published_files_and_nothing_else(forge: Forge) -> None:
    work = forge.clone("work")
    (work / "staged").write_text("a person's own work")
    git(work, "add", "staged")
    (work / "debian" / "one" / "packer.json").write_text("{ }\n")
    before = git(work, "status", "--porcelain")
    done = delivery(work).to_branch()
    assert git(work, "rev-parse", "main") == done.commit
    assert git(work, "diff", "--name-only", "HEAD~1", "HEAD").splitlines() == [
        f"debian/one/{name}" for name in (NAMES.images, NAMES.history, NAMES.record)
    ]
    assert git(work, "status", "--porcelain") == before, "index and work tree are as they were"
    assert git(work, "log", "-1", "--format=%an <%ae>") == AUTHOR
    message = git(work, "log", "-1", "--format=%B")
    assert message == ("Publish images for debian/one\n\nOsqual-Run: r1\nOsqual-Verdict: qualified")
    assert forge.subjects() == ["catalogue"], "a commit is not pushed"


def test_publishing_twice_makes_one_commit(forge: Forge) -> None:
    work = forge.clone("work")
    first, second = delivery(work).to_branch(), delivery(work).to_branch()
    assert second == Delivered(commit=first.commit, where="main")
    pushed = delivery(work, "r2").to_remote(MAIN)
    again = delivery(work, "r2").to_remote(MAIN)
    assert (again.commit, again.files) == (pushed.commit, ())
    assert len(forge.subjects()) == 2


def test_a_push_brings_one_commit_and_no_other_work(forge: Forge) -> None:
    work = forge.clone("work")
    (work / "unfinished").write_text("")
    git(work, "add", "unfinished")
    git(work, "commit", "-q", "-m", "not for others yet")
    git(work, "branch", "private")
    done = delivery(work).to_remote(MAIN)
    assert forge.subjects() == ["Publish images for debian/one", "catalogue"]
    assert git(forge.bare, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert done.files == (), "the local branch is elsewhere and stays"
    assert git(work, "status", "--porcelain") == ""


def test_the_local_branch_follows_where_it_can(forge: Forge) -> None:
    work = forge.clone("work")
    done = delivery(work).to_remote(MAIN)
    assert git(work, "rev-parse", "HEAD") == done.commit == git(forge.bare, "rev-parse", "main")
    assert git(work, "status", "--porcelain") == ""
    assert (work / "debian" / "one" / NAMES.images).read_text() == "local: sha256:r1\n"


def test_a_history_that_grew_meanwhile_keeps_all_builds(forge: Forge) -> None:
    mine, theirs = forge.clone("mine"), forge.clone("theirs")
    delivery(theirs, "r2").to_remote(MAIN)
    delivery(mine, "r1").to_remote(MAIN)
    history = json.loads(forge.show(f"debian/one/{NAMES.history}"))
    assert [build["packer_run_uuid"] for build in history["builds"]] == [
        "build of r2",
        "build of r1",
    ]


@pytest.mark.timeout(280)
def test_of_ten_publishers_at_once_none_is_lost(forge: Forge) -> None:
    """Half of them share a clone; somebody replaces the branch in between."""
    shared = forge.clone("shared")
    works = [shared if n % 2 else forge.clone(f"work{n}") for n in range(10)]
    for number, work in enumerate(works):
        (work / "debian" / f"c{number}").mkdir()
    failures: list[Exception] = []

    def publish(number: int) -> None:
        try:
            delivery(works[number], f"r{number}", f"debian/c{number}").to_remote(MAIN)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    while len(forge.subjects()) < 4:
        time.sleep(0.05)
    force_another_history(forge)
    for thread in threads:
        thread.join()
    assert failures == []
    published = [subject for subject in forge.subjects() if subject.startswith("Publish")]
    assert len(published) == len(set(published)) == 10
    for number in range(10):
        assert forge.show(f"debian/c{number}/{NAMES.images}") == f"local: sha256:r{number}"


def force_another_history(forge: Forge) -> None:
    """The same tree under another root: what a person does with `push --force`."""
    while True:
        tip = git(forge.bare, "rev-parse", "main")
        subjects = git(forge.bare, "log", "--reverse", "--format=%H", "main").splitlines()
        rewritten = ""
        for commit in subjects:
            parent = ["-p", rewritten] if rewritten else []
            subject = git(forge.bare, "log", "-1", "--format=%B", commit)
            tree = f"{commit}^{{tree}}"
            rewritten = git(forge.bare, "commit-tree", *parent, "-m", subject, tree)
        with suppress(subprocess.CalledProcessError):
            git(forge.bare, "update-ref", "refs/heads/main", rewritten, tip)
            return


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_what_a_hook_refuses_is_left_as_a_patch(forge: Forge, hook: str) -> None:
    forge.hook(hook, "echo 'only on Mondays' >&2; exit 1")
    work = forge.clone("work")
    with pytest.raises(PublishFailed, match="cannot be pushed to") as refused:
        delivery(work).to_remote(MAIN)
    assert "only on Mondays" in refused.value.details
    assert "osqual publish r1" in refused.value.resolution
    patch = work.parent / "run-r1" / "publish" / "r1.patch"
    assert str(patch) in refused.value.resolution
    git(work, "am", "-q", str(patch))
    assert (work / "debian" / "one" / NAMES.images).read_text() == "local: sha256:r1\n"


def test_a_hook_of_the_user_may_refuse_too(forge: Forge) -> None:
    work = forge.clone("work")
    hook = work / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\necho 'the hook says no' >&2; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PublishFailed):
        delivery(work).to_remote(MAIN)
    assert forge.subjects() == ["catalogue"]


def test_an_unreachable_remote_is_tried_again_and_loses_nothing(forge: Forge) -> None:
    work = forge.clone("work")
    around = Surroundings(work.parent / "run-r1")
    settings = delivery(work).scope.settings
    scope = replace(around.scope, settings=settings)
    known = delivery(work).publication
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        git(work, "remote", "set-url", "origin", f"git://127.0.0.1:{taken.getsockname()[1]}/x.git")
        with pytest.raises(PublishFailed, match="ls-remote failed") as failed:
            Delivery(publication=known, root=work, scope=scope).to_remote(MAIN)
        assert "r1.patch" in failed.value.resolution
    assert len(around.said(EventKind.RETRY)) == 1
    git(work, "remote", "set-url", "origin", str(forge.bare))
    assert Delivery(publication=known, root=work, scope=scope).to_remote(MAIN).commit


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@git.example/x.git",
        "https://ghp_s3cret@git.example/x.git",
        "https://glpat-s3cret@git.example/x.git",
    ],
)
def test_a_token_in_a_url_is_refused_and_not_repeated(forge: Forge, url: str) -> None:
    work = forge.clone("work")
    git(work, "remote", "set-url", "origin", url)
    with pytest.raises(PublishFailed, match="token in it") as refused:
        delivery(work).to_remote(MAIN)
    assert "s3cret" not in str(refused.value)


def test_a_branch_that_is_not_there_is_not_made(forge: Forge) -> None:
    work = forge.clone("work")
    with pytest.raises(PublishFailed, match="There is no branch other"):
        delivery(work).to_remote(Destination(remote="origin", branch="other"))


def test_without_a_branch_there_is_nothing_to_commit_onto(forge: Forge) -> None:
    work = forge.clone("work")
    git(work, "checkout", "-q", "--detach")
    with pytest.raises(PublishFailed, match="No branch is checked out"):
        delivery(work).to_branch()
    repository = delivery(work).repository
    with pytest.raises(InvalidInput, match="none is checked out"):
        check_destination("commit", repository, Settings(), {})
    with pytest.raises(InvalidInput, match="Nothing says where"):
        check_destination("push", repository, Settings(), {})


def test_outside_of_git_it_is_refused_before_anything_begins(tmp_path: Path) -> None:
    surroundings = Surroundings(tmp_path)
    repository = Repository(root=tmp_path, cancellation=surroundings.cancellation)
    check_destination("worktree", repository, Settings(), {})
    with pytest.raises(InvalidInput, match="in git"):
        check_destination("push", repository, Settings(), {})


def test_the_branch_is_that_of_the_settings_then_of_the_change_then_the_followed_one(
    forge: Forge,
) -> None:
    repository = delivery(forge.clone("work")).repository
    change = {"GITLAB_CI": "1", "CI_COMMIT_REF_NAME": "topic"}
    assert destination(repository, Settings(), {}) == MAIN
    assert destination(repository, Settings(), change).branch == "topic"
    set_so = Settings(publish=Publish(branch="published", remote="/elsewhere.git"))
    assert destination(repository, set_so, change) == Destination(
        remote="/elsewhere.git", branch="published"
    )


def test_a_fork_gets_a_patch(forge: Forge, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    head = {"sha": "f" * 40, "ref": "topic", "repo": {"full_name": "someone/images"}}
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": head}}))
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "acme/images",
        "GITHUB_EVENT_PATH": str(event),
    }
    work = forge.clone("work")
    done = deliver(delivery(work), "push", environ)
    assert done.patch is not None
    assert "Publish images for debian/one" in done.patch.read_text()
    assert forge.subjects() == ["catalogue"]
    git(work, "am", "-q", str(done.patch))


def test_commits_are_signed_where_git_is_set_up_for_it(forge: Forge) -> None:
    work = forge.clone("work")
    key = forge.root / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": str(key),
        "commit.gpgSign": "true",
        "gpg.ssh.allowedSignersFile": str(forge.root / "signers"),
    }.items():
        git(work, "config", name, value)
    (forge.root / "signers").write_text(f"bot@example.org {key.with_suffix('.pub').read_text()}")
    delivery(work).to_remote(MAIN)
    assert git(work, "log", "-1", "--format=%G?") == "G"


def test_paths_with_spaces_and_other_letters(forge: Forge) -> None:
    work = forge.clone("work")
    where = "débian/with space"
    (work / where).mkdir(parents=True)
    delivery(work, where=where).to_remote(MAIN)
    assert forge.show(f"{where}/{NAMES.images}") == "local: sha256:r1"
    assert git(work, "status", "--porcelain") == ""


def test_a_catalogue_below_the_top_of_its_repository(forge: Forge) -> None:
    work = forge.clone("work")
    known = replace(delivery(work), root=work / "debian")
    replace(known, publication=replace(known.publication, configuration="one")).to_remote(MAIN)
    assert forge.show(f"debian/one/{NAMES.images}") == "local: sha256:r1"
    assert git(work, "status", "--porcelain") == ""


@pytest.fixture
def ssh_url(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The bare repository behind a real OpenSSH server on loopback."""
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None:
        pytest.skip("sshd is not installed")
    root = forge.root / "ssh"
    root.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)], check=True
        )
    (root / "authorized").write_text((root / "user.pub").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    options = {
        "ListenAddress": "127.0.0.1",
        "HostKey": root / "host",
        "AuthorizedKeysFile": root / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
    }
    (root / "config").write_text("".join(f"{key} {value}\n" for key, value in options.items()))
    child = subprocess.Popen(
        [server, "-D", "-e", "-f", str(root / "config"), "-p", str(port)],
        stderr=subprocess.DEVNULL,
    )
    monkeypatch.setenv(
        "GIT_SSH_COMMAND",
        f"ssh -F none -i {root / 'user'} -oUserKnownHostsFile={root / 'known'} "
        "-oStrictHostKeyChecking=accept-new -oBatchMode=yes",
    )
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.05)
    user = getpass.getuser()
    yield f"ssh://{user}@127.0.0.1:{port}{forge.bare}"
    child.terminate()
    child.wait()


def test_over_ssh(forge: Forge, ssh_url: str) -> None:
    work = forge.clone("work", ssh_url)
    assert delivery(work).to_remote(MAIN).commit == git(forge.bare, "rev-parse", "main")
    forge.hook("pre-receive", "exit 1")
    with pytest.raises(PublishFailed, match="cannot be pushed to"):
        delivery(work, "r2").to_remote(MAIN)
