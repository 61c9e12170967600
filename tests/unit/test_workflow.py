"""The pipeline's rules with fake parts: what is published, which verdict, which exit code."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import open_catalogue
from osqual.catalogue.published import parse_record
from osqual.errors import (
    BuildFailed,
    ExitCode,
    InfrastructureError,
    InvalidInput,
    ProvisionFailed,
)
from osqual.events import Event, EventKind
from osqual.model import KeepPolicy, Outcome, Verdict
from osqual.pipeline.preview import preview
from osqual.pipeline.workflow import Engine, RunResult, end_resources, qualify
from osqual.run.context import RunOptions
from osqual.settings import load_settings
from tests.fakes import IMAGE_ID, FakeBuilder, FakePlatform, FakeSuites, fake_parts
from tests.fixtures.command import stand_in
from tests.stores import new_store

LEAF = "debian/12/qemu/thing-1.0/docker-20.10"
PUBLISHED = {"dcos_images.yaml", "packer_build_history.json", "qualification.json"}
TEMPLATE = {
    "builders": [{"type": "qemu", "ssh_username": "admin"}],
    "provisioners": [{"type": "shell", "script": "install.sh"}],
}
PRODUCT = """\
description: a thing
suites:
  - {name: integration, stage: integration, kind: pytest, path: tests}
  - {name: framework, stage: framework, kind: command, path: load.sh}
"""


@dataclass
class World:
    """A catalogue with one configuration, fakes for everything outside, and one engine."""

    root: Path
    builder: FakeBuilder = field(default_factory=FakeBuilder)
    platform: FakePlatform = field(default_factory=FakePlatform)
    suites: FakeSuites = field(default_factory=FakeSuites)
    cancellation: Cancellation = field(default_factory=Cancellation)
    events: list[Event] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        leaf = self.leaf
        leaf.mkdir(parents=True)
        (leaf / "packer.json").write_text(json.dumps(TEMPLATE))
        (leaf / "install.sh").write_text("#!/bin/sh\n")
        (leaf.parents[1] / "base_images.json").write_text('{"local": "debian:bookworm"}')
        product = self.root / "catalogue" / "products" / "thing"
        (product / "tests").mkdir(parents=True)
        (product / "product.yaml").write_text(PRODUCT)
        (product / "load.sh").write_text("#!/bin/sh\n")
        (product / "load.sh").chmod(0o755)
        (self.root / "catalogue" / "osqual.yaml").write_text("products: products\n")
        self.settings = load_settings(self.root / "catalogue", self.directories)
        self.store = new_store(self.settings)

    @property
    def directories(self) -> dict[str, str]:
        """The variables that name them."""
        names = ("state", "cache", "data")
        return {f"OSQUAL_{name.upper()}_DIR": str(self.root / name) for name in names}

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Commands are called in the catalogue from here on."""
        stand_in(self.root / "catalogue", self.directories, monkeypatch)

    @property
    def leaf(self) -> Path:
        return self.root / "catalogue" / LEAF

    def config(self, text: str) -> None:
        (self.leaf / "publish_and_test_config.yaml").write_text(text)

    def engine(self) -> Engine:
        return Engine(
            settings=self.settings,
            store=self.store,
            cancellation=self.cancellation,
            environ=self.environ,
            subscribers=(self.events.append,),
            parts=fake_parts(self.builder, self.platform, self.suites),
        )

    def run(self, **options: Any) -> RunResult:
        catalogue = open_catalogue(self.root / "catalogue")
        configuration = catalogue.configuration(self.leaf)
        return qualify(catalogue, configuration, RunOptions(**options), self.engine())

    def publish_by_hand(self) -> None:
        """An image that an earlier run published, with its file on this machine."""
        (self.leaf / "dcos_images.yaml").write_text(f"local: {IMAGE_ID}\n")
        images = self.root / "data" / "images"
        images.mkdir(parents=True)
        (images / f"{IMAGE_ID.removeprefix('sha256:')}.qcow2").write_bytes(b"")

    def published(self) -> set[str]:
        return {path.name for path in self.leaf.iterdir()} & PUBLISHED


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_good_run_is_qualified_published_and_destroyed(world: World) -> None:
    result = world.run()
    assert (result.judgement.verdict, result.exit_code) == (Verdict.QUALIFIED, ExitCode.OK)
    assert world.published() == PUBLISHED
    assert not world.platform.running
    record = json.loads((world.leaf / "qualification.json").read_text())
    assert record["verdict"] == "qualified"
    assert record["images"] == {"local": IMAGE_ID}
    assert record["nodes"][0]["kernel"] == "6.1.0"
    assert record["tools"].keys() == {"osqual", "python", "fake-emulator"}
    assert parse_record(json.dumps(record), "record").recipe_digest == record["recipe"]["digest"]
    assert set(record["inputs"]) >= {"base", "template", "file:install.sh", "profile", "product"}


def test_the_store_tells_the_whole_story_afterwards(world: World) -> None:
    result = world.run()
    run = world.store.run("latest")
    assert (run["verdict"], run["exit_code"], run["status"]) == ("qualified", 0, "ended")
    assert [step["name"] for step in world.store.steps(result.run_id)] == [
        "validate", "build", "provision", "install", "test", "judge", "publish", "destroy",
    ]  # fmt: skip
    assert {step["status"] for step in world.store.steps(result.run_id)} == {"done"}
    assert [row["test_id"] for row in world.store.results(result.run_id)] == ["test_it"] * 2
    assert world.store.resources() == []


def no_build(world: World) -> None:
    world.builder.failure = BuildFailed("the script failed")


def no_cluster(world: World) -> None:
    world.platform.failure = ProvisionFailed("master-1 did not come up")


def no_install(world: World) -> None:
    (world.root / "catalogue" / "products" / "thing" / "product.yaml").write_text(
        PRODUCT + "install:\n  - {name: load, script: load.sh}\n"
    )
    world.platform.unwritable = True


def a_test_fails(suite: str) -> Callable[[World], None]:
    return lambda world: world.suites.failing.add(suite)


def suite_dies(suite: str) -> Callable[[World], None]:
    return lambda world: world.suites.dying.add(suite)


def no_publishing(world: World) -> None:
    (world.leaf / "packer_build_history.json").write_text("not json")


def no_teardown(world: World) -> None:
    world.platform.leaks = True


# What fails -> how, the verdict and the exit code; and at which gates images are published.
FAILURES: dict[str, tuple[Callable[[World], object], str, int, str]] = {
    "nothing": (lambda world: None, "qualified", 0, "build install tests"),
    "build": (no_build, "inconclusive", 3, ""),
    "provision": (no_cluster, "inconclusive", 3, "build"),
    "install": (no_install, "inconclusive", 3, "build"),
    "an integration test": (a_test_fails("integration"), "rejected", 1, "build install"),
    "the integration suite": (suite_dies("integration"), "inconclusive", 3, "build install"),
    "a framework test": (a_test_fails("framework"), "rejected", 1, "build install"),
    "the framework suite": (suite_dies("framework"), "inconclusive", 3, "build install"),
    "publish": (no_publishing, "qualified", 3, ""),
    "destroy": (no_teardown, "qualified", 4, "build install tests"),
}
GATES = {"packer_build": "build", "dcos_installation": "install", "integration_tests": "tests"}


@pytest.mark.parametrize("failing", FAILURES)
@pytest.mark.parametrize("gate", GATES)
def test_each_failing_step_at_each_gate(world: World, gate: str, failing: str) -> None:
    spoil, verdict, code, passes = FAILURES[failing]
    world.config(f"publish_dcos_images_after: {gate}\n")
    spoil(world)
    result = world.run()
    published = GATES[gate] in passes.split()
    assert (result.judgement.verdict.value, int(result.exit_code)) == (verdict, code)
    # A record never stands without the images that it is about.
    assert world.published() - {"packer_build_history.json"} == (
        {"dcos_images.yaml", "qualification.json"} if published else set()
    )
    assert bool(world.builder.released) is (published or failing == "publish")
    assert bool(world.platform.running) is (failing == "destroy")
    assert bool(world.store.resources()) is (failing == "destroy")
    if failing == "publish":
        assert (world.leaf / "packer_build_history.json").read_text() == "not json"
        assert any("history" in error.brief for error in result.errors)


@pytest.mark.parametrize("failing", FAILURES)
def test_each_failing_step_where_nothing_is_to_be_published(world: World, failing: str) -> None:
    spoil, verdict, code, _ = FAILURES[failing]
    world.publish_by_hand()
    before = (world.leaf / "dcos_images.yaml").read_text()
    world.config("publish_dcos_images_after: never\n")
    spoil(world)
    result = world.run()
    if failing in ("build", "publish"):  # neither is done
        verdict, code = "qualified", 0
    assert (result.judgement.verdict.value, int(result.exit_code)) == (verdict, code)
    assert not world.builder.built
    assert not world.builder.released
    assert (world.leaf / "dcos_images.yaml").read_text() == before
    assert "qualification.json" not in world.published()
    assert bool(world.platform.running) is (failing == "destroy")


def test_a_failed_step_is_named_in_the_reasons_and_later_steps_are_skipped(world: World) -> None:
    world.builder.failure = BuildFailed("install.sh failed with exit status 7")
    result = world.run()
    assert any("install.sh failed" in reason for reason in result.judgement.reasons)
    status = {step["name"]: step["status"] for step in world.store.steps(result.run_id)}
    assert status["build"] == "failed"
    assert status["provision"] == status["install"] == status["test"] == "skipped"


def test_never_uses_the_published_image_and_says_when_there_is_none(world: World) -> None:
    world.config("publish_dcos_images_after: never\n")
    missing = world.run()
    assert missing.exit_code == ExitCode.USAGE
    assert any("no published image" in error.brief for error in missing.errors)
    world.publish_by_hand()
    before = (world.leaf / "dcos_images.yaml").read_text()
    result = world.run()
    assert result.judgement.verdict is Verdict.QUALIFIED
    assert world.builder.built == []
    assert world.published() == {"dcos_images.yaml"}
    assert (world.leaf / "dcos_images.yaml").read_text() == before


def test_suites_that_are_switched_off_are_not_run_and_named(world: World) -> None:
    world.config("run_framework_tests: false\n")
    result = world.run()
    assert [request.suite.name for request in world.suites.ran] == ["integration"]
    assert result.judgement.verdict is Verdict.QUALIFIED
    assert any("run_framework_tests is false" in reason for reason in result.judgement.reasons)


def test_tests_to_run_reach_the_integration_suites_only(world: World) -> None:
    world.config("tests_to_run:\n  - test_a.py\n  - -k 'not test_b'\n")
    world.run()
    chosen = {request.suite.name: request.selection.arguments for request in world.suites.ran}
    assert chosen == {"integration": ("test_a.py", "-k", "not test_b"), "framework": ()}


def test_tests_to_run_with_an_open_quote_are_refused_before_anything_is_built(
    world: World,
) -> None:
    world.config('tests_to_run: ["-k \'not test_b"]\n')
    result = world.run()
    assert result.exit_code == ExitCode.USAGE
    assert "tests_to_run cannot be split" in result.errors[0].brief
    assert world.builder.built == []


def test_a_run_narrowed_by_hand_neither_qualifies_nor_publishes(world: World) -> None:
    result = world.run(keywords=("test_it",))
    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert world.published() == set()


@pytest.mark.parametrize("point", ["packer_build", "integration_tests"])
def test_an_image_is_released_once_its_gate_has_passed_and_not_before(
    world: World, point: str
) -> None:
    world.config(f"publish_dcos_images_after: {point}\n")
    world.suites.outcome = Outcome.FAIL
    world.run()
    assert len(world.builder.released) == (1 if point == "packer_build" else 0)


def test_an_image_that_cannot_be_released_is_a_publishing_failure(world: World) -> None:
    world.builder.release_failure = InfrastructureError("not allowed")
    result = world.run()
    assert (result.judgement.verdict, result.exit_code) == (
        Verdict.QUALIFIED,
        ExitCode.INCONCLUSIVE,
    )
    assert "could not be given free: not allowed" in result.errors[0].brief
    assert world.published() == set()


def test_publish_none_writes_nothing(world: World) -> None:
    assert world.run(publish="none").judgement.verdict is Verdict.QUALIFIED
    assert world.published() == set()


def test_no_tracked_input_is_ever_rewritten(world: World) -> None:
    def inputs() -> dict[Path, bytes]:
        files = (path for path in (world.root / "catalogue").rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files if path.name not in PUBLISHED}

    before = inputs()
    world.run()
    assert inputs() == before


@pytest.mark.parametrize("keep", [KeepPolicy.ON_FAILURE, KeepPolicy.ALWAYS])
def test_a_kept_cluster_is_journalled_and_can_be_ended_later(
    world: World, keep: KeepPolicy
) -> None:
    world.suites.outcome = Outcome.FAIL
    result = world.run(keep=keep)
    assert result.kept
    assert world.platform.running
    left = world.store.resources(run_id=result.run_id)
    assert all(row["kept"] for row in left)
    assert end_resources(result.run_id, result.directory, world.engine()) == len(left)
    assert not world.platform.running
    assert world.store.resources() == []


def test_keep_on_failure_does_not_keep_a_good_cluster(world: World) -> None:
    assert not world.run(keep=KeepPolicy.ON_FAILURE).kept
    assert not world.platform.running


def test_an_interrupt_tears_down_even_what_would_be_kept_on_failure(world: World) -> None:
    def interrupt(scope: Any) -> None:
        world.cancellation.cancel()
        scope.cancellation.check()

    world.platform.on_provision = interrupt
    result = world.run(keep=KeepPolicy.ON_FAILURE)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert not world.platform.running
    assert world.published() == set()


def test_a_second_interrupt_leaves_the_rest_to_the_record(world: World) -> None:
    def interrupt_twice(scope: Any) -> None:
        world.cancellation.cancel()
        world.cancellation.cancel()
        scope.cancellation.check()

    world.platform.on_provision = interrupt_twice
    result = world.run()
    assert result.exit_code == ExitCode.CLEANUP_INCOMPLETE
    left = {row["kind"] for row in world.store.resources(run_id=result.run_id)}
    assert "vm" in left
    assert "vm master-1" in result.errors[-1].details


def test_a_bug_in_a_step_still_tears_down(world: World) -> None:
    world.platform.failure = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        world.run()
    assert not world.platform.running
    assert world.store.run("latest")["status"] == "ended"


def test_wrong_input_ends_before_anything_is_started(world: World) -> None:
    world.builder.refusal = InvalidInput("unknown option")
    result = world.run()
    assert result.exit_code == ExitCode.USAGE
    assert world.platform.destroyed == 0


def test_a_dry_run_changes_nothing_and_starts_nothing(world: World) -> None:
    catalogue = open_catalogue(world.root / "catalogue")
    before = sorted(path for path in world.root.rglob("*") if "store.db" not in path.name)
    found = preview(
        catalogue, catalogue.configuration(world.leaf), RunOptions(), world.engine()
    ).document()
    assert found["nodes"] == ["master-1", "private-agent-1", "public-agent-1"]
    assert found["base_images"] == {"local": "debian:bookworm"}
    assert "integration (pytest): all tests" in found["suites"]
    assert "dcos_installation" in found["publish"]
    assert world.builder.built == []
    assert world.platform.destroyed == 0
    assert sorted(path for path in world.root.rglob("*") if "store.db" not in path.name) == before


def test_every_event_is_in_the_runs_own_log(world: World) -> None:
    result = world.run()
    lines = (result.directory / "events.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert len(kinds) == len(world.events)
    assert kinds[0] == EventKind.RUN_STARTED.value
    assert kinds[-1] == EventKind.RUN_ENDED.value


def test_a_published_work_tree_shows_published_files_only(world: World) -> None:
    root = world.root / "catalogue"
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for argv in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "catalogue: start"]):
        subprocess.run([*git, *argv], check=True)
    world.run()
    status = subprocess.run([*git, "status", "--short", "-uall"], capture_output=True, text=True)
    assert {line[3:] for line in status.stdout.splitlines()} == {f"{LEAF}/{n}" for n in PUBLISHED}
