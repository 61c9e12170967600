"""The verdict cache: what re-qualifies, what does not, and how a reused verdict is told."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from osqual.catalogue.catalogue import open_catalogue
from osqual.model import Outcome, Verdict
from osqual.pipeline.reusing import is_audited
from osqual.pipeline.workflow import RunResult
from osqual.plan.plan import Action, make_plan
from osqual.settings import load_settings
from tests.fakes import fake_parts
from tests.unit.test_workflow import LEAF, World

SETTINGS = "products: products\n"
PROFILE = 'num_of_private_agents = "1"\n'
CONFIG = "tests_to_run: [test_a.py]\n"
MUTE = "- {test: test_vip, ticket: OS-1}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.config(CONFIG)
    (world.leaf / "cluster_profile.tfvars").write_text(PROFILE)
    (world.leaf / "setup.sh").write_text("#!/bin/sh\n")
    root = world.root / "catalogue"
    (root / "products/thing/tests/test_it.py").write_text("def test_it(): pass\n")
    (root / "mutes.yaml").write_text(MUTE)
    write_settings(world, SETTINGS)
    return world


def write_settings(world: World, text: str) -> None:
    (world.root / "catalogue/osqual.yaml").write_text(text)
    environ = {f"OSQUAL_{n.upper()}_DIR": str(world.root / n) for n in ("state", "cache", "data")}
    world.settings = load_settings(world.root / "catalogue", environ)


def write(path: str, text: str) -> Callable[[World], object]:
    return lambda world: (world.root / "catalogue" / path).write_text(text)


def replan(world: World) -> tuple[Action, tuple[str, ...]]:
    catalogue = open_catalogue(world.root / "catalogue")
    (step,) = make_plan(catalogue, catalogue.configurations()).steps
    return step.action, step.reasons


def reused(world: World, **options: object) -> bool:
    """Whether a run takes over a verdict: then nothing is provisioned and no suite runs."""
    ran = len(world.suites.ran)
    result = world.run(reuse=True, **options)
    assert result.judgement.verdict is Verdict.QUALIFIED
    return len(world.suites.ran) == ran


# What a verdict rests on beside the image, each changed as little as can be.
INPUTS: dict[str, Callable[[World], object]] = {
    "topology": write(f"{LEAF}/cluster_profile.tfvars", PROFILE.replace("1", "2")),
    "a variable of the profile": write(f"{LEAF}/cluster_profile.tfvars", PROFILE + 'a = "1"\n'),
    "tests_to_run": write(f"{LEAF}/publish_and_test_config.yaml", CONFIG.replace("_a", "_b")),
    "the setup script": write(f"{LEAF}/setup.sh", "#!/bin/sh\n\n"),
    "a test": write("products/thing/tests/test_it.py", "def test_it(): pass \n"),
    "a suite's program": write("products/thing/load.sh", "#!/bin/sh \n"),
    "a mute": write("mutes.yaml", MUTE.replace("1", "2")),
    "a mute more": write(f"{LEAF}/mutes.yaml", "- test: test_x\n"),
    "the policy on flakes": lambda w: write_settings(w, SETTINGS + "policy: {flaky: reject}\n"),
    "the policy on a check": lambda w: write_settings(
        w, SETTINGS + "policy: {checks: {hung_task: fail}}\n"
    ),
    "the machines": lambda w: write_settings(w, SETTINGS + "qemu: {memory_mb: 1025}\n"),
    "a variable of the product": lambda w: write_settings(
        w, SETTINGS + "product_environment: {thing: {COLOUR: red}}\n"
    ),
}  # fmt: skip
# What goes into the image: the plan sees the input, the digest sees the image that came out.
OF_THE_IMAGE: dict[str, Callable[[World], object]] = {
    "a provisioner": write(f"{LEAF}/install.sh", "#!/bin/sh \n"),
    "the template": lambda w: (w.leaf / "packer.json").write_text(
        (w.leaf / "packer.json").read_text().replace("admin", "admim")
    ),
    "the base image": write("debian/12/qemu/base_images.json", '{"local": "debian:bookworn"}'),
}  # fmt: skip
NON_INPUTS: dict[str, Callable[[World], object]] = {
    "nothing": lambda world: None,
    "a README": write(f"{LEAF}/README.md", "# a comment\n"),
    "a comment beside a mute": write("mutes.yaml", "# why\n" + MUTE),
    "a comment in the configuration": write(
        f"{LEAF}/publish_and_test_config.yaml", "# c\n" + CONFIG
    ),
    "a comment in the profile": write(f"{LEAF}/cluster_profile.tfvars", "# c\n" + PROFILE),
    "a file's time": lambda w: os.utime(w.leaf / "install.sh", (1, 1)),
    "the order of keys": lambda w: (w.leaf / "packer.json").write_text(
        json.dumps(dict(reversed(json.loads((w.leaf / "packer.json").read_text()).items())))
    ),
    "what running tests leaves": lambda w: (
        w.root / "catalogue/products/thing/tests/__pycache__"
    ).mkdir(),
    "limits": lambda w: write_settings(w, SETTINGS + "limits: {cloud: {at_most: 3}}\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_each_input_changed_a_little_re_qualifies(world: World, name: str) -> None:
    world.run()
    assert replan(world)[0] is Action.SKIP
    INPUTS[name](world)
    assert replan(world)[0] is Action.RUN
    assert not reused(world)


@pytest.mark.parametrize("name", OF_THE_IMAGE)
def test_each_input_of_the_image_is_planned_again(world: World, name: str) -> None:
    world.run()
    OF_THE_IMAGE[name](world)
    assert replan(world)[0] is Action.RUN


@pytest.mark.parametrize("name", NON_INPUTS)
def test_what_is_no_input_changes_nothing(world: World, name: str) -> None:
    world.run()
    NON_INPUTS[name](world)
    assert replan(world)[0] is Action.SKIP
    assert reused(world)


def test_another_image_re_qualifies(world: World) -> None:
    world.run()
    world.builder.image_id = "sha256:" + "a" * 63 + "b"
    assert not reused(world)


def test_another_version_of_a_tool_re_qualifies(world: World) -> None:
    world.run()
    parts = fake_parts(world.builder, world.platform, world.suites)
    (program,) = parts.inspect_programs()
    newer = replace(parts, inspect_programs=lambda: [replace(program, version="1.2.4")])
    engine = replace(world.engine(), parts=newer)
    world.engine = lambda: engine  # type: ignore[method-assign]
    assert not reused(world)


def test_a_reused_verdict_is_told_with_its_run_and_published_as_such(world: World) -> None:
    first = world.run()
    second = world.run(reuse=True)
    assert f"The verdict of the run {first.run_id} of " in second.judgement.reasons[0]
    assert second.judgement.totals == first.judgement.totals
    assert world.store.run(second.run_id)["reused"] == first.run_id
    record = json.loads((world.leaf / "qualification.json").read_text())
    assert (record["run"], record["reused"]) == (second.run_id, first.run_id)
    assert [suite["name"] for suite in record["suites"]] == ["framework", "integration"]
    assert record["nodes"][0]["kernel"] == "6.1.0"
    assert world.store.results(second.run_id) == []  # history would count them twice
    third = world.run(reuse=True)
    assert first.run_id in third.judgement.reasons[0]


def test_a_rejection_is_reused_and_an_inconclusive_run_is_not(world: World) -> None:
    world.suites.outcome = Outcome.FAIL
    world.run()
    assert world.run(reuse=True).judgement.verdict is Verdict.REJECTED
    assert len(world.suites.ran) == 2
    (world.root / "catalogue/mutes.yaml").write_text("- test: other\n")
    world.suites.outcome = Outcome.PASS
    world.suites.dying.add("integration")
    assert world.run().judgement.verdict is Verdict.INCONCLUSIVE
    world.suites.dying.clear()
    assert not reused(world)


@pytest.mark.parametrize("options", [{"keywords": ("test_it",)}, {"cold": True}])
def test_who_asks_for_more_gets_a_run(world: World, options: dict[str, object]) -> None:
    world.run()
    ran = len(world.suites.ran)
    world.run(reuse=True, **options)
    assert len(world.suites.ran) > ran


def test_without_reuse_every_run_is_done(world: World) -> None:
    world.run()
    world.run()
    assert len(world.suites.ran) == 4


def audit(world: World) -> RunResult:
    return world.run(reuse=True, audit=1.0)


def test_an_audit_runs_again_and_tells_what_it_found(world: World) -> None:
    first = world.run()
    good = audit(world)
    assert f"An audit of the run {first.run_id} of " in good.judgement.reasons[-1]
    assert "the same again" in good.judgement.reasons[-1]
    world.suites.outcome = Outcome.FAIL
    bad = audit(world)
    assert bad.judgement.verdict is Verdict.REJECTED
    assert f"{good.run_id} of " in bad.judgement.reasons[-1]
    assert "contradicts it: that was qualified" in bad.judgement.reasons[-1]


def test_the_sample_has_the_share_that_was_asked_for() -> None:
    audited = sum(is_audited(f"20260102-030405-{number:06x}", 0.05) for number in range(4000))
    assert 140 < audited < 260
    assert not any(is_audited(f"run-{number}", 0.0) for number in range(1000))
    assert all(is_audited(f"run-{number}", 1.0) for number in range(1000))
