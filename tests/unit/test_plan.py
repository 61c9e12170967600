"""What would run, and why: against the record, and against a commit."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from osqual.catalogue.catalogue import Catalogue, open_catalogue
from osqual.catalogue.inputs import load_inputs
from osqual.errors import UsageError
from osqual.plan.plan import Action, Plan, make_plan
from osqual.plan.reasons import changes_between
from osqual.plan.surroundings import Surroundings
from tests.fixtures.catalogue_small import LEAF, leaf_files, publish, small_catalogue, write

OTHER = LEAF.replace("2.0.1", "2.1.0")
RHEL = LEAF.replace("centos/7.6", "rhel/7.5")
IMAGES = {"us-west-2": "ami-9"}


def plan_of(catalogue: Catalogue, **options: Any) -> Plan:
    fresh = open_catalogue(catalogue.root)
    return make_plan(fresh, fresh.configurations(), **options)


def why(plan: Plan) -> dict[str, tuple[Action, tuple[str, ...]]]:
    return {step.configuration.path: (step.action, step.reasons) for step in plan.steps}


def qualify(catalogue: Catalogue, path: str = LEAF, verdict: str = "qualified") -> None:
    """Publish as a run would have done it with the inputs as they are now."""
    catalogue = open_catalogue(catalogue.root)
    configuration = catalogue.configuration(path)
    inputs = load_inputs(catalogue, configuration)
    publish(
        catalogue.root,
        path,
        IMAGES,
        verdict=verdict,
        recipe={"digest": inputs.recipe.digest, "inputs": dict(inputs.recipe.inputs)},
        inputs={**inputs.digests, **Surroundings.of(catalogue).digests(configuration)},
    )


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", *identity, "-c", "commit.gpgsign=false", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def commit(root: Path) -> None:
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "all", "--allow-empty")


def test_what_was_never_qualified_runs(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, LEAF, OTHER)
    publish(tmp_path, OTHER, IMAGES)
    assert why(plan_of(catalogue)) == {
        LEAF: (Action.RUN, ("never qualified",)),
        OTHER: (Action.RUN, ("published without evidence",)),
    }


def test_nothing_changed_nothing_runs(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    qualify(catalogue)
    ((_, (action, reasons)),) = why(plan_of(catalogue)).items()
    assert action is Action.SKIP
    assert reasons == ("nothing changed since it was qualified (qualified)",)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (f"{LEAF}/install.sh", "set -eu\n", "install.sh changed"),
        (f"{LEAF}/cluster_profile.tfvars", "a = 1\n", "the cluster profile changed"),
        (f"{LEAF}/setup.sh", "true\n", "the setup script is new"),
        ("centos/7.6/aws/base_images.json", {"us-west-2": "ami-2"}, "the base image moved"),
        (f"{LEAF}/base_images.json", {"us-west-2": "ami-2"}, "the base image moved"),
        (
            f"{LEAF}/publish_and_test_config.yaml",
            "run_framework_tests: true\n",
            "the publish and test configuration changed",
        ),
        (f"{LEAF}/dcos_images.yaml", "us-west-2: ami-8\n", "other images are published than"),
    ],
)
def test_every_changed_input_is_a_reason(
    tmp_path: Path, name: str, content: Any, reason: str
) -> None:
    catalogue = small_catalogue(tmp_path)
    qualify(catalogue)
    write(tmp_path, {name: content})
    ((_, (action, reasons)),) = why(plan_of(catalogue)).items()
    assert action is Action.RUN
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


def test_a_changed_product_is_a_reason(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, files={"products/dcos/product.yaml": "a: 1\n"})
    qualify(catalogue)
    assert plan_of(catalogue).of(Action.SKIP)
    write(tmp_path, {"products/dcos/tests/test_a.py": ""})
    (step,) = plan_of(catalogue).of(Action.RUN)
    assert step.reasons == ("the product definition changed",)
    shutil.rmtree(tmp_path / "products")  # the definition that osqual brings along takes over
    (step,) = plan_of(catalogue).of(Action.RUN)
    assert step.reasons == ("the product definition changed",)


SIZED = LEAF.replace("/aws/", "/qemu/")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("qemu: {memory_mb: 2048}\n", "the size of the machines changed"),
        ("qemu: {boot_timeout_s: 900}\n", None),
        ("aliases: {docker: {19.03.5-ce: 19.03.5}}\n", "what its path means changed"),
        ("aliases: {docker: {19.03.6: 19.03.5}}\n", None),
        ("layout: '{os}/{os_version}/{platform}/{product}-{release}/{docker}[/{variant}]'\n",
         "what its path means changed"),
        ("files: {setup: first.sh}\n", "the setup script is new"),
        ("lint: {strict: true}\n", None),
    ],
)  # fmt: skip
def test_a_setting_is_a_reason_where_it_matters(
    tmp_path: Path, settings: str, reason: str | None
) -> None:
    catalogue = small_catalogue(tmp_path, SIZED, files={f"{SIZED}/first.sh": "true\n"})
    commit(tmp_path)
    write(tmp_path, {"osqual.yaml": settings})
    assert effects(catalogue) == ({} if reason is None else {SIZED: f"since HEAD: {reason}"})
    if reason is None:
        kept = "what changed since HEAD means the same"
        assert why(plan_of(catalogue, since="HEAD")) == {SIZED: (Action.SKIP, (kept,))}
    qualify(catalogue, SIZED)  # with the new settings: the record speaks for them
    assert plan_of(catalogue, since="HEAD").of(Action.SKIP)
    (tmp_path / "osqual.yaml").unlink()
    found = [step.reasons for step in plan_of(catalogue).of(Action.RUN)]
    assert found == ([] if reason is None else [(reason.replace("is new", "is gone"),)])


def test_the_size_of_qemu_s_machines_is_nothing_to_others(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    qualify(catalogue)
    write(tmp_path, {"osqual.yaml": "qemu: {memory_mb: 2048}\n"})
    assert plan_of(catalogue).of(Action.SKIP)


def test_settings_that_were_broken_are_told(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    write(tmp_path, {"osqual.yaml": "qemu: [\n"})
    commit(tmp_path)
    write(tmp_path, {"osqual.yaml": ""})
    assert effects(catalogue)[LEAF].startswith("was broken at HEAD: osqual.yaml")


@pytest.mark.parametrize(("verdict", "runs"), [("inconclusive", True), ("rejected", False)])
def test_an_inconclusive_run_is_repeated(tmp_path: Path, verdict: str, runs: bool) -> None:
    catalogue = small_catalogue(tmp_path)
    qualify(catalogue, verdict=verdict)
    assert bool(plan_of(catalogue).of(Action.RUN)) is runs


def test_a_copied_record_proves_nothing(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, LEAF, OTHER)
    qualify(catalogue)
    record = json.loads((tmp_path / LEAF / "qualification.json").read_text())
    publish(tmp_path, OTHER, IMAGES)
    write(tmp_path, {f"{OTHER}/qualification.json": record})
    assert why(plan_of(catalogue))[OTHER] == (Action.RUN, (f"its record was made for {LEAF}",))


def test_a_record_that_tells_only_its_recipe_is_compared_by_that(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    inputs = load_inputs(catalogue, catalogue.configuration(LEAF)).recipe.inputs
    publish(tmp_path, LEAF, IMAGES, verdict="qualified", recipe={"inputs": dict(inputs)})
    assert plan_of(catalogue).of(Action.SKIP)
    write(tmp_path, {f"{LEAF}/install.sh": ""})
    assert plan_of(catalogue).of(Action.RUN)


def test_broken_configurations_stop_nobody_else(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, LEAF, OTHER, RHEL)
    write(tmp_path, {f"{OTHER}/packer.json": "{", f"{RHEL}/qualification.json": "{"})
    found = why(plan_of(catalogue))
    assert found[LEAF][0] is Action.RUN
    assert found[OTHER][0] is Action.BROKEN
    assert f"{OTHER}/packer.json:1" in found[OTHER][1][0]
    assert found[RHEL][0] is Action.RUN
    assert "record cannot be read" in found[RHEL][1][0]


def test_configurations_of_one_recipe_stand_together(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, LEAF, OTHER, RHEL)
    write(tmp_path, {"rhel/7.5/aws/base_images.json": {"us-west-2": "ami-7"}})
    groups = [[step.configuration.path for step in group] for group in plan_of(catalogue).groups()]
    assert groups == [[LEAF, OTHER], [RHEL]]


def test_what_never_publishes_builds_nothing_to_share(tmp_path: Path) -> None:
    never = {f"{LEAF}/publish_and_test_config.yaml": "publish_dcos_images_after: never\n"}
    catalogue = small_catalogue(tmp_path, LEAF, OTHER, files=never)
    assert [len(group) for group in plan_of(catalogue).groups()] == [1, 1]


# -- against a commit


def effects(catalogue: Catalogue, since: str = "HEAD") -> dict[str, str]:
    """What a plan says beyond `never qualified`, of what runs."""
    plan = plan_of(catalogue, since=since)
    return {step.configuration.path: "; ".join(step.reasons[1:]) for step in plan.of(Action.RUN)}


def test_only_what_changed_after_the_commit_runs(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, LEAF, OTHER)
    commit(tmp_path)
    assert effects(catalogue) == {}
    write(tmp_path, {f"{LEAF}/install.sh": "set -x\n"})
    assert effects(catalogue) == {LEAF: "since HEAD: install.sh changed"}
    skipped = plan_of(catalogue, since="HEAD").of(Action.SKIP)
    assert [step.reasons for step in skipped] == [("nothing that it uses changed since HEAD",)]
    git(tmp_path, "commit", "-qam", "two")
    assert effects(catalogue) == {}
    assert effects(catalogue, "HEAD~1") == {LEAF: "since HEAD~1: install.sh changed"}


def test_a_parent_s_file_reaches_everything_below_that_uses_it(tmp_path: Path) -> None:
    own = LEAF.replace("7.6", "7.7")
    catalogue = small_catalogue(tmp_path, LEAF, OTHER, own, RHEL)
    commit(tmp_path)
    write(tmp_path, {"centos/7.6/aws/base_images.json": {"us-west-2": "ami-2"}})
    moved = "since HEAD: the base image moved"
    assert effects(catalogue) == {LEAF: moved, OTHER: moved}
    # nearer than what was used so far, and not even tracked yet
    write(tmp_path, {"rhel/7.5/aws/DCOS-2.0.1/base_images.json": {"us-west-2": "ami-3"}})
    assert effects(catalogue) == {LEAF: moved, OTHER: moved, RHEL: moved}


def test_deleted_files_are_followed_to_what_takes_their_place(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, files={"centos/install.sh": "set -e # shared\n"})
    commit(tmp_path)
    (tmp_path / LEAF / "install.sh").unlink()
    assert effects(catalogue) == {LEAF: "since HEAD: install.sh changed"}
    (tmp_path / LEAF / "cluster_profile.tfvars").unlink()
    assert effects(catalogue) == {
        LEAF: "since HEAD: install.sh changed; since HEAD: the cluster profile changed"
    }


def test_a_file_that_moved_to_a_parent_changes_nothing(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    commit(tmp_path)
    for name in ("install.sh", "cluster_profile.tfvars"):
        git(tmp_path, "mv", f"{LEAF}/{name}", f"centos/{name}")
    write(tmp_path, {f"{LEAF}/publish_and_test_config.yaml": "# x\nrun_framework_tests: false\n"})
    plan = plan_of(catalogue, since="HEAD")
    assert why(plan) == {LEAF: (Action.SKIP, ("what changed since HEAD means the same",))}


def test_renamed_and_new_configurations_are_new(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, LEAF, OTHER)
    qualify(catalogue, OTHER)
    commit(tmp_path)
    renamed = OTHER.replace("2.1.0", "2.1.1")
    git(tmp_path, "mv", "centos/7.6/aws/DCOS-2.1.0", "centos/7.6/aws/DCOS-2.1.1")
    write(tmp_path, leaf_files(RHEL))
    plan = plan_of(catalogue, since="HEAD")
    assert {
        path: reasons for path, (action, reasons) in why(plan).items() if action is Action.RUN
    } == {
        renamed: (f"its record was made for {OTHER}",),
        RHEL: ("never qualified", "new since HEAD"),
    }


def test_a_change_that_the_record_already_covers_is_skipped(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    commit(tmp_path)
    write(tmp_path, {f"{LEAF}/install.sh": "set -x\n"})
    qualify(catalogue)
    assert plan_of(catalogue, since="HEAD").of(Action.SKIP)


def test_a_changed_product_reaches_its_configurations(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, files={"products/dcos/product.yaml": "a: 1\n"})
    commit(tmp_path)
    write(tmp_path, {"products/dcos/tests/test_a.py": ""})
    assert effects(catalogue) == {LEAF: "since HEAD: the product definition changed"}
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "two")
    shutil.rmtree(tmp_path / "products")  # the definition that osqual brings along takes over
    assert effects(catalogue) == {LEAF: "since HEAD: the product definition changed"}


def test_only_this_branch_s_changes_count(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, LEAF, OTHER)
    commit(tmp_path)
    git(tmp_path, "checkout", "-qb", "mine")
    write(tmp_path, {f"{LEAF}/install.sh": "mine\n"})
    git(tmp_path, "commit", "-qam", "mine")
    git(tmp_path, "checkout", "-q", "main")
    write(tmp_path, {f"{OTHER}/install.sh": "theirs\n"})
    git(tmp_path, "commit", "-qam", "theirs")
    git(tmp_path, "checkout", "-q", "mine")
    assert effects(catalogue, "main") == {LEAF: "since main: install.sh changed"}


def test_a_catalogue_below_the_top_of_the_work_tree(tmp_path: Path) -> None:
    write(tmp_path / "sub", {"osqual.yaml": "default_region: us-west-2\n"})
    catalogue = small_catalogue(tmp_path / "sub", LEAF, OTHER)
    commit(tmp_path)
    write(tmp_path / "sub", {f"{LEAF}/install.sh": "x\n"})
    write(tmp_path, {f"{OTHER}/install.sh": "outside"})
    assert effects(catalogue) == {LEAF: "since HEAD: install.sh changed"}


@pytest.mark.parametrize("ref", ["nope", "--output=x", "", "HEAD:osqual.yaml", "a b"])
def test_a_ref_that_git_does_not_know(tmp_path: Path, ref: str) -> None:
    catalogue = small_catalogue(tmp_path)
    commit(tmp_path)
    with pytest.raises(UsageError, match="git knows no commit"):
        plan_of(catalogue, since=ref)
    assert not (tmp_path / "x").exists()


def test_without_git_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not in a git work tree"):
        plan_of(small_catalogue(tmp_path), since="HEAD")


def test_what_a_broken_past_means(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    whole = (tmp_path / LEAF / "packer.json").read_text()
    write(tmp_path, {f"{LEAF}/packer.json": "{"})
    commit(tmp_path)
    write(tmp_path, {f"{LEAF}/packer.json": whole})
    assert effects(catalogue)[LEAF].startswith("was broken at HEAD")


def test_changes_in_words() -> None:
    old = {"base": "1", "template": "1", "file:a.sh": "1", "file:b.sh": "1", "executable:a.sh": "1"}
    new = {"base": "2", "template": "2", "file:a.sh": "2", "file:c.sh": "1", "profile": "1"}
    assert changes_between(old, new) == [
        "the base image moved",
        "the template changed",
        "a.sh is no longer executable",
        "a.sh changed",
        "b.sh is gone",
        "c.sh is new",
        "the cluster profile is new",
    ]
