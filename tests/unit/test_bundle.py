"""The bundle of a run: whole, readable, the same each time, and without secrets."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from osqual.attest.keys import KEY_VARIABLE, SigningKey
from osqual.model import Outcome
from osqual.report.bundle import reproduce_command, write_bundle
from osqual.secrecy import Secrecy
from tests.fixtures.command import osqual
from tests.unit.test_workflow import LEAF, World

PASSWORD = "planted-passphrase-42"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.environ = {KEY_VARIABLE: SigningKey.new().pem}
    world.suites.outcome = Outcome.FAIL
    world.suites.test_id = "test_<script>alert(1)</script>"
    result = world.run()
    suite = result.directory / "suites" / "integration"
    suite.mkdir(parents=True, exist_ok=True)
    (suite / "junit.xml").write_text(f"<testsuites><!-- {PASSWORD} --></testsuites>")
    (result.directory / "console.log").write_bytes(b"\xff\xfe boot")
    (result.directory / "cluster").mkdir(exist_ok=True)
    (result.directory / "cluster" / "id_ed25519").write_text("a private key")
    return world


def bundled(world: World, path: Path) -> dict[str, bytes]:
    write_bundle(path, world.store, world.store.run("latest"), Secrecy({"DB_PASSWORD": PASSWORD}))
    with tarfile.open(path) as archive:
        found = {}
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert stream is not None
            found[member.name.split("/", 1)[1]] = stream.read()
    return found


def test_everything_is_in_it_and_its_sums_hold(world: World, tmp_path: Path) -> None:
    found = bundled(world, tmp_path / "b.tar.gz")
    assert {
        "qualification.json",
        "images.yaml",
        "attestation.jsonl",
        "run.json",
        "report.html",
        "reproduce.txt",
        "evidence/suites/integration/junit.xml",
        "evidence/events.jsonl",
        "evidence/console.log",
        "SHA256SUMS",
    } <= set(found)
    lines = found.pop("SHA256SUMS").decode().splitlines()
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    published = (world.leaf / "qualification.json").read_bytes()
    assert found["qualification.json"] == published, "its digest is in the attestation"
    assert found["attestation.jsonl"] == (world.leaf / "attestation.jsonl").read_bytes()
    assert json.loads(found["run.json"])["verdict"] == "rejected"


def test_neither_keys_nor_secrets_are_in_it(world: World, tmp_path: Path) -> None:
    found = bundled(world, tmp_path / "b.tar.gz")
    everything = b"".join(found.values())
    assert PASSWORD.encode() not in everything
    assert b"a private key" not in everything
    assert b"PRIVATE KEY" not in everything
    assert b"[secret]" in found["evidence/suites/integration/junit.xml"]


def test_the_report_takes_nothing_for_markup(world: World, tmp_path: Path) -> None:
    report = bundled(world, tmp_path / "b.tar.gz")["report.html"].decode()
    assert "&lt;script&gt;" in report
    assert "<script>" not in report
    assert LEAF in report


def test_the_same_run_gives_the_same_members(world: World, tmp_path: Path) -> None:
    assert bundled(world, tmp_path / "1.tar.gz") == bundled(world, tmp_path / "2.tar.gz")


def test_how_to_repeat_it(world: World) -> None:
    run = world.store.run("latest")
    assert reproduce_command(run, None) == f"osqual run {LEAF} --publish none"
    options = {**run["options"], "builder": "packer", "cold": True, "keywords": ["a b"]}
    assert reproduce_command({**run, "options": options}, None).endswith(
        "--builder packer --cold -k 'a b'"
    )


def test_the_command(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.stand_in(monkeypatch)
    path = tmp_path / "evidence.tar.gz"
    assert osqual("bundle", "latest", "-o", str(path), "--json") == 0
    assert "report.html" in json.loads(capsys.readouterr().out)["members"]
    assert tarfile.is_tarfile(path)
