"""What of the queue needs no database: names, times, and what is refused before one is asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from osqual.errors import InfrastructureError, InvalidInput
from osqual.evidence import keep_evidence
from osqual.settings import Settings
from osqual.store.fleet import Schedule
from osqual.work_queue.app import conninfo_of
from osqual.work_queue.jobs import parse_job
from osqual.work_queue.schedules import check_cron, due_at, name_for, next_at
from tests.fixtures.shell import Shell

MONDAY_NOON = 1_767_614_400.0  # 2026-01-05 12:00 UTC
HOUR = 3600.0


def nightly(since: float) -> Schedule:
    return Schedule(name="n", cron="0 2 * * *", patterns=("**",), options={}, since=since)


def test_a_schedule_is_due_once_for_all_that_was_missed() -> None:
    two = MONDAY_NOON - 10 * HOUR
    assert due_at(nightly(MONDAY_NOON - 72 * HOUR), MONDAY_NOON) == two
    assert due_at(nightly(two), MONDAY_NOON) is None
    assert due_at(nightly(MONDAY_NOON - 1), MONDAY_NOON) is None, "added after it was due"
    assert next_at(nightly(two), MONDAY_NOON) == two + 24 * HOUR


@pytest.mark.parametrize("line", ["", "nightly", "61 * * * *", "* * *"])
def test_a_cron_line_that_means_nothing_is_refused(line: str) -> None:
    with pytest.raises(InvalidInput, match="is no cron line"):
        check_cron(line)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("debian/**", "debian-all"), ("**", "all"), ("centos/7.8/*/x", "centos-7.8-all-x")],
)
def test_a_schedule_is_named_after_its_pattern(pattern: str, name: str) -> None:
    assert name_for([pattern]) == name


def test_jobs_have_names_that_no_run_has() -> None:
    assert parse_job("job-12") == 12
    assert parse_job("job-x") is None
    assert parse_job("20260102-030405-ab12cd") is None


def test_the_url_of_the_store_is_handed_on_as_libpq_takes_it() -> None:
    url = "postgresql+psycopg://me:p%40ss@host:5433/osqual?sslmode=require"
    assert conninfo_of(Settings(store=url)) == (
        "postgresql://me:p%40ss@host:5433/osqual?sslmode=require"
    )


@pytest.mark.parametrize("command", [["queue"], ["submit", "**"], ["worker"], ["cancel", "job-1"]])
def test_without_a_shared_store_it_is_said_what_is_missing(
    shell: Shell, command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OSQUAL_STATE_DIR", str(tmp_path / "state"))
    assert shell.osqual(*command) == 2
    assert "Workers share a store on PostgreSQL, and the store is SQLite." in shell.err
    assert "OSQUAL_STORE" in shell.err


def test_evidence_is_what_can_be_read_and_nothing_secret(tmp_path: Path) -> None:
    run = tmp_path / "run"
    kept = {"events.jsonl", "cluster/master-1/console.log", "suites/a/junit.xml", "job/stdout"}
    secret = {"cluster/keys/id_ed25519", "terraform/terraform.tfstate", "build/disk.qcow2"}
    for name in kept | secret:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(json.dumps(name))
    target = tmp_path / "evidence"
    assert keep_evidence(run, "r1", Settings(evidence=str(target))) == f"{target}/r1"
    found = {str(path.relative_to(target / "r1")) for path in target.rglob("*") if path.is_file()}
    assert found == kept
    assert keep_evidence(run, "r1", Settings()) is None


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket of a local service that speaks S3."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="evidence")
    yield client
    server.stop()


def test_evidence_goes_to_a_bucket(bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "stdout").write_text("said")
    (tmp_path / "disk.qcow2").write_text("data")
    assert keep_evidence(tmp_path, "r1", Settings(evidence="s3://evidence/all/")) == (
        "s3://evidence/all/r1"
    )
    found = bucket.list_objects_v2(Bucket="evidence")["Contents"]
    assert [each["Key"] for each in found] == ["all/r1/job/stdout"]
    with pytest.raises(InfrastructureError, match="cannot be copied to s3://missing/r1"):
        keep_evidence(tmp_path, "r1", Settings(evidence="s3://missing"))
