"""`osqual lint` as a user calls it: exit codes, formats, narrowing, repairs, hostile files."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osqual.catalogue.catalogue import Catalogue
from osqual.lint.check import check
from osqual.lint.registry import RULES
from osqual.lint.view import View
from osqual.processes.process import run
from tests.fixtures.command import osqual
from tests.fixtures.sample import SAMPLE, needs_sample
from tests.unit.test_lint_rules import PLACES, TODAY, files_of, write
from tests.unit.test_mutes import commit

LEAF, OTHER, _ = PLACES.values()
ROOT = Path(__file__).parents[2]
OPEN = {"files": {"LEAF/cluster_profile.tfvars": 'admin_cidr = "0.0.0.0/0"\n'}}
OLD = {"move": {"LEAF/cluster_profile.tfvars": "LEAF/desired_cluster_profile.tfvars"}}
BROKEN = {"files": {"LEAF/publish_and_test_config.yaml": "a: [\n"}}


def catalogue(root: Path, case: Mapping[str, Any]) -> str:
    write(root, files_of(case))
    (root / "osqual.yaml").write_text("")
    return str(root)


def in_git(root: Path, case: Mapping[str, Any]) -> str:
    path = catalogue(root, case)
    commit(root, "2026-01-01T00:00:00Z", {})
    return path


def test_errors_fail_and_warnings_do_not(tmp_path: Path, capsys: Any) -> None:
    assert osqual("lint", "-C", catalogue(tmp_path / "a", {})) == 0
    assert osqual("lint", "-C", catalogue(tmp_path / "b", OPEN)) == 0
    assert osqual("lint", "--strict", "-C", str(tmp_path / "b")) == 1
    assert osqual("lint", "-C", catalogue(tmp_path / "c", BROKEN)) == 1
    output = capsys.readouterr()
    place = f"{LEAF}/cluster_profile.tfvars:1: OSQ701 warning: admin_cidr: lets"
    assert place in output.out
    assert "0 errors, 1 warning in 1 configuration." in output.err


def test_settings_can_be_strict_and_accept(tmp_path: Path, capsys: Any) -> None:
    root = catalogue(tmp_path, OPEN)
    (tmp_path / "osqual.yaml").write_text("lint: {strict: true}\n")
    assert osqual("lint", "-C", root) == 1
    (tmp_path / "osqual.yaml").write_text("lint: {strict: true, ignore: [OSQ7]}\n")
    assert osqual("lint", "-C", root) == 0
    assert "1 accepted" in capsys.readouterr().err


def test_rules_can_be_chosen(tmp_path: Path, capsys: Any) -> None:
    root = catalogue(tmp_path, BROKEN)
    assert osqual("lint", "-C", root, "--ignore", "OSQ1") == 0
    assert osqual("lint", "-C", root, "--select", "OSQ2,OSQ3") == 0
    assert osqual("lint", "-C", root, "--select", "nonsense") == 2
    assert osqual("lint", "--rules") == 0
    assert all(code in capsys.readouterr().out for code in ["OSQ001"])


@pytest.mark.parametrize("style", ["json", "sarif", "github"])
def test_formats(style: str, tmp_path: Path, capsys: Any) -> None:
    """Forges name files from the repository's top, wherever in it the catalogue is."""
    commit(tmp_path, "2026-01-01T00:00:00Z", {"x": "y"})
    assert osqual("lint", "-C", catalogue(tmp_path / "images", OPEN), "--format", style) == 0
    out = capsys.readouterr().out
    if style == "github":
        assert out.startswith(f"::warning file=images/{LEAF}/cluster_profile.tfvars,line=1,")
        return
    document = json.loads(out)
    if style == "sarif":
        [result] = document["runs"][0]["results"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri == f"images/{LEAF}/cluster_profile.tfvars"
    else:
        assert document["findings"][0]["file"] == f"{LEAF}/cluster_profile.tfvars"


def test_paths_from_anywhere(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue(tmp_path, {"copies": {"LEAF": ["OTHER"]}, **OPEN})
    monkeypatch.chdir(tmp_path / "centos")
    for path in (
        ".",
        "7.6/",
        str(tmp_path / LEAF),
        f"{LEAF}/",
        "7.6/../7.6",
        f"{LEAF}/packer.json",
    ):
        assert osqual("lint", path, "--select", "OSQ701", "--strict") == 1, path
    assert osqual("lint", "7.5", "--select", "OSQ701", "--strict") == 0
    for glob in ("centos/*/aws/**", "**/packer.json", f"{LEAF}/*.tfvars", f"{LEAF[:-1]}?"):
        assert osqual("lint", glob, "--select", "OSQ701", "--strict") == 1, glob
    capsys.readouterr()
    assert osqual("lint", f"{OTHER}/**", "--select", "OSQ701", "--strict") == 0
    assert "0 warnings in 1 of 2 configurations." in capsys.readouterr().err
    assert osqual("lint", "debian/**") == 2
    assert osqual("lint", "8.9") == 2
    assert osqual("lint", "/etc") == 2
    capsys.readouterr()


def test_changes_since_a_commit(tmp_path: Path, capsys: Any) -> None:
    root = in_git(tmp_path, {"copies": {"LEAF": ["OTHER"]}, **OPEN})
    since = ("--changed-since", "HEAD", "--select", "OSQ701,OSQ101", "--strict", "-C", root)
    assert osqual("lint", *since) == 0, "nothing has changed"
    (tmp_path / OTHER / "install.sh").write_text("#!/bin/sh -e\n")
    assert osqual("lint", *since) == 0, "another configuration has changed"
    (tmp_path / LEAF / "publish_and_test_config.yaml").unlink()
    assert osqual("lint", *since) == 1, "the configuration has changed"
    assert osqual("lint", "--changed-since", "nowhere", "-C", root) == 2
    capsys.readouterr()


def test_hooks_for_pre_commit_run(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(in_git(tmp_path, {}))
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        program, *arguments = shlex.split(hook["entry"])
        assert program == "osqual"
        assert osqual(*arguments) == 0
    capsys.readouterr()


# --fix.


def status(root: Path) -> list[str]:
    return run(["git", "status", "--short"], cwd=root).stdout.splitlines()


def test_a_repair_shows_its_diff_and_its_proof(tmp_path: Path, capsys: Any) -> None:
    root = in_git(tmp_path, OLD)
    assert osqual("lint", "--fix", "-C", root) == 0
    output = capsys.readouterr()
    assert f"rename to {LEAF}/cluster_profile.tfvars" in output.out
    assert "2 files changed; proven: 1 configurations, " in output.err
    assert len(status(tmp_path)) == 2
    assert osqual("lint", "--fix", "--force", "-C", root) == 0
    assert "Nothing to repair." in capsys.readouterr().err


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: Any) -> None:
    root = in_git(tmp_path, OLD)
    assert osqual("lint", "--fix", "--dry-run", "-C", root) == 0
    assert "nothing written" in capsys.readouterr().err
    assert status(tmp_path) == []
    assert osqual("lint", "--dry-run", "-C", root) == 2


def test_what_is_not_committed_is_not_overwritten(tmp_path: Path, capsys: Any) -> None:
    root = in_git(tmp_path, OLD)
    (tmp_path / LEAF / "desired_cluster_profile.tfvars").write_text("a = 1\n")
    before = status(tmp_path)
    assert osqual("lint", "--fix", "-C", root) == 2
    assert status(tmp_path) == before
    assert osqual("lint", "--fix", "--force", "-C", root) == 0
    assert (tmp_path / LEAF / "cluster_profile.tfvars").read_text() == "a = 1\n"
    capsys.readouterr()


def test_without_git_only_force_writes(tmp_path: Path, capsys: Any) -> None:
    root = catalogue(tmp_path, OLD)
    assert osqual("lint", "--fix", "-C", root) == 2
    assert osqual("lint", "--fix", "--force", "-C", root) == 0
    assert (tmp_path / LEAF / "cluster_profile.tfvars").is_file()
    capsys.readouterr()


def test_the_diff_does_not_disturb_other_formats(tmp_path: Path, capsys: Any) -> None:
    root = in_git(tmp_path, OLD)
    assert osqual("lint", "--fix", "--format", "json", "-C", root) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_the_diff_can_be_applied_by_git(tmp_path: Path, capsys: Any) -> None:
    root = in_git(tmp_path, {"copies": {"LEAF": ["OTHER"]}, **OLD})
    assert osqual("lint", "--fix", "--dry-run", "--select", "OSQ601,OSQ901", "-C", root) == 0
    diff = capsys.readouterr().out.partition(f"{LEAF}/packer.json:")[0]
    (tmp_path / "x.diff").write_text(
        "".join(line for line in diff.splitlines(True) if ": OSQ" not in line)
    )
    run(["git", "apply", "x.diff"], cwd=tmp_path)
    assert (tmp_path / "centos/cluster_profile.tfvars").is_file()
    assert not (tmp_path / LEAF / "desired_cluster_profile.tfvars").exists()


# Whatever lies in a catalogue: findings, never a traceback.

HOSTILE: Mapping[str, Sequence[str | bytes]] = {
    "packer.json": [
        b"\xff\xfe",
        "{",
        "[]",
        "[" * 5000,
        '{"builders": [{"type": "x"}], "provisioners": [{"type": "shell", "inline": 5}]}',
        '{"builders": [{"type": "x", "source_ami": 5, "ami_groups": {}, "ami_regions": 3}]}',
        '{"builders": [{"type": "shell", "region": "{{user `a`}}"}], "variables": {"a": null}}',
        '{"builders": [{"type": "amazon-ebs", "ami_regions": [null]}], "provisioners": '
        '[{"type": "shell", "scripts": ["../../../../../../../../etc/passwd", "/dev/zero"]}, '
        '{"type": "file", "source": ".."}, {"type": "shell", "inline": ["a\\nb", null]}]}',
        '{"builders": [{"type": "x"}], "variables": {"password": "hunter2"}, "a\\nb": 1}',
    ],
    "base_images.json": ["[]", '{"us-west-2": 5}', '{"\\n": "x"}', '{"local": "\\u0000"}', "null"],
    "cluster_profile.tfvars": ["a = ", "a = [", 'a = "${b}"', "a {\n}\n", "a = <<X\n", b"\x00"],
    "publish_and_test_config.yaml": [
        "&a [*a]",
        'tests_to_run: ["-k \'a"]',
        "tests_to_run: ['-k']",
        "? [a]\n: b\n",
        "- a",
        "tests_to_run: [1]",
        "a: &a [x, x]\nb: &b [*a, *a]\n" * 3,
    ],
    "mutes.yaml": ["a: b", "- test: '*'\n  scope: {os: '['}\n", "- test: {}", "- until: 1"],
    "dcos_images.yaml": ["- a", "a: 1", "? {a: b}\n: c", "\t"],
    "packer_build_history.json": ["{}", '{"builds": [{}]}', '{"builds": 5}'],
    "qualification.json": ["{}", '{"verdict": "qualified", "images": []}'],
    "install.sh": [b"\xff\xfe\x00", "cat <<EOF", "\\\n", "'" * 99, "#!/bin/sh\r\nset -e\r\n", ""],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_findings(name: str, tmp_path: Path) -> None:
    for number, content in enumerate(HOSTILE[name]):
        root = tmp_path / str(number)
        view = write(root, files_of({}))
        data = content.encode() if isinstance(content, str) else content
        (root / LEAF / name).write_bytes(data)
        for finding in check(view, list(RULES.values())).findings:
            assert not finding.file.startswith(("/", ".."))


def test_links_pipes_directories_and_large_files(tmp_path: Path) -> None:
    import os

    secret = tmp_path / "secret.yaml"
    secret.write_text("password: AKIA2222333344445555\n")
    root = tmp_path / "catalogue"
    view = write(root, files_of({}))
    for name in ("cluster_profile.tfvars", "dcos_images.yaml", "publish_and_test_config.yaml"):
        (root / LEAF / name).unlink()
    (root / LEAF / "install.sh").unlink()
    (root / LEAF / "install.sh").symlink_to(secret)
    (root / LEAF / "cluster_profile.tfvars").symlink_to("cluster_profile.tfvars")
    (root / LEAF / "dcos_images.yaml").mkdir()
    os.mkfifo(root / LEAF / "publish_and_test_config.yaml")
    with (root / LEAF / "base_images.json").open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    found = check(view, list(RULES.values())).findings
    broken = {f.file.rpartition("/")[2] for f in found if f.code == "OSQ101"}
    assert broken == {
        "base_images.json",
        "cluster_profile.tfvars",
        "dcos_images.yaml",
        "publish_and_test_config.yaml",
    }
    assert any(f.code == "OSQ104" and "out of the catalogue" in f.message for f in found)
    assert not any("AWS" in f.message for f in found), "a file outside was read"


def test_hostile_names_do_not_steer_the_terminal(tmp_path: Path, capsys: Any) -> None:
    root = catalogue(tmp_path, {})
    (tmp_path / LEAF / "a\n::error::\x1b[31m'\".sh").write_text("true\n")
    assert osqual("lint", "--select", "OSQ105", "-C", root) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "\x1b[31m" not in out
    for style in ("github", "json", "sarif"):
        assert osqual("lint", "--select", "OSQ105", "--format", style, "-C", root) == 0
        out = capsys.readouterr().out
        assert not any(line.startswith("::error::") for line in out.splitlines())


def test_names_that_are_no_text_are_findings(tmp_path: Path, capsys: Any) -> None:
    root = catalogue(tmp_path / "a", {})
    (Path(root) / LEAF / "a\udcff.sh").write_text("true\n")
    for with_git in (False, True):
        if with_git:
            commit(Path(root), "2026-01-01T00:00:00Z", {})
        for style in ("text", "github", "json", "sarif"):
            assert osqual("lint", "--format", style, "-C", root) == 1
            assert "udcff.sh" in capsys.readouterr().out


@settings(suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(sorted(HOSTILE)),
    data=st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='{}[]":,-&*#\n abk=$', max_size=200).map(str.encode),
    ),
)
def test_no_content_breaks_the_lint(
    name: str, data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("fuzz")
    view = write(root, files_of({}))
    (root / LEAF / name).write_bytes(data)
    check(view, list(RULES.values()))


# The real data, where it is present.


@needs_sample
def test_the_defects_of_the_original_are_found() -> None:
    view = View(catalogue=Catalogue(root=SAMPLE), today=TODAY)
    found = check(view, list(RULES.values())).findings
    counts = {code: sum(f.code == code for f in found) for code in RULES}
    assert counts["OSQ701"] == 125, "every cluster is open to the world"
    assert counts["OSQ601"] == 24, "old profile names"
    assert counts["OSQ302"] == 41, "testing URLs"
    assert [f.file for f in found if f.code == "OSQ202"] == [
        "rhel/7.5/aws/DCOS-1.13.2/base_images.json"
    ]
    wrong_base = [f for f in found if f.code == "OSQ203" and "ami-036affea69a1101c9" in f.message]
    assert len(wrong_base) == 27, "RHEL 7.5 from images of 7.6, or listed so"
    assert any("test_metrics_agent_statsd is commented" in f.message for f in found)
    assert any("`not test_vip` hides test_vip_ipv6" in f.message for f in found)
    assert counts["OSQ403"] == 2, "raw base images were published"
    assert counts["OSQ101"] == counts["OSQ102"] == 0
