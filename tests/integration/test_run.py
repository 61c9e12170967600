"""The main job on real machines, from nothing to a verdict, and everything that can go wrong."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import LEAF, Workshop, wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.unproven, pytest.mark.timeout(1800)]

PUBLISHED = {"qualification.json", "packer_build_history.json"}
ONE_NODE = 'num_of_masters = "1"\nnum_of_private_agents = "0"\nnum_of_public_agents = "0"\n'


@pytest.fixture(scope="session")
def cold(workshop: Workshop) -> dict[str, Any]:
    """The first run of all: base image, build, cluster, product, suites, published files."""
    return workshop.run()


@pytest.fixture
def one_node(workshop: Workshop, cold: dict[str, Any]) -> Iterator[Path]:
    """The leaf with the smallest cluster, for tests that are not about the product."""
    workshop.reset_catalogue()
    (workshop.leaf / "cluster_profile.tfvars").write_text(ONE_NODE)
    yield workshop.leaf
    workshop.reset_catalogue()


def names(paths: set[str]) -> set[str]:
    return {path.removeprefix(f"{LEAF}/") for path in paths}


def edit_last_provisioner(leaf: Path, line: str) -> Path:
    """Add a line to the last script of the template."""
    template = json.loads((leaf / "packer.json").read_text())
    scripts = [str(entry["script"]) for entry in template["provisioners"] if "script" in entry]
    script = leaf / scripts[-1]
    script.write_text(script.read_text().rstrip("\n") + f"\n{line}\n")
    return script


def test_from_nothing_to_a_qualified_published_image(
    workshop: Workshop, cold: dict[str, Any]
) -> None:
    assert cold["verdict"] == "qualified"
    assert cold["totals"]["pass"] >= 12
    assert not cold["image_reused"]
    changed = names(workshop.changed_files())
    assert changed >= PUBLISHED
    assert len(changed) == 3
    record = json.loads((workshop.leaf / "qualification.json").read_text())
    assert record["verdict"] == "qualified"
    assert record["images"] == cold["images"]
    assert [node["os"][:6] for node in record["nodes"]] == ["Debian"] * 3
    history = json.loads((workshop.leaf / "packer_build_history.json").read_text())
    assert history["builds"][-1]["artifact_id"] == f"local:{cold['images']['local']}"
    workshop.assert_nothing_left(cold["run"])


def test_evidence_is_kept(workshop: Workshop, cold: dict[str, Any]) -> None:
    directory = Path(cold["directory"])
    assert len(list(directory.rglob("console.log"))) >= 3
    assert list(directory.glob("suites/*/*.xml"))
    shown = workshop.osqual("logs", cold["run"]).stdout
    assert "provision" in shown
    assert "login:" in workshop.osqual("logs", cold["run"], "--console", "master-1").stdout


def test_a_failing_product_test_rejects_and_nothing_is_published(
    workshop: Workshop, one_node: Path, cold: dict[str, Any]
) -> None:
    tests = workshop.catalogue / "products" / "swarm" / "tests"
    (tests / "test_made_to_fail.py").write_text("def test_made_to_fail():\n    assert 1 == 2\n")
    (one_node / "publish_and_test_config.yaml").write_text(
        "publish_dcos_images_after: integration_tests\nrun_framework_tests: false\n"
    )
    before = workshop.changed_files()
    result = workshop.run(code=1)
    assert result["verdict"] == "rejected"
    assert any("test_made_to_fail" in reason for reason in result["reasons"])
    assert result["published"] == []
    assert workshop.changed_files() == before
    assert result["image_reused"], "the image was built before: nothing to build"
    assert result["images"] == cold["images"]
    machines = [row["name"] for row in workshop.stored()["resources"] if row["kind"] == "vm"]
    assert machines == ["master-1"], "no machine was started to build"
    workshop.assert_nothing_left()


def test_an_edited_last_provisioner_reuses_the_layers_before_it(
    workshop: Workshop, one_node: Path, cold: dict[str, Any]
) -> None:
    edit_last_provisioner(one_node, "echo edited >/etc/edited-by-test")
    result = workshop.run("-k", "kernel", "--publish", "none", code=3)
    assert not result["image_reused"]
    assert result["images"] != cold["images"]
    log = "\n".join(
        json.loads(line)["message"]
        for line in (Path(result["directory"]) / "events.jsonl").read_text().splitlines()
        if '"build"' in line and '"message"' in line
    )
    assert re.search(r"layer", log), log
    workshop.assert_nothing_left()


def test_a_node_whose_boot_hangs_is_inconclusive_and_its_console_is_kept(
    workshop: Workshop, one_node: Path
) -> None:
    edit_last_provisioner(
        one_node,
        "sed -i 's/^ExecStart=.*/ExecStart=\\/bin\\/sleep infinity/' "
        "/lib/systemd/system/ssh.service; systemctl mask ssh.socket >/dev/null 2>&1; "
        "rm -f /etc/systemd/system/ssh.service",
    )
    settings = workshop.catalogue / "osqual.yaml"
    settings.write_text(settings.read_text() + "\ntime_limits: {provision: 75}\n")
    result = workshop.run(code=3)
    assert result["verdict"] == "inconclusive"
    assert any("provision" in reason for reason in result["reasons"])
    consoles = list(Path(result["directory"]).rglob("console.log"))
    assert any("Linux version" in path.read_text(errors="replace") for path in consoles)
    workshop.assert_nothing_left()


@pytest.mark.parametrize("step", ["validate", "build", "provision", "install", "test", "destroy"])
@pytest.mark.parametrize("number", [signal.SIGINT])
def test_an_interrupt_in_any_step_leaves_nothing(
    workshop: Workshop, one_node: Path, step: str, number: signal.Signals
) -> None:
    if step == "build":
        edit_last_provisioner(one_node, "echo again >/etc/again; sleep 600")
    before = workshop.changed_files()
    known = set((workshop.state / "runs").iterdir())
    child = workshop.start("run", LEAF, "--json", "-k", "kernel")
    try:
        wait_until(lambda: step_started(workshop, known, step, child), limit_s=600, what=step)
        child.send_signal(number)
        stdout, stderr = child.communicate(timeout=180)
    finally:
        child.kill()
    assert child.returncode == 130 or step in ("validate", "destroy"), stderr
    assert "Traceback" not in stderr
    if child.returncode == 130:
        assert json.loads(stdout)[0]["verdict"] == "inconclusive"
    assert workshop.changed_files() == before
    workshop.assert_nothing_left()


def step_started(
    workshop: Workshop, known: set[Path], step: str, child: "subprocess.Popen[str]"
) -> bool:
    assert child.poll() is None, child.communicate()
    new = set((workshop.state / "runs").iterdir()) - known
    logs = [run / "events.jsonl" for run in new if (run / "events.jsonl").exists()]
    return any(
        f'"step.started", "run": "{log.parent.name}", "step": "{step}"' in log.read_text()
        for log in logs
    )


def test_sigterm_and_a_closed_terminal_are_like_ctrl_c(workshop: Workshop, one_node: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        known = set((workshop.state / "runs").iterdir())
        child = workshop.start("run", LEAF, "--json")
        wait_until(
            lambda: step_started(workshop, known, "provision", child),  # noqa: B023
            limit_s=300,
            what="provision",
        )
        child.send_signal(number)
        child.communicate(timeout=180)
        assert child.returncode == 130
        workshop.assert_nothing_left()


def test_a_dry_run_changes_nothing_and_starts_nothing(
    workshop: Workshop, cold: dict[str, Any]
) -> None:
    workshop.reset_catalogue()
    runs = set((workshop.state / "runs").iterdir())
    done = workshop.osqual("run", LEAF, "--dry-run", "--json")
    assert done.returncode == 0
    (found,) = json.loads(done.stdout)
    assert found["nodes"] == ["master-1", "private-agent-1", "public-agent-1"]
    assert cold["images"]["local"] in found["image"], "it says that nothing has to be built"
    assert set((workshop.state / "runs").iterdir()) == runs
    assert workshop.changed_files() == set()


def test_a_second_run_in_the_same_state_directory_is_told_who_holds_it(
    workshop: Workshop, one_node: Path
) -> None:
    known = set((workshop.state / "runs").iterdir())
    child = workshop.start("run", LEAF, "--json")
    wait_until(
        lambda: step_started(workshop, known, "provision", child), limit_s=300, what="provision"
    )
    second = workshop.osqual("run", LEAF)
    assert second.returncode == 75
    assert str(child.pid) in second.stderr
    listed = workshop.osqual("runs")
    assert "running" in listed.stdout, "reading works meanwhile"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=180)
    workshop.assert_nothing_left()


def test_a_kept_cluster_can_be_entered_and_ended(workshop: Workshop, one_node: Path) -> None:
    result = workshop.run("-k", "kernel", "--keep", "always", code=3)
    assert result["kept"]
    hostname = workshop.osqual("ssh", result["run"], "master-1", "hostname")
    assert hostname.stdout.strip() == "master-1"
    assert workshop.osqual("destroy", result["run"]).returncode == 0
    workshop.assert_nothing_left()


@pytest.mark.packer
def test_stock_packer_builds_the_same_template_and_it_boots(
    workshop: Workshop, one_node: Path
) -> None:
    result = workshop.run("--builder", "packer", "-k", "kernel", "--publish", "none", code=3)
    assert result["totals"]["pass"] >= 1
    assert not result["image_reused"]
    assert list(Path(result["directory"]).rglob("*packer*"))
    workshop.assert_nothing_left()
