"""The published record: what it tells, its schema, and records of earlier versions."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from osqual.catalogue.published import parse_record
from osqual.cli.main import main
from osqual.model import Outcome, Verdict
from osqual.platforms.cluster_cost import HourlyCost, write_cost
from osqual.schemas import schema_of
from tests.unit.test_workflow import World

CI = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "acme/images",
    "GITHUB_RUN_ID": "42",
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def record_in(world: World) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((world.leaf / "qualification.json").read_text())
    return document


def conform(document: dict[str, Any]) -> None:
    schema = schema_of("qualification")
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)


def test_a_record_meets_its_published_schema(world: World) -> None:
    world.run()
    document = record_in(world)
    conform(document)
    assert document["schema"] == "osqual/qualification/v2"
    with pytest.raises(Exception, match="verdict"):
        conform({**document, "verdict": "fine"})
    conform({**document, "added_later": 1})


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schema", "qualification"])
    assert ended.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["title"] == "qualification.json"
    assert {"images", "verdict", "suites", "nodes", "tools"} <= set(printed["required"])


@pytest.mark.parametrize(
    ("outcome", "listed"),
    [(Outcome.FAIL, "failing"), (Outcome.FLAKY, "flaky"), (Outcome.MUTED, "muted")],
)
def test_tests_that_need_a_look_are_named(world: World, outcome: Outcome, listed: str) -> None:
    world.suites.outcome = outcome
    world.run()
    (first, _) = record_in(world)["suites"]
    assert first["totals"] == {outcome.value: 1}
    names = {key: first[key] for key in ("failing", "flaky", "muted")}
    assert names == {**{key: [] for key in names}, listed: ["test_it"]}


def test_nodes_tell_the_versions_that_the_product_asks_for(world: World) -> None:
    product = world.root / "catalogue" / "products" / "thing" / "product.yaml"
    product.write_text(product.read_text() + "versions: {engine: [thing, --version]}\n")
    world.run()
    nodes = record_in(world)["nodes"]
    assert {node["name"] for node in nodes} == {"master-1", "private-agent-1", "public-agent-1"}
    assert nodes[0] == {
        "name": "master-1",
        "role": "master",
        "kernel": "6.1.0",
        "os": "Debian 12",
        "versions": {"engine": "6.1.0"},
    }
    assert record_in(world)["accelerator"] == "tcg"


def test_in_continuous_integration_the_job_is_linked(world: World) -> None:
    world.environ = CI
    world.run()
    assert record_in(world)["run_url"] == "https://github.example/acme/images/actions/runs/42"


def test_the_commit_is_named_and_no_secret_of_its_origin(world: World) -> None:
    root = world.root / "catalogue"
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
        ["remote", "add", "origin", "https://user:s3cret@git.example/images.git"],
    ):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    world.run()
    source = record_in(world)["source"]
    assert len(source["commit"]) == 40
    assert source["repository"] == "https://git.example/images.git"
    assert "s3cret" not in (world.leaf / "qualification.json").read_text()


def test_the_cost_is_that_of_the_time_the_cluster_was_there(world: World) -> None:
    def priced(scope: Any) -> None:
        write_cost(scope.directory, HourlyCost(usd=3600.0, unknown=("x9.huge",)))

    world.platform.on_provision = priced
    world.run()
    cost = record_in(world)["cost"]
    assert cost["unknown"] == ["x9.huge"]
    assert 0 <= cost["usd"] < 60


def test_a_record_of_the_first_version_is_still_read() -> None:
    first = {
        "schema": "osqual/qualification/v1",
        "verdict": "qualified",
        "images": {"local": "sha256:aa"},
        "recipe": {"digest": "d", "inputs": {}},
        "suites": [{"name": "integration", "totals": {"pass": 3}, "failing": [], "seconds": 1.0}],
        "run": "r1",
        "ended_at": "2026-01-01T00:00:00Z",
    }
    record = parse_record(json.dumps(first), "qualification.json")
    assert (record.verdict, record.run_id) == (Verdict.QUALIFIED, "r1")
