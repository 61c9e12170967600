"""The commands that ask a catalogue, as a person or a script uses them."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from osqual.cli.main import COMMANDS, main
from tests.fixtures.catalogue_small import (
    LEAF,
    leaf_files,
    publish,
    small_catalogue,
    template,
    write,
)
from tests.fixtures.catalogue_synthetic import write_catalogue

ASKING = ("find", "matrix", "show", "recipes", "ancestry", "history", "plan")
NEWER = LEAF.replace("2.0.1", "2.0.10")
BETA = LEAF.replace("2.0.1", "2.1.0-beta1")
RHEL = LEAF.replace("centos/7.6", "rhel/7.5").replace("/selinux_enforcing", "")
IMAGES = {"us-east-1": "ami-0e", "us-west-2": "ami-0f"}


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Osqual = Callable[..., Ran]


@pytest.fixture
def osqual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Osqual:
    """Runs a command in the catalogue's root."""
    root = tmp_path / "catalogue"
    rhel = {"rhel/7.5/aws/base_images.json": {"us-west-2": "ami-2"}}
    small_catalogue(root, LEAF, NEWER, BETA, RHEL, files={".git/keep": "", **rhel})
    monkeypatch.setenv("OSQUAL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(root)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        code = caught.value.code
        assert isinstance(code, int)
        return Ran(code, captured.out, captured.err)

    return run


def root() -> Path:
    return Path.cwd()


# -- find


def test_find_tells_which_image_to_use(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    publish(root(), NEWER, {"us-west-2": "ami-0a"}, verdict="qualified")
    found = osqual("find", "--os", "centos", "--region", "us-west-2")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].split() == ["IMAGE", "REGION", "CONFIGURATION", "VERDICT", "WHEN"]
    assert lines[1].split() == ["ami-0a", "us-west-2", NEWER, "qualified", "2026-01-02T03:04:05Z"]
    assert lines[2].split()[:3] == ["ami-0f", "us-west-2", LEAF]
    assert "published without evidence" in lines[2]


def test_find_for_scripts(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    publish(root(), NEWER, {"us-west-2": "ami-0a"}, verdict="rejected")
    (match, *_) = osqual("find", "--release", "2.0.1", "--json").json
    assert match == {
        "image": "ami-0e",
        "region": "us-east-1",
        "configuration": LEAF,
        "dimensions": {
            "os": "centos",
            "os_version": "7.6",
            "platform": "aws",
            "product": "DCOS",
            "release": "2.0.1",
            "docker": "19.03.5-ce",
            "variant": "selinux_enforcing",
        },
        "verdict": "published without evidence",
        "when": "2019-10-03T12:08:26Z",
        "file": None,
    }
    assert osqual("find", "--id-only", "--region", "us-west-2").out == "ami-0f\n"
    rejected = osqual("find", "--id-only", "--region", "*-2", "--verdict", "rejected")
    assert rejected.out == "ami-0a\n"


def test_an_id_without_its_region_is_not_given(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    refused = osqual("find", "--id-only")
    assert (refused.code, refused.out) == (2, "")
    assert "--region" in refused.err
    write(root(), {"osqual.yaml": "default_region: us-east-1\n"})
    assert osqual("find", "--id-only").out == "ami-0e\n"


def test_find_says_so_when_nothing_is_published_at_all(osqual: Osqual) -> None:
    none = osqual("find", "--os", "centos", "--release", "9.9")
    assert (none.code, none.out) == (1, "")
    assert "No configuration of this catalogue has a published image." in none.err


def test_find_names_the_nearest_when_there_is_none(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    publish(root(), RHEL, IMAGES)
    none = osqual("find", "--os", "centos", "--os-version", "7.6", "--release", "2.0.2")
    assert none.code == 1
    assert none.out == ""
    assert "No configuration matches: os = centos, os-version = 7.6, release = 2.0.2" in none.err
    nearest = none.err.splitlines()[2]
    assert nearest.split() == [LEAF, "(release", "2.0.1)"]
    unpublished = osqual("find", "--release", "2.0.10", "--json")
    assert unpublished.json == []
    assert "1 configuration without a published image:\n  " in unpublished.err
    elsewhere = osqual("find", "--release", "2.0.1", "--region", "eu-west-1")
    assert "in the regions us-east-1, us-west-2" in elsewhere.err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--release", ">=2.0.2"], [NEWER, BETA]),
        (["--release", ">=2.0.1", "--release", "<2.1.0-beta1"], [LEAF, RHEL, NEWER]),
        (["--release", "<2.1.0"], [LEAF, RHEL, NEWER, BETA]),
        (["--release", "2.0.1", "--release", "2.1.*"], [LEAF, RHEL, BETA]),
        (["--release", "2.*", "--release", "!=2.0.1"], [NEWER, BETA]),
        (["--release", "!=2.0.*"], [BETA]),
        (["--os", "r*"], [RHEL]),
        (["--os-version", "==7.5.0"], [RHEL]),
        (["--variant", "none"], [RHEL]),
        (["--variant", "!=none"], [LEAF, NEWER, BETA]),
        (["--variant", "selinux_enabled_enforcing"], [LEAF, NEWER, BETA]),
        (["--docker", "19.03.5"], [LEAF, RHEL, NEWER, BETA]),
        (["--docker", ">19.03.4", "--docker", "<19.4"], [LEAF, RHEL, NEWER, BETA]),
        (["--product", "dcos"], []),
    ],
    ids=" ".join,
)
def test_every_dimension_is_a_filter(
    osqual: Osqual, options: list[str], expected: list[str]
) -> None:
    found = osqual("recipes", *options, "--json").json["recipes"]
    assert sorted(path for group in found for path in group["configurations"]) == sorted(expected)


@pytest.mark.parametrize(
    "value", ["", " ", ">=", ">=2.*", "[z-a]", ">>2", "=>2", "=<2", "<>2", "!!2"]
)
def test_conditions_that_say_nothing_are_refused(osqual: Osqual, value: str) -> None:
    refused = osqual("find", "--release", value)
    assert (refused.code, refused.out) == (2, "")


def test_another_layout_has_other_options(osqual: Osqual, tmp_path: Path) -> None:
    write(
        tmp_path / "other",
        {
            "osqual.yaml": "layout: '{kernel}-{arch}'\n",
            "6.1-amd64/dcos_images.yaml": "local: ami-1\n",
            "6.10-amd64/dcos_images.yaml": "local: ami-2\n",
        },
    )
    for where in (["-C", str(tmp_path / "other")], [f"--catalogue={tmp_path / 'other'}"]):
        assert osqual("find", *where, "--kernel", ">6.9", "--id-only").out == "ami-2\n"
    assert "--kernel" in osqual("find", "-C", str(tmp_path / "other"), "--help").out
    assert osqual("find", "--kernel", "6.1").code == 2


# -- matrix


def test_the_matrix_counts_by_standing(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES, verdict="qualified")
    publish(root(), NEWER, IMAGES, verdict="rejected")
    publish(root(), BETA, IMAGES, verdict="inconclusive")
    publish(root(), RHEL, IMAGES)
    write(root(), leaf_files(LEAF.replace("enforcing", "disabled")))
    shown = osqual("matrix").out.splitlines()
    assert shown[0].split() == ["OS", "OS", "VERSION", "2.0.1", "2.0.10", "2.1.0-beta1"]
    assert shown[1].split() == ["centos", "7.6", "1+", "1-", "x", "?"]
    assert shown[2].split() == ["rhel", "7.5", "o"]
    document = osqual("matrix", "--rows", "os", "--cols", "os-version,release", "--json").json
    assert document["rows"] == ["os"]
    assert document["cells"][0]["dimensions"] == {
        "os": "centos",
        "os_version": "7.6",
        "release": "2.0.1",
    }
    assert [item["verdict"] for item in document["cells"][0]["configurations"]] == [
        "no image",
        "qualified",
    ]


def test_evidence_for_other_images_is_no_evidence(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES, verdict="qualified")
    write(root(), {f"{LEAF}/dcos_images.yaml": "us-west-2: ami-99\n"})
    (match,) = osqual("find", "--json").json
    assert match["verdict"] == "published without evidence"


def test_missing_tells_who_lacks_what(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    publish(root(), NEWER, IMAGES, verdict="rejected")
    gaps = osqual("matrix", "--missing", "--json").json
    assert [
        (gap["dimensions"]["os"], gap["dimensions"]["release"], gap["why"]) for gap in gaps
    ] == [
        ("centos", "2.0.10", "rejected"),
        ("centos", "2.1.0-beta1", "no image"),
        ("rhel", "2.0.1", "no image"),
        ("rhel", "2.0.10", "no configuration"),
        ("rhel", "2.1.0-beta1", "no configuration"),
    ]
    only = osqual("matrix", "--missing", "--release", "2.0.10").out.splitlines()[1:]
    assert [line.split()[0] for line in only] == ["centos", "rhel"]
    assert (
        "Nothing is missing"
        in osqual("matrix", "--missing", "--release", "2.0.1", "--os", "centos").err
    )


def test_aliases_share_a_column(osqual: Osqual) -> None:
    write(root(), leaf_files(RHEL.replace("19.03.5-ce", "19.03.5")))
    assert osqual("matrix", "--cols", "docker").out.splitlines()[0].split()[3:] == ["19.03.5-ce"]


def test_a_dimension_that_is_none_is_refused(osqual: Osqual) -> None:
    refused = osqual("matrix", "--rows", "os,flavour")
    assert refused.code == 2
    assert "os, os_version, platform" in refused.err


# -- show, recipes, ancestry


def test_show_tells_where_everything_is_from(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES, verdict="rejected", run="r7", reasons=["1 test failed"])
    text = osqual("show", f"{LEAF}/").out
    for part in (
        "centos/7.6/aws/base_images.json",
        "us-west-2  ami-1",
        "private agents  2",
        "shared with 2:",
        NEWER,
        "rejected",
        "1 test failed",
        "us-east-1  ami-0e",
    ):
        assert part in text
    document = osqual("show", LEAF, "--json").json
    assert document["files"]["install.sh"] == f"{LEAF}/install.sh"
    assert document["files"]["base_images.json"] == "centos/7.6/aws/base_images.json"
    assert document["recipe"]["shared_with"] == sorted([LEAF, NEWER, BETA])
    assert document["run"] == "r7"
    assert document["cluster"] == {"masters": 1, "private_agents": 2, "public_agents": 1}
    assert document["tests"]["run_integration_tests"] is True
    assert document["missing"] == []
    assert document["files"]["setup.sh"] is None


def test_show_tells_what_is_missing_and_broken_beside_the_rest(osqual: Osqual) -> None:
    (root() / LEAF / "install.sh").unlink()
    write(
        root(),
        {
            f"{LEAF}/dcos_images.yaml": "us-west-2: [",
            f"{LEAF}/publish_and_test_config.yaml": "run_framework_tests: maybe\n",
            f"{LEAF}/cluster_profile.tfvars": "num_of_masters = 0\n",
            f"{LEAF}/qualification.json": "{}",
        },
    )
    shown = osqual("show", LEAF)
    assert shown.code == 0
    assert "install.sh" in shown.out
    assert "MISSING" in shown.out
    assert "unknown: the file" in shown.out
    for place in (
        "dcos_images.yaml:1",
        "publish_and_test_config.yaml:1: run_framework_tests",
        "cluster_profile.tfvars:1: num_of_masters",
        "qualification.json: verdict",
    ):
        assert place in shown.err
    document = osqual("show", LEAF, "--json").json
    assert document["missing"] == ["install.sh"]
    assert document["files"]["install.sh"] is None
    assert document["tests"] is None, "its file is broken"
    assert document["recipe"]["digest"] is None


def test_recipes_group_what_is_built_once(osqual: Osqual) -> None:
    document = osqual("recipes", "--json").json
    assert [group["configurations"] for group in document["recipes"]] == [
        sorted([LEAF, NEWER, BETA]),
        [RHEL],
    ]
    assert "2 recipes for 4 configurations" in osqual("recipes").out
    assert len(osqual("recipes", "--shared", "--json").json["recipes"]) == 1
    (root() / RHEL / "install.sh").unlink()
    broken = osqual("recipes")
    assert "install.sh' is missing" in broken.err
    assert "1 recipe for 3 configurations" in broken.out


def test_ancestry_of_a_base_and_of_what_was_built_on_it(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    write(root(), {"rhel/7.5/aws/base_images.json": {"us-west-2": "ami-0f"}})
    document = osqual("ancestry", "ami-1", "--json").json
    assert document["base_in"] == [
        {"file": "centos/7.6/aws/base_images.json", "region": "us-west-2"}
    ]
    derived = {item["configuration"]: item for item in document["derived"]}
    assert sorted(derived) == sorted([LEAF, NEWER, BETA])
    assert [item["configuration"] for item in derived[LEAF]["derived"]] == [RHEL]
    built = osqual("ancestry", "ami-0f")
    assert f"published by {LEAF} (us-west-2)" in built.out
    assert "built on ami-1 (us-west-2)" in built.out
    assert f"    {RHEL}" in built.out
    assert osqual("ancestry", "ami-unknown").code == 1
    # what leads to a configuration that is wanted stands above it
    document = osqual("ancestry", "ami-1", "--os", "rhel", "--json").json
    assert [item["configuration"] for item in document["derived"]] == [LEAF]
    newer = osqual("ancestry", "ami-1", "--release", "2.0.10", "--json").json
    assert [item["configuration"] for item in newer["derived"]] == [NEWER]


def test_ancestry_survives_images_that_are_their_own_base(osqual: Osqual) -> None:
    publish(root(), LEAF, {"us-west-2": "ami-1"})
    assert osqual("ancestry", "ami-1").code == 0


def test_show_is_silent_about_what_is_broken_elsewhere(osqual: Osqual) -> None:
    (root() / RHEL / "publish_and_test_config.yaml").write_text("[")
    assert osqual("show", LEAF).err == ""
    assert f"{RHEL}/publish_and_test_config.yaml:1" in osqual("show", RHEL).err


def test_show_tells_which_mutes_are_in_force(osqual: Osqual) -> None:
    entry = "- {{test: {}, reason: broken, ticket: 'https://example.org/{}', until: {}}}\n"
    text = entry.format("test_a", 1, "2999-01-01") + entry.format("test_b", 2, "2020-01-01")
    write(root(), {"centos/mutes.yaml": text})
    muted = osqual("show", LEAF, "--json").json["muted"]
    assert [(item["test"], item["file"], item["until"]) for item in muted] == [
        ("test_a", "centos/mutes.yaml", "2999-01-01")
    ]
    assert "https://example.org/1" in osqual("show", LEAF).out
    assert osqual("show", RHEL, "--json").json["muted"] == []


# -- history


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


# -- plan, schema, help, completion


def test_plan_in_every_format(osqual: Osqual) -> None:
    publish(root(), LEAF, IMAGES)
    write(root(), {f"{RHEL}/packer.json": "{"})
    text = osqual("plan")
    assert text.code == 0
    assert "published without evidence" in text.out
    assert f"broken {RHEL}: {RHEL}/packer.json:1" in text.err
    document = osqual("plan", "--json").json
    assert [step["action"] for step in document["steps"]] == ["run", "run", "run", "broken"]
    assert document["groups"][0]["configurations"] == sorted([LEAF, NEWER, BETA])
    lines = osqual("plan", "--format", "github-matrix").out.splitlines()
    assert lines[1] == "any=true"
    (job,) = json.loads(lines[0].removeprefix("matrix="))["include"]
    assert job["command"] == "osqual run " + " ".join(sorted([LEAF, NEWER, BETA]))
    (job,) = osqual("plan", LEAF, "--format", "jenkins").json
    assert job["configurations"] == [LEAF]
    assert (
        osqual("plan", "--release", "2.0.10", "--format", "json").json["steps"][0]["configuration"]
        == NEWER
    )
    assert osqual("plan", "nowhere").code == 2


def test_a_plan_counts_no_build_where_the_published_image_is_tested(osqual: Osqual) -> None:
    assert "4 to run (2 builds at most)" in osqual("plan").err
    write(root(), {f"{LEAF}/publish_and_test_config.yaml": "publish_dcos_images_after: never\n"})
    assert "4 to run (2 builds at most)" in osqual("plan").err
    write(root(), {f"{RHEL}/publish_and_test_config.yaml": "publish_dcos_images_after: never\n"})
    assert "4 to run (1 build at most)" in osqual("plan").err


def test_what_one_cause_breaks_is_told_once(osqual: Osqual) -> None:
    more = [LEAF.replace("2.0.1", release) for release in ("2.0.3", "2.0.4")]
    for path in more:
        write(root(), leaf_files(path))
    for path in (LEAF, NEWER, BETA, *more):
        (root() / path / "install.sh").unlink()
    write(root(), {f"{RHEL}/packer.json": "{"})
    for command in (["plan"], ["plan", "--format", "jenkins"], ["recipes"]):
        told = osqual(*command).err.splitlines()
        (cause,) = [line for line in told if "install.sh" in line]
        assert cause == "broken 5 configurations: the file 'install.sh' is missing."
        assert told[told.index(cause) + 1 :][:4] == [
            *(f"  {path}" for path in sorted([LEAF, NEWER, BETA, *more])[:3]),
            "  and 2 more; --json names all",
        ]
        assert any(line.startswith(f"broken {RHEL}: {RHEL}/packer.json:1") for line in told)


def test_names_with_blanks_and_quotes_stay_whole_in_commands(osqual: Osqual) -> None:
    strange = LEAF.replace("selinux_enforcing", "it's a $(test)")
    write(root(), leaf_files(strange))
    (job,) = osqual("plan", strange, "--format", "jenkins").json
    assert shlex.split(job["command"]) == ["osqual", "run", strange]


@pytest.mark.parametrize(
    "name", ["osqual", "product", "base-images", "publish-and-test", "template"]
)
def test_schemas_are_printed(osqual: Osqual, name: str) -> None:
    document = osqual("schema", name).json
    assert document["$schema"].startswith("https://json-schema.org/")
    assert document["title"] in osqual("schema", "--list").out
    assert "sources" not in document.get("properties", {})


def test_an_unknown_schema_names_the_known(osqual: Osqual) -> None:
    refused = osqual("schema", "nothing")
    assert refused.code == 2
    assert "publish-and-test" in refused.err


@pytest.mark.parametrize("command", [*ASKING, "schema"])
def test_help_teaches_by_example(osqual: Osqual, command: str) -> None:
    shown = osqual(command, "--help")
    assert shown.code == 0
    assert f"osqual {command}" in shown.out.partition("Examples:")[2]
    assert command in COMMANDS


def completions(
    osqual: Osqual, monkeypatch: pytest.MonkeyPatch, words: str, last: str
) -> list[str]:
    monkeypatch.setenv("_OSQUAL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"osqual {words} {last}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) + 1))
    from click.shell_completion import BashComplete

    from osqual.cli.main import cli

    shown = BashComplete(cli, {}, "osqual", "_OSQUAL_COMPLETE").complete()
    return [line.partition(",")[2] for line in shown.splitlines()]


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        ("find --os", "", ["centos", "rhel"]),
        ("find --os", "c", ["centos"]),
        ("find --os rhel --os-version", "", ["7.5"]),
        ("matrix --release", "2.0", ["2.0.1", "2.0.10"]),
        ("find --os rhel --variant", "", ["none"]),
        ("show", "", ["centos/", "rhel/"]),
        ("show", "rhel/7.5/aws/", ["rhel/7.5/aws/DCOS-2.0.1/"]),
        ("history", "rhel/7.5/aws/DCOS-2.0.1/", [RHEL]),
        ("schema", "pub", ["publish-and-test"]),
        ("find --rel", "", ["centos"]),
    ],
)
def test_completion(
    osqual: Osqual, monkeypatch: pytest.MonkeyPatch, words: str, last: str, expected: list[str]
) -> None:
    if words == "find --rel":
        assert completions(osqual, monkeypatch, "find", "--rel") == ["--release"]
    else:
        assert completions(osqual, monkeypatch, words, last) == expected


# -- where a catalogue is, and what is wrong with it


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
