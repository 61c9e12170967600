"""`--fix`: what it changes, that it proves it, and that nothing is lost when it cannot."""

import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from osqual.catalogue.catalogue import Catalogue
from osqual.changes.apply import apply
from osqual.changes.draft import Draft, FileChange
from osqual.lint.check import check
from osqual.lint.copies import find_hoists
from osqual.lint.finding import Finding
from osqual.lint.proof import differences, resolve_all
from osqual.lint.registry import RULES
from osqual.lint.repair import NotProven, Repair, carry_out_repair, plan_repair
from osqual.lint.view import View
from tests.unit.test_lint_rules import PLACES, TODAY, files_of, placed, write

LEAF, OTHER, THIRD = PLACES.values()
FIXABLE = [rule for rule in RULES.values() if rule.fixable]


def look(view: View) -> tuple[Finding, ...]:
    return check(view, FIXABLE).findings


def view_of(root: Path) -> View:
    return View(catalogue=Catalogue(root=root.resolve()), today=TODAY)


def contents(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def repair(root: Path, case: Mapping[str, Any]) -> dict[str, str]:
    view = write(root, files_of(case))
    before = resolve_all(view.catalogue)
    planned = plan_repair(view, look)
    assert resolve_all(Catalogue(root=view.catalogue.root)) == before, "planning wrote something"
    carry_out_repair(view.catalogue, planned)
    assert not look(view_of(root)), "something is left to repair"
    return contents(root)


def test_an_old_profile_gets_its_new_name(tmp_path: Path) -> None:
    case = {"move": {"LEAF/cluster_profile.tfvars": "LEAF/desired_cluster_profile.tfvars"}}
    after = repair(tmp_path, case)
    assert after == files_of({})


def test_a_description_becomes_the_path_and_every_other_byte_stays(tmp_path: Path) -> None:
    wrong = {
        "replace": {"LEAF/packer.json": ['"ami_description": "LEAF"', '"ami_description":"x"']}
    }
    after = repair(tmp_path, wrong)
    right = files_of(wrong)[f"{LEAF}/packer.json"].replace('"x"', f'"{LEAF}"')
    assert after[f"{LEAF}/packer.json"] == right


def test_copies_move_to_the_nearest_common_parent(tmp_path: Path) -> None:
    after = repair(tmp_path, {"copies": {"LEAF": ["OTHER", "THIRD"]}})
    kept = {"packer.json", "dcos_images.yaml", "packer_build_history.json"}
    for leaf in (LEAF, OTHER, THIRD):
        assert {path.rpartition("/")[2] for path in after if path.startswith(leaf)} == kept
    moved = {"install.sh", "cluster_profile.tfvars", "publish_and_test_config.yaml"}
    assert {path for path in after if path.count("/") == 1} == {f"centos/{n}" for n in moved}


def test_what_most_have_is_shared_and_the_others_keep_their_own(tmp_path: Path) -> None:
    case = {
        "copies": {"LEAF": ["OTHER", "THIRD"]},
        "files": {"OTHER/cluster_profile.tfvars": "a = 1\n"},
    }
    after = repair(tmp_path, case)
    assert after[f"{OTHER}/cluster_profile.tfvars"] == "a = 1\n"
    assert f"{THIRD}/cluster_profile.tfvars" not in after
    assert "centos/cluster_profile.tfvars" in after


def test_a_renamed_profile_can_be_shared_in_the_same_repair(tmp_path: Path) -> None:
    case = {
        "copies": {"LEAF": ["OTHER"]},
        "move": {"OTHER/cluster_profile.tfvars": "OTHER/desired_cluster_profile.tfvars"},
    }
    after = repair(tmp_path, case)
    assert [path for path in after if path.endswith("tfvars")] == ["centos/cluster_profile.tfvars"]


def test_permissions_make_a_difference(tmp_path: Path) -> None:
    view = write(tmp_path, files_of({"copies": {"LEAF": ["OTHER"]}}))
    (tmp_path / OTHER / "install.sh").chmod(0o755)
    assert not [hoist for hoist in find_hoists(view) if hoist.target.endswith("install.sh")]


def test_an_executable_copy_stays_executable(tmp_path: Path) -> None:
    view = write(tmp_path, files_of({"copies": {"LEAF": ["OTHER"]}}))
    for leaf in (LEAF, OTHER):
        (tmp_path / leaf / "install.sh").chmod(0o755)
    carry_out_repair(view.catalogue, plan_repair(view, look))
    assert (tmp_path / "centos/install.sh").stat().st_mode & stat.S_IXUSR


def test_a_base_image_beside_its_file_does_not_move(tmp_path: Path) -> None:
    images = '{"local": "images/a.qcow2"}'
    case = {
        "copies": {"LEAF": ["OTHER"]},
        "files": {"LEAF/base_images.json": images, "OTHER/base_images.json": images},
    }
    assert f"{LEAF}/base_images.json" in repair(tmp_path, case)


def test_links_are_left_as_they_are(tmp_path: Path) -> None:
    view = write(tmp_path, files_of({"copies": {"LEAF": ["OTHER"]}}))
    (tmp_path / OTHER / "install.sh").unlink()
    (tmp_path / OTHER / "install.sh").symlink_to(tmp_path / LEAF / "install.sh")
    planned = plan_repair(view, look)
    assert not [change for change in planned.changes if change.path.endswith("install.sh")]


def test_a_directory_that_would_become_a_configuration_gets_no_file(tmp_path: Path) -> None:
    parent = LEAF.rpartition("/")[0]  # matches the whole layout, without the optional variant
    sibling = f"{parent}/tmp_noexec"
    template = files_of({})[f"{LEAF}/packer.json"].replace(
        f'"ami_description": "{LEAF}"', '"ami_description": "{{timestamp}}"'
    )
    view = write(
        tmp_path,
        {
            **files_of({"copies": {"LEAF": [sibling]}}),
            f"{LEAF}/packer.json": template,
            f"{sibling}/packer.json": template,
        },
    )
    carry_out_repair(view.catalogue, plan_repair(view, look))
    paths = [item.path for item in Catalogue(root=tmp_path.resolve()).configurations()]
    assert paths == [LEAF, sibling]


def test_only_what_was_asked_for_is_repaired(tmp_path: Path) -> None:
    case = {
        "copies": {"LEAF": ["OTHER"]},
        "move": {"LEAF/cluster_profile.tfvars": "LEAF/desired_cluster_profile.tfvars"},
    }
    view = write(tmp_path, files_of(case))

    def only_names(view: View) -> tuple[Finding, ...]:
        return check(view, [RULES["OSQ601"]]).findings

    planned = plan_repair(view, only_names)
    assert [change.path.rpartition("/")[2] for change in planned.changes] == [
        "cluster_profile.tfvars",
        "desired_cluster_profile.tfvars",
    ]


def a_wrong_repair(root: Path) -> Repair:
    """A repair that gives OTHER another script, as a mistake in the planning would."""
    view = write(root, files_of({"copies": {"LEAF": ["OTHER"]}}))
    path = f"{OTHER}/install.sh"
    before = (root / path).read_bytes()
    change = FileChange(path=path, before=before, after=b"#!/bin/sh\n", executable=False)
    return Repair(changes=(change,), before=resolve_all(view.catalogue), described=frozenset())


def test_a_repair_that_changes_a_configuration_is_taken_back(tmp_path: Path) -> None:
    wrong = a_wrong_repair(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(NotProven) as caught:
        carry_out_repair(Catalogue(root=tmp_path.resolve()), wrong)
    assert f"{OTHER}: would find another file install.sh" in caught.value.details
    assert contents(tmp_path) == before


def test_a_script_that_was_taken_away_comes_back_executable(tmp_path: Path) -> None:
    view = write(tmp_path, files_of({}))
    script = tmp_path / LEAF / "install.sh"
    script.chmod(0o755)
    draft = Draft(tmp_path.resolve())
    draft.remove(f"{LEAF}/install.sh")
    wrong = Repair(
        changes=draft.changes(), before=resolve_all(view.catalogue), described=frozenset()
    )
    with pytest.raises(NotProven):
        carry_out_repair(Catalogue(root=tmp_path.resolve()), wrong)
    assert script.stat().st_mode & 0o100


BREAK: Mapping[str, Callable[[Path], object]] = {
    "another file install.sh": lambda d: (d / "install.sh").write_text("true\n"),
    "another profile": lambda d: (d / "cluster_profile.tfvars").unlink(),
    "another template": lambda d: (d / "packer.json").write_text("{}"),
    "another publish_and_test_config.yaml": lambda d: (d / "publish_and_test_config.yaml").unlink(),
    "another base images": lambda d: (d / "base_images.json").write_text("{}"),
    "another dcos_images.yaml": lambda d: (d / "dcos_images.yaml").unlink(),
    "another setup.sh": lambda d: (d / "setup.sh").write_text(""),
    "another mutes in": lambda d: (d / "mutes.yaml").write_text("[]"),
}


@pytest.mark.parametrize("what", BREAK)
def test_the_proof_notices(what: str, tmp_path: Path) -> None:
    view = write(tmp_path, files_of({}))
    before = resolve_all(view.catalogue)
    BREAK[what](tmp_path / LEAF)
    after = resolve_all(Catalogue(root=tmp_path.resolve()))
    assert any(what in wrong for wrong in differences(before, after, frozenset()))


def test_the_proof_notices_permissions_and_lost_configurations(tmp_path: Path) -> None:
    view = write(tmp_path, files_of({"copies": {"LEAF": ["OTHER"]}}))
    before = resolve_all(view.catalogue)
    (tmp_path / LEAF / "install.sh").chmod(0o755)
    for path in (tmp_path / OTHER).iterdir():
        path.unlink()
    wrong = differences(before, resolve_all(Catalogue(root=tmp_path.resolve())), frozenset())
    assert wrong == [
        f"{OTHER}: is no configuration any more",
        f"{LEAF}: would find another file install.sh",
    ]


def test_a_description_may_differ_only_where_it_is_meant_to(tmp_path: Path) -> None:
    view = write(tmp_path, files_of({}))
    before = resolve_all(view.catalogue)
    path = tmp_path / LEAF / "packer.json"
    path.write_text(
        path.read_text().replace(f'"ami_description": "{LEAF}"', '"ami_description": ""')
    )
    after = resolve_all(Catalogue(root=tmp_path.resolve()))
    assert differences(before, after, frozenset()) != []
    assert differences(before, after, frozenset({LEAF})) == []
    path.write_text(path.read_text().replace("us-east-1", "us-east-2"))
    after = resolve_all(Catalogue(root=tmp_path.resolve()))
    assert differences(before, after, frozenset({LEAF})) != []


def test_a_crash_between_any_two_writes_changes_no_configuration(tmp_path: Path) -> None:
    """New files come before what they replace goes."""
    case = {
        "copies": {"LEAF": ["OTHER", "THIRD"]},
        "move": {"LEAF/cluster_profile.tfvars": "LEAF/desired_cluster_profile.tfvars"},
    }
    view = write(tmp_path, files_of(case))
    planned = plan_repair(view, look)
    assert len(planned.changes) > 8
    for change in planned.changes:
        apply(view.catalogue.root, [change])
        now = resolve_all(Catalogue(root=tmp_path.resolve()))
        assert differences(planned.before, now, frozenset()) == []


def test_placeholders_of_the_fixtures_stand_for_configurations() -> None:
    assert placed("LEAF") == LEAF
