"""`osqual plan` and `schema`, help and completion."""

import json
import shlex

import pytest

from osqual.cli.main import COMMANDS
from tests.fixtures.asking import ASKING, BETA, IMAGES, NEWER, RHEL, Osqual, root
from tests.fixtures.catalogue_small import (
    LEAF,
    leaf_files,
    publish,
    write,
)


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
