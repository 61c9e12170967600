"""What somebody meets who has just cloned the project."""

import hashlib
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from osqual.cli.main import cli
from osqual.errors import BuildFailed, ExitCode, NotFound
from osqual.model import Judgement, Verdict
from osqual.pipeline.workflow import RunResult
from osqual.report.resources import HEADER, resource_line
from osqual.report.summary import print_summary, result_document

EXAMPLES = Path(__file__).parents[2] / "examples"
LEAF = "debian/12/qemu/swarm-20.10/docker-20.10"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A work tree that is no catalogue itself and has one in a directory."""
    monkeypatch.setenv("OSQUAL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OSQUAL_DATA_DIR", str(tmp_path / "data"))
    root = tmp_path / "clone"
    (root / ".git").mkdir(parents=True)
    shutil.copytree(EXAMPLES, root / "examples")
    monkeypatch.chdir(root)
    return root


def test_a_root_without_configurations_names_the_directory_that_has_some(clone: Path) -> None:
    hint = "has no configuration; there is a catalogue in examples/: -C examples"
    assert hint in CliRunner().invoke(cli, ["find"]).output
    error = CliRunner().invoke(cli, ["show", LEAF]).exception
    assert isinstance(error, NotFound)
    assert hint in error.resolution


def test_what_has_no_image_yet_is_listed(clone: Path) -> None:
    said = CliRunner().invoke(cli, ["find", "-C", "examples"]).output
    assert "4 configurations without a published image" in said
    assert LEAF in said


def test_a_mute_that_names_no_test_is_warned_of(clone: Path) -> None:
    def warned(test: str) -> str:
        arguments = ["mute", test, "--ticket", "T-1", "--force", "-C", "examples"]
        return CliRunner().invoke(cli, arguments, catch_exceptions=False).output

    assert "no test is called test_nosuch" in warned("test_nosuch")
    assert "no test is called" not in warned("test_nodes.py::test_*")
    linted = CliRunner().invoke(cli, ["lint", "--select", "OSQ517", "-C", "examples"]).output
    assert "the mute of test_nosuch has no effect" in linted
    assert linted.count("OSQ517") == 1


def test_outside_of_a_catalogue_the_whole_path_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(cli, ["find"]).exception
    assert f"no catalogue in {tmp_path.resolve()} or above it" in str(error)


def test_find_and_show_name_the_file_of_an_image(clone: Path) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    file = clone.parent / "data" / "images" / f"{digest}.qcow2"
    file.parent.mkdir(parents=True)
    file.touch()
    images = clone / "examples" / LEAF / "dcos_images.yaml"
    images.write_text(f"local: sha256:{digest}\n")
    for arguments in (["find"], ["find", "--json"], ["show", LEAF], ["show", LEAF, "--json"]):
        said = CliRunner().invoke(cli, [*arguments, "-C", "examples"])
        assert str(file) in said.output, arguments


def test_resources_say_what_is_only_set_aside_and_which_number_is_a_process() -> None:
    row = {"run_id": "20260102-030405-ab12cd", "age_s": 60, "kept": False, "state": "created"}
    port = {**row, "kind": "port", "name": "24828", "external_id": "24828", "there": False}
    assert resource_line(port).split()[1:3] == ["port", "reserved"]
    assert resource_line(port).count("24828") == 1
    vm = {**row, "kind": "vm", "name": "master-1", "external_id": "7900", "there": True}
    assert "there" in resource_line(vm)
    assert resource_line(vm).endswith("master-1  process 7900")
    assert HEADER.index("state") == resource_line(vm).index("there")


def result(tmp_path: Path) -> RunResult:
    brief = "The layered builder cannot use this builder's options."
    judgement = Judgement(
        verdict=Verdict.INCONCLUSIVE,
        reasons=(f"The step 'build' failed: {brief}", "No test suite was run."),
        totals={},
    )
    return RunResult(
        run_id="20260102-030405-ab12cd",
        configuration=LEAF,
        directory=tmp_path,
        judgement=judgement,
        exit_code=ExitCode.INCONCLUSIVE,
        image_ids={},
        image_file=None,
        image_reused=False,
        published=(),
        kept=False,
        duration_s=1.0,
        step_seconds={},
        errors=(BuildFailed(brief, details="memry: unknown option", resolution="correct it"),),
    )


def test_what_is_wrong_stands_directly_beneath_its_headline(tmp_path: Path) -> None:
    text = StringIO()
    print_summary(result(tmp_path), Console(file=text, width=200))
    lines = [line.strip() for line in text.getvalue().splitlines() if line.strip()]
    assert lines[1:5] == [
        "· The step 'build' failed: The layered builder cannot use this builder's options.",
        "memry: unknown option",
        "To do: correct it",
        "· No test suite was run.",
    ]


def test_the_end_of_a_run_names_the_file_of_its_image(tmp_path: Path) -> None:
    text = StringIO()
    built = replace(result(tmp_path), image_file=tmp_path / "image.qcow2")
    print_summary(built, Console(file=text, width=200))
    assert str(tmp_path / "image.qcow2") in text.getvalue()
    assert result_document(built)["image_file"] == str(tmp_path / "image.qcow2")
