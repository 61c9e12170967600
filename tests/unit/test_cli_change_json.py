"""What the commands that change a catalogue tell scripts."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.catalogue_small import write
from tests.fixtures.shell import ONE, TWO, Shell

NEW = ONE.replace("2.0.1", "2.1.5")
FEED = {"amis": [{"name": "us-west-2", "hvm": "ami-0123abcd"}, {"name": "cn-north-1"}]}
KEYS = ("path", "change", "copied_from", "executable")


def run(shell: Shell, *arguments: str) -> dict[str, Any]:
    assert shell.osqual(*arguments, "--json") == 0, shell.err
    document = json.loads(shell.out)
    assert isinstance(document, dict)
    return document


def test_derive(shell: Shell) -> None:
    document = run(shell, "derive", "--set", "release=2.1.5", ONE, "--dry-run")
    assert document["dry_run"] is True
    (made,) = document["configurations"]
    assert (made["configuration"], made["from"], made["same_recipe"]) == (NEW, ONE, True)
    described = {"file": f"{NEW}/packer.json", "dimension": "path", "old": ONE, "new": NEW}
    assert described.items() <= made["replacements"][0].items()
    files = {item["path"]: item for item in document["files"]}
    script = files[f"{NEW}/install.sh"]
    assert [script[key] for key in KEYS] == [
        f"{NEW}/install.sh",
        "added",
        f"{ONE}/install.sh",
        False,
    ]
    assert f'+      "ami_description": "{NEW}"' in files[f"{NEW}/packer.json"]["diff"]
    assert shell.status() == ""


def test_edit(shell: Shell) -> None:
    document = run(shell, "edit", "--set", "profile.num_of_private_agents=3", ONE, "--quiet")
    path = f"{ONE}/cluster_profile.tfvars"
    assert [[item[key] for key in KEYS] for item in document["files"]] == [
        [path, "changed", None, False]
    ]
    assert "diff" not in document["files"][0]
    assert shell.status() == f" M {path}\n"
    again = run(shell, "edit", "--set", "profile.num_of_private_agents=3", ONE)
    assert (again["files"], again["unchanged"]) == ([], [ONE])


def test_mute_and_unmute(shell: Shell) -> None:
    muted = run(shell, "mute", "test_a", "--scope", "os=rhel", "--ticket", "T-1")
    assert muted["mutes"] == [
        {"test": "test_a", "file": "mutes.yaml", "updated": False, "configurations": [TWO]}
    ]
    shell.commit()
    unmuted = run(shell, "unmute", "test_a")
    assert unmuted["removed"] == [{"file": "mutes.yaml", "line": 1, "test": "test_a"}]
    assert [item["change"] for item in unmuted["files"]] == ["removed"]
    assert not (shell.root / "mutes.yaml").exists()


def test_import_mutes(shell: Shell) -> None:
    config = f"{TWO}/publish_and_test_config.yaml"
    write(shell.root, {config: "tests_to_run:\n  - -k 'not test_a'\n"})
    shell.commit()
    document = run(shell, "import-mutes")
    assert document["replaced_in"] == [config]
    assert [(item["file"], item["test"]) for item in document["entries"]] == [
        ("rhel/7.7/aws/DCOS-2.0.1/docker-19.03.5-ce/mutes.yaml", "test_a")
    ]
    assert document["proven"]["configurations"] == 2


def test_init(shell: Shell, tmp_path: Path) -> None:
    write(tmp_path / "new", {".gitignore": "mine\n"})
    document = run(shell, "init", str(tmp_path / "new"), "--bare", "--force")
    assert document["existing"] == [".gitignore"]
    assert [item["path"] for item in document["files"]] == ["osqual.yaml"]


def test_convert_feed(shell: Shell) -> None:
    write(shell.root, {"rhel/7.7/aws/feed.json": FEED})
    document = run(shell, "convert-feed", "rhel/7.7/aws/feed.json")
    assert document["skipped"] == ["cn-north-1"]
    assert [item["path"] for item in document["files"]] == ["rhel/7.7/aws/base_images.json"]


def test_a_repair(shell: Shell) -> None:
    old = f"{ONE}/desired_cluster_profile.tfvars"
    (shell.root / ONE / "cluster_profile.tfvars").rename(shell.root / old)
    shell.commit()
    for arguments in (["--dry-run"], []):
        assert shell.osqual("lint", "--json", "--fix", "--select", "OSQ6", *arguments) == 0
        document = json.loads(shell.out)
        repaired = document["repaired"]
        assert [item["change"] for item in repaired["files"]] == ["added", "removed"]
        assert repaired["proven"]["configurations"] == 2
        assert len(document["findings"]) == (1 if arguments else 0)
    assert not (shell.root / old).exists()


@pytest.mark.parametrize("arguments", [["edit", "--set", "profile.a=1", "nowhere"], ["derive"]])
def test_an_error_is_no_json(shell: Shell, arguments: list[str]) -> None:
    assert shell.osqual(*arguments, "--json") == 2
    assert shell.out == ""
