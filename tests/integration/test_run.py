"""A run on a real machine, and everything that can go wrong in it.

About the engine and not about a product, so with the tiny configuration.
"""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.integration.conftest import TINY, Workshop, wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(5000)]


@pytest.fixture(scope="session")
def tiny_run(workshop: Workshop) -> dict[str, Any]:
    """The first run of the tiny configuration; nothing of it stays in the catalogue."""
    result = workshop.run(leaf=TINY)
    workshop.reset_catalogue(TINY)
    return result


@pytest.fixture
def tiny(workshop: Workshop, tiny_run: dict[str, Any]) -> Iterator[Path]:
    """The tiny configuration, for a test to change; its image is built."""
    yield workshop.tiny
    workshop.reset_catalogue()


def add_to_last(leaf: Path, line: str) -> None:
    """Add a line to the last provisioner's script."""
    script = leaf / "last.sh"
    script.write_text(script.read_text() + f"{line}\n")


def changes_of(workshop: Workshop, run: str) -> dict[str, dict[str, str]]:
    """What `osqual diff` tells, by kind: name to what is there now."""
    document = json.loads(workshop.osqual("diff", run, "--json").stdout)
    return {
        kind: {change["name"]: change["after"] for change in changes}
        for kind, changes in document.items()
        if isinstance(changes, list)
    }


def test_what_the_image_holds_is_kept(workshop: Workshop, tiny_run: dict[str, Any]) -> None:
    changes = changes_of(workshop, tiny_run["run"])
    assert {"/etc/first", "/etc/last"} <= set(changes["files"])
    assert not any(changes["files"].get(name) for name in changes["files"] if ".ssh" in name)
    assert changes["packages"] == changes["ports"] == changes["kernel arguments"] == {}
    text = (Path(tiny_run["directory"]) / "image" / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    purls = [component.get("purl", "") for component in json.loads(text)["components"]]
    assert any(purl.startswith("pkg:deb/debian/systemd@252") for purl in purls)
    assert len(purls) > 100


FAULTS = """echo 'debian:debian' | chpasswd
mkdir -p /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
touch /opt/drop && chmod 666 /opt/drop
echo "login with $OSQUAL_PLANTED" >/opt/setup.conf"""
FOUND = {
    "authorized_keys[/root/.ssh/authorized_keys]",
    "private_keys[/root/.ssh/id_ed25519]",
    "password_hashes[debian]",
    "default_credentials[debian]",
    "world_writable[/opt/drop]",
    "secrets[/opt/setup.conf]",
}


def test_an_edited_last_provisioner_reuses_the_layers_before_it_and_its_faults_are_found(
    workshop: Workshop, tiny: Path, tiny_run: dict[str, Any]
) -> None:
    secret = f"planted-{uuid4()}"
    add_to_last(tiny, FAULTS.replace("$OSQUAL_PLANTED", secret))
    config = tiny / "publish_and_test_config.yaml"
    config.write_text(config.read_text().replace("integration_tests\n", "packer_build\n", 1))
    before = workshop.changed_files()
    result = workshop.run(leaf=TINY, code=1, PLANTED_TOKEN=secret)
    assert result["verdict"] == "rejected"
    failing = {
        row["test_id"]
        for row in workshop.stored(result["run"])["results"]
        if row["outcome"] == "fail"
    }
    assert failing == FOUND
    assert workshop.changed_files() == before, "nothing is published"
    assert "set" in changes_of(workshop, result["run"])["users"]["debian"]
    assert not result["image_reused"]
    assert result["images"] != tiny_run["images"]
    assert "after 1 of 2 provisioners" in build_messages(result)
    workshop.assert_nothing_left()


def build_messages(result: dict[str, Any]) -> str:
    lines = (Path(result["directory"]) / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return "\n".join(event.get("message", "") for event in events if event.get("step") == "build")


def test_a_node_whose_boot_hangs_is_inconclusive_and_its_console_is_kept(
    workshop: Workshop, tiny: Path
) -> None:
    add_to_last(tiny, "systemctl mask systemd-user-sessions.service ssh.service")
    settings = workshop.catalogue / "osqual.yaml"
    settings.write_text(settings.read_text() + "\ntime_limits: {provision: 60}\n")
    result = workshop.run(leaf=TINY, code=3)
    assert result["verdict"] == "inconclusive"
    assert any("provision" in reason for reason in result["reasons"])
    consoles = [path.read_text(errors="replace") for path in consoles_of(result)]
    assert any("Linux version" in text for text in consoles)
    assert workshop.changed_files() == {"osqual.yaml", f"{TINY}/last.sh"}
    workshop.assert_nothing_left()


def consoles_of(result: dict[str, Any]) -> list[Path]:
    return list((Path(result["directory"]) / "cluster").rglob("console.log"))


STEPS = ["validate", "build", "provision", "install", "test", "destroy"]


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_in_any_step_leaves_nothing(workshop: Workshop, tiny: Path, step: str) -> None:
    if step == "build":
        add_to_last(tiny, "sleep 600")
    slow = "#!/bin/sh\nsleep 600\n" if step == "install" else None
    if slow:
        (workshop.catalogue / "products" / "hello" / "greet.sh").write_text(slow)
    if step == "test":
        tests = workshop.catalogue / "products" / "hello" / "tests"
        (tests / "test_slow.py").write_text(
            "import time\n\ndef test_slow():\n    time.sleep(600)\n"
        )
    before = workshop.changed_files()
    code, document, stderr = interrupted(workshop, step, signal.SIGINT)
    assert code == 130 or step in ("validate", "destroy"), stderr
    assert "Traceback" not in stderr
    if code == 130:
        assert document["verdict"] == "inconclusive"
        assert workshop.changed_files() == before
    workshop.assert_nothing_left()


def interrupted(
    workshop: Workshop, step: str, number: signal.Signals
) -> tuple[int, dict[str, Any], str]:
    """Run the tiny configuration and send a signal once a step has begun: code, result, stderr."""
    known = set((workshop.state / "runs").iterdir())
    child = workshop.start("run", TINY, "--json")
    try:
        wait_until(lambda: step_started(workshop, known, step, child), limit_s=600, what=step)
        child.send_signal(number)
        stdout, stderr = child.communicate(timeout=180)
    finally:
        child.kill()
    return child.returncode, json.loads(stdout)[0] if stdout else {}, stderr


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_closed_terminal_are_like_ctrl_c(
    workshop: Workshop, tiny: Path, number: signal.Signals
) -> None:
    code, document, stderr = interrupted(workshop, "provision", number)
    assert (code, document["verdict"]) == (130, "inconclusive"), stderr
    workshop.assert_nothing_left()


def test_a_second_run_in_the_same_state_directory_is_told_who_holds_it(
    workshop: Workshop, tiny: Path
) -> None:
    known = set((workshop.state / "runs").iterdir())
    child = workshop.start("run", TINY, "--json")
    wait_until(
        lambda: step_started(workshop, known, "provision", child), limit_s=300, what="provision"
    )
    second = workshop.osqual("run", TINY)
    assert second.returncode == 75
    assert str(child.pid) in second.stderr
    listed = workshop.osqual("runs")
    assert "running" in listed.stdout, "reading works meanwhile"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=180)
    workshop.assert_nothing_left()


def test_a_kept_cluster_can_be_entered_and_ended(workshop: Workshop, tiny: Path) -> None:
    result = workshop.run("--keep", "always", leaf=TINY)
    assert result["kept"]
    hostname = workshop.osqual("ssh", result["run"], "master-1", "hostname")
    assert hostname.stdout.strip() == "master-1"
    assert workshop.osqual("destroy", result["run"]).returncode == 0
    workshop.assert_nothing_left()


@pytest.mark.packer
def test_stock_packer_builds_the_same_template_and_it_boots(
    workshop: Workshop, tiny: Path, tiny_run: dict[str, Any]
) -> None:
    result = workshop.run("--builder", "packer", "--publish", "none", leaf=TINY)
    assert result["verdict"] == "qualified"
    assert not result["image_reused"]
    assert result["images"] != tiny_run["images"]
    assert list(Path(result["directory"]).rglob("*packer*"))
    assert {"/etc/first", "/etc/last"} <= set(changes_of(workshop, result["run"])["files"])
    workshop.assert_nothing_left()
