import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osqual.catalogue.catalogue import open_catalogue
from osqual.catalogue.files import find_file, parse_publish_and_test
from osqual.catalogue.inputs import load_inputs
from osqual.catalogue.tree import upwards
from osqual.changes.excluded import hides
from osqual.mutes.entries import parse_mutes
from osqual.products.definition import load_product
from osqual.settings import load_settings
from tests.fixtures.catalogue_small import small_catalogue, write
from tests.fixtures.sample import SAMPLE, needs_sample
from tests.fixtures.shell import ONE, TWO, Shell

NEW = ONE.replace("2.0.1", "2.1.5")


def test_derive_shows_a_diff_and_writes_only_without_dry_run(shell: Shell) -> None:
    assert shell.osqual("derive", "--set", "release=2.1.5", "centos/**", "--dry-run") == 0
    assert f"copy to {NEW}/packer.json" in shell.out
    assert f'+      "ami_description": "{NEW}"' in shell.out
    assert "nothing written" in shell.err
    assert shell.status() == ""
    assert shell.osqual("derive", "--set", "release=2.1.5", "centos/**") == 0
    assert len(shell.status().splitlines()) == 5
    assert shell.osqual("find", "--release", "2.1.5") == 1


def test_the_diff_of_a_dry_run_is_what_would_be_done(shell: Shell) -> None:
    shell.osqual("derive", "--set", "release=2.1.5", "**", "--dry-run")
    subprocess.run(["git", "apply", "-"], input=shell.out.encode(), cwd=shell.root, check=True)
    by_git = {path: (shell.root / path).read_bytes() for path in _new_files(shell)}
    shell.git("clean", "-qfd")
    shell.osqual("derive", "--set", "release=2.1.5", "**", "-q")
    assert shell.out == ""
    assert {path: (shell.root / path).read_bytes() for path in _new_files(shell)} == by_git


def _new_files(shell: Shell) -> list[str]:
    return [line[3:] for line in shell.status().splitlines()]


def test_derive_refuses_what_exists(shell: Shell) -> None:
    shell.osqual("derive", "--set", "release=2.1.5", ONE)
    shell.commit()
    assert shell.osqual("derive", "--set", "release=2.1.5", "**/DCOS-2.0.1/**", "--force") == 2
    assert NEW in shell.err
    assert shell.status() == ""
    assert shell.osqual("derive", "--set", "release=2.1.5", "**", "--skip-existing") == 0
    assert all(TWO.replace("2.0.1", "2.1.5") in line for line in shell.status().splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        ["derive", "--set", "release=2.1.5"],
        ["derive", "--set", "release", "**"],
        ["derive", "--set", "release=1", "--set", "release=2", "**"],
        ["derive", "--set", "release=../../../x", "**"],
        ["derive", "--set", "colour=red", "**"],
        ["derive", "--set", "release=2.1.5", "nothing/**"],
        ["derive", "--set", "release=2.1.5", "../.."],
        ["derive", "--set", "release=2.1.5", "--os", "ubuntu"],
        ["derive", "--set", "release=2.1.5", "**", "--base-images", "nothing.json"],
        ["derive", "**"],
        ["edit", "**"],
        ["edit", "--set", "profile.x=1"],
        ["edit", "--set", "setup.x=1", "**"],
        ["edit", "--set", "config.unknown=1", "**"],
        ["mute", "test_x", "--scope", "os=rehl"],
        ["mute", "test_x", "--until", "tomorrow"],
        ["mute", "test_x", "--at", "../.."],
        ["mute"],
        ["unmute", "test_x"],
        ["import-mutes", "nothing"],
        ["convert-feed", "nothing.json"],
        ["init"],
    ],
)
def test_wrong_input_ends_with_two_and_changes_nothing(shell: Shell, arguments: list[str]) -> None:
    assert shell.osqual(*arguments) == 2
    assert "Traceback" not in shell.err
    assert shell.err
    assert shell.status() == ""


def test_uncommitted_changes_are_kept_unless_forced(shell: Shell) -> None:
    profile = shell.root / ONE / "cluster_profile.tfvars"
    profile.write_text('mine = "1"\n')
    edit = ("edit", "--set", "profile.x=1", "centos/**")
    assert shell.osqual(*edit) == 2
    assert f"{ONE}/cluster_profile.tfvars" in shell.err
    assert shell.osqual(*edit, "--dry-run") == 2
    assert profile.read_text() == 'mine = "1"\n'
    assert shell.osqual(*edit, "--force") == 0
    assert profile.read_text() == 'mine = "1"\nx = 1\n'


def test_edit_works_from_inside_and_from_outside(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(shell.root / "centos" / "7.6")
    assert shell.osqual("edit", "--set", "profile.x=1", "aws/") == 0
    shell.commit()
    monkeypatch.chdir(tmp_path)
    assert shell.osqual("edit", "-C", "catalogue", "--set", "profile.x=2", ONE) == 0
    assert "x = 2" in (shell.root / ONE / "cluster_profile.tfvars").read_text()
    shell.commit()
    assert shell.osqual("edit", "-C", "catalogue", "--set", "profile.x=2", ONE) == 0
    assert "Nothing to change" in shell.err


def test_a_broken_file_elsewhere_is_no_obstacle(shell: Shell) -> None:
    write(shell.root, {f"{TWO}/packer.json": "{", f"{TWO}/publish_and_test_config.yaml": "- ["})
    assert shell.osqual("edit", "--set", "template.builders.0.x=1", "--os", "centos") == 0
    assert shell.osqual("derive", "--set", "release=2.1.5", "centos/**") == 0
    assert shell.osqual("edit", "--set", "template.builders.0.x=1", "--os", "rhel") == 2
    assert f"{TWO}/packer.json:1" in shell.err


def test_hostile_names_are_copied_and_shown_harmlessly(shell: Shell) -> None:
    name = "a\nb\x1b[31m'\"$(x)\\ü"
    (shell.root / ONE / name).write_text("text\n")
    shell.commit()
    assert shell.osqual("derive", "--set", "release=2.1.5", "centos/**") == 0
    assert (shell.root / NEW / name).read_text() == "text\n"
    assert "\x1b" not in shell.out + shell.err
    assert "\\nb\\033[31m" in shell.out


def test_a_terminal_gets_colours_and_no_control_characters(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    (shell.root / ONE / "cluster_profile.tfvars").write_text('# \x1b[31m\na = "1"\n')
    shell.commit()
    assert shell.osqual("edit", "--set", "profile.a=2", "centos/**", "-n") == 0
    shown = terminal.getvalue()
    assert "\x1b[31m-a" in shown
    assert "\x1b[32m+a" in shown
    assert "# \\x1b[31m" in shown


def test_git_ignored_files_are_not_derived(shell: Shell) -> None:
    (shell.root / ".gitignore").write_text("*.log\n")
    (shell.root / ONE / "crash.log").write_text("x")
    shell.commit()
    assert shell.osqual("derive", "--set", "release=2.1.5", "centos/**") == 0
    assert not (shell.root / NEW / "crash.log").exists()


def test_base_images_may_be_given_as_a_vendors_feed(shell: Shell, tmp_path: Path) -> None:
    feed = tmp_path / "feed.json"
    feed.write_text(json.dumps({"amis": [{"name": "us-west-2", "hvm": "ami-0123abcd"}]}))
    arguments = ("derive", "--set", "os_version=7.7", ONE, "--base-images", str(feed))
    assert shell.osqual(*arguments) == 0
    base = json.loads((shell.root / "centos/7.7/aws/base_images.json").read_text())
    assert base == {"us-west-2": "ami-0123abcd"}
    assert "base image ami-0 -> ami-0123abcd" in shell.err


def test_mute_and_unmute(shell: Shell) -> None:
    arguments = ("--scope", "os=rhel", "--ticket", "https://t/1", "--until", "2999-01-31")
    assert shell.osqual("mute", "test_a", "test_b", *arguments) == 0
    assert "mutes test_a for 1 configuration" in shell.err
    assert [entry["test"] for entry in yaml.safe_load((shell.root / "mutes.yaml").read_text())] == [
        "test_a",
        "test_b",
    ]
    shell.commit()
    assert shell.osqual("unmute", "test_a", "--scope", "os=centos") == 2
    assert shell.osqual("unmute", "test_a", "test_b") == 0
    assert not (shell.root / "mutes.yaml").exists()


def test_import_mutes(shell: Shell) -> None:
    for path in (ONE, TWO):
        write(
            shell.root,
            {
                f"{path}/publish_and_test_config.yaml": "# test_x: https://t/1\n"
                "tests_to_run:\n  - -k 'not test_x'\n"
            },
        )
    shell.commit()
    assert shell.osqual("import-mutes") == 0
    assert "proven equal for 2 configurations" in shell.err
    assert yaml.safe_load((shell.root / "mutes.yaml").read_text()) == [
        {"test": "test_x", "ticket": "https://t/1", "run": "never"}
    ]
    assert (shell.root / ONE / "publish_and_test_config.yaml").read_text() == ""
    shell.commit()
    assert shell.osqual("import-mutes") == 0
    assert "Nothing to change" in shell.err


def test_init_makes_a_catalogue_that_works(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "new" / "images"
    assert shell.osqual("init", str(root), "--dry-run") == 0
    assert not root.exists()
    assert shell.osqual("init", str(root)) == 0
    catalogue = open_catalogue(root)
    (leaf,) = catalogue.configurations()
    inputs = load_inputs(catalogue, leaf)
    assert inputs.base_images == {"local": "debian:bookworm"}
    assert not inputs.warnings
    product = load_product("hello", root, load_settings(root, {}))
    assert [suite.name for suite in product.suites] == ["integration"]
    assert os.access(root / leaf.path / "install_docker.sh", os.X_OK)
    compile((root / "products/hello/tests/test_hello.py").read_text(), "test_hello.py", "exec")


def test_init_leaves_what_is_there(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "full"
    write(root, {"osqual.yaml": "default_region: mine\n"})
    assert shell.osqual("init", str(root)) == 2
    assert shell.osqual("init", str(root), "--bare", "--force") == 0
    assert (root / "osqual.yaml").read_text() == "default_region: mine\n"
    assert sorted(path.name for path in root.iterdir()) == [".gitignore", "osqual.yaml"]
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    assert shell.osqual("init", str(tmp_path / "empty"), "--bare") == 0
    (tmp_path / "file").write_text("x")
    assert shell.osqual("init", str(tmp_path / "file")) == 2


FEED = {"amis": [{"name": "us-west-2", "pv": "ami-1", "hvm": "ami-0123abcd"}, {"name": "cn"}]}


def test_convert_feed(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(shell.root, {"coreos/1.0/aws/feed.json": FEED})
    assert shell.osqual("convert-feed", "coreos/1.0/aws/feed.json") == 0
    assert "no hvm image in cn" in shell.err
    text = (shell.root / "coreos/1.0/aws/base_images.json").read_text()
    assert json.loads(text) == {"us-west-2": "ami-0123abcd"}
    outside = tmp_path / "feed.json"
    outside.write_text(json.dumps(FEED))
    assert shell.osqual("convert-feed", str(outside)) == 2
    assert shell.osqual("convert-feed", str(outside), "--into", "coreos/2.0/aws") == 0
    assert shell.osqual("convert-feed", str(outside), "--into", str(tmp_path)) == 2
    assert shell.osqual("convert-feed", str(outside), "--stdout") == 0
    assert json.loads(shell.out) == {"us-west-2": "ami-0123abcd"}
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(FEED).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert shell.osqual("convert-feed", "-") == 2


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "is no feed"),
        ('{"amis": []}', "is no feed"),
        ('{"amis": [1]}', "needs the region"),
        ('{"amis": [{"name": "a\\nb", "hvm": "ami-0123abcd"}]}', "needs the region"),
        ('{"amis": [{"name": "a", "hvm": "x"}]}', "must be an image id"),
        ('{"amis": [{"name": "a"}]}', "has no image of the kind"),
        (
            '{"amis": [{"name": "a", "hvm": "ami-01234567"},'
            ' {"name": "a", "hvm": "ami-01234568"}]}',
            "has two images",
        ),
    ],
)
def test_a_feed_that_is_none_is_refused(shell: Shell, feed: str, message: str) -> None:
    write(shell.root, {"coreos/1.0/aws/feed.json": feed})
    assert shell.osqual("convert-feed", "coreos/1.0/aws/feed.json") == 2
    assert message in shell.err
    assert not (shell.root / "coreos/1.0/aws/base_images.json").exists()


FILES = ("packer.json", "cluster_profile.tfvars", "publish_and_test_config.yaml", "mutes.yaml")
PIECES = st.sampled_from(
    [
        *"{}[]\"':=, \n#\\\x00é1a",
        *("- ", "&a ", "*a", "<<EOF\n", "|\n", "true", "test"),
        *("tests_to_run", "builders", "type", "-k 'not x'"),
    ]
)
CONTENTS = st.binary(max_size=60) | st.lists(PIECES, max_size=25).map(lambda p: "".join(p).encode())
COMMANDS = (
    ("edit", "--set", "template.builders.0.type=x", "--set", "profile.a.b=1", "**", "--force"),
    ("edit", "--set", "config.tests_to_run=[]", "--unset", "profile.a", "**", "--force"),
    ("derive", "--set", "release=2.1.5", "--set", "docker=20", "**", "--force"),
    ("import-mutes", "--force"),
    ("mute", "test_x", "--force"),
    ("unmute", "test", "--force"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), content=CONTENTS, command=st.sampled_from(COMMANDS))
def test_no_file_content_makes_more_than_an_error(
    shell: Shell, name: str, content: bytes, command: tuple[str, ...]
) -> None:
    shutil.rmtree(shell.root / "centos", ignore_errors=True)
    small_catalogue(shell.root, ONE)
    (shell.root / ONE / name).write_bytes(content)
    before = _contents(shell.root)
    code = shell.osqual(*command)
    assert code in (0, 2)
    assert "Traceback" not in shell.err
    if code == 2:
        assert _contents(shell.root) == before


UNUSABLE = {
    "large": b" " * 5_000_000,
    "deep": b"[" * 5_000,
    "binary": b"\xff",
    "endless": b"a: &a [*a]",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", ["folder", "pipe", "loop", "outside", *UNUSABLE])
def test_things_that_are_no_documents_are_named(
    shell: Shell, name: str, what: str, tmp_path: Path
) -> None:
    path = shell.root / ONE / name
    path.unlink(missing_ok=True)
    (tmp_path / "secret").write_text("{}")
    if what in UNUSABLE:
        path.write_bytes(UNUSABLE[what])
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(name if what == "loop" else tmp_path / "secret")
    kinds = {"packer.json": "template.a", "cluster_profile.tfvars": "profile.a"}
    commands = [
        ("edit", "--set", f"{kinds.get(name, 'config.tests_to_run')}=[]", ONE, "--force"),
        ("mute", "test_x", "--at", ONE, "--force"),
    ]
    codes = [shell.osqual(*command) for command in (commands[1:] if "mutes" in name else commands)]
    assert 2 in codes
    assert "Traceback" not in shell.err
    assert (tmp_path / "secret").read_text() == "{}"
    assert shell.osqual("derive", "--set", "release=2.1.5", ONE, "--force") in (0, 2)
    assert shell.osqual("import-mutes", ONE, "--force") in (0, 2)


def _contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


@needs_sample
def test_importing_the_originals_mutes_changes_none_of_them(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "sample"
    shutil.copytree(SAMPLE, root)
    known = {
        word
        for path in root.rglob("publish_and_test_config.yaml")
        for word in path.read_text().replace(",", " ").replace("'", " ").split()
        if word.startswith("test_") and word.isidentifier()
    }
    before = _muted(root, known)
    assert shell.osqual("import-mutes", "-C", str(root), "--force", "-q") == 0
    assert not [path for path in root.rglob("publish_and_test_config.yaml") if _has_k(path)]
    assert _muted(root, known) == before
    assert sum(map(len, before.values())) > 50


def _has_k(path: Path) -> bool:
    return any(line.strip().startswith("- -k") for line in path.read_text().splitlines())


def _muted(root: Path, known: set[str]) -> dict[str, set[str]]:
    """What each configuration mutes, worked out from the files alone."""
    catalogue = open_catalogue(root)
    found = {}
    for item in catalogue.configurations():
        path = find_file(catalogue, item, "publish_and_test_config.yaml")
        items = parse_publish_and_test(path.read_text(), "c").tests_to_run if path else ()
        muted = {test for test in known if hides(items, test)}
        for directory in upwards(item.path):
            place = root / directory / "mutes.yaml"
            text = place.read_text() if place.exists() else ""
            source = f"{directory}/mutes.yaml".lstrip("/")
            for mute in parse_mutes(text, source, catalogue.layout.dimensions):
                if mute.applies_to(item.path, item.dimensions):
                    muted |= {test for test in known if mute.mutes(test)}
        found[item.path] = muted
    return found


def test_derive_names_a_misspelt_dimension_before_anything_else(shell: Shell) -> None:
    assert shell.osqual("derive", "--set", "relase=2.1.5", "cnetos/**") == 2
    assert "'relase' is not a dimension of the catalogue (did you mean 'release'?)" in shell.err
