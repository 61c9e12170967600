"""The main job on real machines, with the example: from nothing to a verdict, and again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import LEAF, Workshop, skip_when_late

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(5000)]

PUBLISHED = {"qualification.json", "packer_build_history.json", "dcos_images.yaml"}
COLD_MINUTES = 35
"""What the cold run takes on a slow machine; 20 on two quiet cores without acceleration."""
ONE_NODE = 'num_of_masters = "1"\nnum_of_private_agents = "0"\nnum_of_public_agents = "0"\n'


@pytest.fixture(scope="session")
def cold(workshop: Workshop) -> dict[str, Any]:
    """The first run of all: base image, build, cluster, product, suites, published files."""
    skip_when_late(COLD_MINUTES)
    return workshop.run()


@pytest.fixture
def one_node(workshop: Workshop, cold: dict[str, Any]) -> Iterator[Path]:
    """The example with the smallest cluster; its image is built."""
    workshop.reset_catalogue()
    (workshop.leaf / "cluster_profile.tfvars").write_text(ONE_NODE)
    yield workshop.leaf
    workshop.reset_catalogue()


def names(paths: set[str]) -> set[str]:
    return {path.removeprefix(f"{LEAF}/") for path in paths}


def test_from_nothing_to_a_qualified_published_image(
    workshop: Workshop, cold: dict[str, Any]
) -> None:
    assert cold["verdict"] == "qualified"
    assert cold["totals"]["pass"] >= 12
    assert not cold["image_reused"]
    assert names(workshop.changed_files()) == PUBLISHED
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
    # A prompt is not sure to be there: on a busy machine systemd gives the terminal up.
    assert "Linux version" in workshop.osqual("logs", cold["run"], "--console", "master-1").stdout


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


def test_run_again_nothing_is_built_and_a_failing_product_test_rejects(
    workshop: Workshop, one_node: Path, cold: dict[str, Any]
) -> None:
    tests = workshop.catalogue / "products" / "swarm" / "tests"
    (tests / "test_made_to_fail.py").write_text("def test_made_to_fail():\n    assert 1 == 2\n")
    (one_node / "publish_and_test_config.yaml").write_text(
        "publish_dcos_images_after: integration_tests\nrun_framework_tests: false\n"
        "tests_to_run: [test_nodes.py, test_made_to_fail.py]\n"
    )
    before = workshop.changed_files()
    result = workshop.run(code=1)
    assert result["verdict"] == "rejected"
    assert any("test_made_to_fail" in reason for reason in result["reasons"])
    assert result["totals"]["fail"] == 1, "the example's own tests hold on one node too"
    assert result["published"] == []
    assert workshop.changed_files() == before
    assert result["image_reused"], "the image was built before: nothing to build"
    assert result["images"] == cold["images"]
    assert machines(workshop) == ["master-1"], "no machine was started to build"
    workshop.assert_nothing_left()


def machines(workshop: Workshop) -> list[str]:
    return [row["name"] for row in workshop.stored()["resources"] if row["kind"] == "vm"]
