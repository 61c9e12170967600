"""A cloud that fails: what was published, verdict, exit code, and what is left."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.integration.aws.conftest import LEAF, NETWORK, REGION, World

pytestmark = [pytest.mark.aws, pytest.mark.timeout(1200)]


def test_neither_apply_nor_destroy_comes_to_its_end(world: World) -> None:
    world.own_provider()
    world.settings("retries: {attempts: 1}\ntime_limits: {destroy: 40}\n")
    proxy = world.cloud.proxy
    # Packer's machine is the first; of the cluster's two nodes one is made and one is refused.
    # (The provider itself would go on for minutes if the cloud had no capacity.)
    proxy.fail("RunInstances", "VcpuLimitExceeded", status=400, times=99, after=2)
    # Packer ends its own machine; after that nothing can be ended.
    proxy.fail("TerminateInstances", "UnauthorizedOperation", status=400, times=10**6, after=1)
    result = world.run(code=4)
    said = json.dumps(result)
    assert result["verdict"] == "inconclusive"
    assert "gives no further instance" in said
    (instance,) = world.cloud.left()[f"{REGION} instances"]
    assert instance in said, "what is left is named"
    assert "key ssh keys" not in said, "a file is removed even when the time is over"
    assert world.published() == set()
    assert len(world.cloud.own_images()) == 1, "the image stays: the next run finds it"
    assert list((world.root / "state").rglob("terraform.tfstate")), "the state stays"
    proxy.reset()
    assert world.osqual("destroy", "latest").returncode == 0
    assert world.cloud.left() == {}


def test_a_build_that_fails_leaves_nothing(world: World) -> None:
    world.without_cluster()
    (world.leaf / "provision.sh").write_text("#!/bin/sh\nexit 7\n")
    result = world.run(code=3)
    assert result["verdict"] == "inconclusive"
    assert "Packer failed" in json.dumps(result)
    assert world.cloud.left() == {}
    assert world.cloud.own_images() == []


def test_a_failing_suite_publishes_nothing_and_keeps_the_image_private(world: World) -> None:
    world.without_cluster()
    (world.product / "framework.sh").write_text("#!/bin/sh\nexit 1\n")
    result = world.run(code=1)
    assert result["verdict"] == "rejected"
    assert world.published() == set()
    assert not any(world.cloud.is_public(*item) for item in result["images"].items())
    assert world.cloud.left() == {}


def test_permission_that_cannot_be_granted_is_a_publishing_failure(world: World) -> None:
    world.without_cluster()
    # Packer itself sets the description of each image first.
    world.cloud.proxy.fail(
        "ModifyImageAttribute", "UnauthorizedOperation", status=400, times=99, after=2
    )
    result = world.run(code=3)
    assert "could not be given free" in json.dumps(result)
    assert world.published() == set()
    assert world.cloud.left() == {}


def wait_for(condition: Callable[[], bool], child: "subprocess.Popen[str]") -> None:
    """Until it holds, while the program runs."""
    give_up = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < give_up
        assert child.poll() is None
        time.sleep(0.2)


def test_an_interrupt_while_terraform_applies_ends_everything(world: World) -> None:
    world.own_provider()
    child = world.start("run", LEAF)
    wait_for(lambda: world.cloud.proxy.calls.count("RunInstances") >= 2, child)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=600)
    print(stdout, stderr)
    assert child.returncode == 130
    assert world.cloud.left() == {}


def test_a_run_that_was_killed_while_it_tests_goes_on(world: World) -> None:
    world.without_cluster(NETWORK)
    begun, go_on = world.root / "begun", world.root / "go-on"
    waiting = f"#!/bin/sh\ntouch {begun}\nwhile [ ! -e {go_on} ]; do sleep 0.2; done\n"
    (world.product / "integration.sh").write_text(waiting)
    child = world.start("run", LEAF)
    wait_for(begun.exists, child)
    child.kill()
    child.communicate(timeout=60)
    made = world.cloud.proxy.calls.count("CreateVpc")
    go_on.touch()
    assert world.osqual("resume").returncode == 0
    assert world.cloud.proxy.calls.count("CreateVpc") == made > 0, "the cluster was taken over"
    assert len(world.published()) == 3
    assert world.cloud.left() == {}


def test_packer_goes_on_without_its_osqual_and_is_followed_again(world: World) -> None:
    world.without_cluster()
    begun, go_on = world.root / "begun", world.root / "go-on"
    waiting = f"#!/bin/sh\ntouch {begun}\nwhile [ ! -e {go_on} ]; do sleep 0.2; done\n"
    (world.leaf / "provision.sh").write_text(waiting)
    child = world.start("run", LEAF)
    wait_for(begun.exists, child)
    child.kill()
    child.communicate(timeout=60)
    go_on.touch()
    assert world.osqual("resume").returncode == 0
    assert world.cloud.proxy.calls.count("RunInstances") == 1
    assert len(world.published()) == 3
    assert world.cloud.left() == {}


def test_a_build_that_was_killed_with_packer_is_ended_by_its_tags_alone(world: World) -> None:
    world.without_cluster()
    settings = (world.catalogue / "osqual.yaml").read_text()
    world.settings(settings + "expire_after_s: 1\n")
    (world.leaf / "provision.sh").write_text(f"#!/bin/sh\ntouch {world.root}/begun\nsleep 300\n")
    child = world.start("run", LEAF)
    wait_for((world.root / "begun").exists, child)
    child.kill()
    child.communicate(timeout=60)
    (job,) = (world.root / "state").glob("runs/*/build/packer/job.json")
    os.killpg(json.loads(job.read_text())["pid"], signal.SIGKILL)
    assert set(world.cloud.left()) == {f"{REGION} instances", f"{REGION} groups"}

    elsewhere = {"OSQUAL_STATE_DIR": str(world.root / "another-machine")}
    listed = world.osqual("reap", "--region", REGION, "--dry-run", "--json", **elsewhere)
    (remains,) = json.loads(listed.stdout)
    assert [thing.split()[0] for thing in remains["cloud"][0]["things"]] == ["instance"]
    assert world.cloud.left() != {}
    assert world.osqual("reap", "--region", REGION, **elsewhere).returncode == 0
    assert world.cloud.left() == {}
    # The machine that it ran on finds nothing more to end.
    assert world.osqual("destroy", "latest").returncode == 0
