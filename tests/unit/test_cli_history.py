"""`osqual history`: builds, and what changed between two."""

import subprocess
from pathlib import Path

from tests.fixtures.asking import IMAGES, Osqual, root
from tests.fixtures.catalogue_small import (
    LEAF,
    publish,
    template,
    write,
)


def git(*arguments: str) -> None:
    identity = [
        "-c",
        "user.name=Ann",
        "-c",
        "user.email=t@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def test_history_joins_the_file_and_git(osqual: Osqual) -> None:
    (root() / ".git" / "keep").unlink()
    git("init", "-q")
    publish(root(), LEAF, {"us-west-2": "ami-0a"})
    git("add", "-A")
    git("commit", "-qm", "first")
    write(root(), {f"{LEAF}/install.sh": "set -e\necho newer\n"})
    history = {
        "builds": [
            {
                "builder_type": "amazon-ebs",
                "build_time": 1580104506,
                "artifact_id": "us-west-2:ami-0b",
                "packer_run_uuid": "u2",
            }
        ]
    }
    write(root(), {f"{LEAF}/packer_build_history.json": history})
    write(root(), {f"{LEAF}/dcos_images.yaml": "us-west-2: ami-0b\n"})
    git("commit", "-qam", "second")
    builds = osqual("history", LEAF, "--json").json
    assert [(b["build"], b["images"], b["published"], b["in_history_file"]) for b in builds] == [
        (1, {"us-west-2": "ami-0a"}, False, False),
        (2, {"us-west-2": "ami-0b"}, True, True),
    ]
    assert [b["commit"]["subject"] for b in builds] == ["first", "second"]
    text = osqual("history", LEAF).out
    assert "Ann" in text
    assert "only in git" in text
    (change,) = osqual("history", LEAF, "--diff", "1", "2", "--json").json
    assert change["input"] == "file:install.sh"
    assert "+echo newer" in change["diff"]
    assert "+echo newer" in osqual("history", LEAF, "--diff", "1", "now").out
    assert osqual("history", LEAF, "--diff", "2", "now").out == ""
    assert osqual("history", LEAF, "--diff", "1", "3").code == 2
    assert osqual("history", LEAF, "--diff", "HEAD~1", "HEAD").out != ""


def test_history_reads_nothing_outside_and_compares_nothing_endless(
    osqual: Osqual, tmp_path: Path
) -> None:
    (root() / ".git" / "keep").unlink()
    git("init", "-q")
    write(tmp_path, {"secret": "secret-word\n"})
    upload = {"type": "file", "source": "files", "destination": "/tmp/files"}
    document = {**template(), "provisioners": [upload]}
    write(root(), {f"{LEAF}/packer.json": document, f"{LEAF}/files/long.txt": "a\n" * 9_000})
    git("add", "-A")
    git("commit", "-qm", "first")
    write(root(), {f"{LEAF}/files/long.txt": "b\n" * 9_000})
    with (root() / LEAF / "files" / "large").open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    (root() / LEAF / "files" / "out").symlink_to(tmp_path / "secret")
    shown = osqual("history", LEAF, "--diff", "HEAD", "now", "--json")
    assert shown.code == 0
    assert "secret-word" not in shown.out + shown.err
    changes = {item["input"]: item["diff"] for item in shown.json}
    assert changes == {"file:files/large": "", "file:files/long.txt": ""}


def test_history_without_git(osqual: Osqual) -> None:
    (root() / ".git" / "keep").unlink()
    (root() / ".git").rmdir()
    assert "never built" in osqual("history", LEAF).err
    publish(root(), LEAF, IMAGES)
    (build,) = osqual("history", LEAF, "--json").json
    assert build["commit"] is None
    assert osqual("history", LEAF, "--diff", "1", "now").code == 2
