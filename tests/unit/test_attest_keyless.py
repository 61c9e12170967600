"""Signatures by the identity of a CI job: the real sigstore client, an instance on loopback."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from osqual.attest.envelope import NotProven
from osqual.attest.keyless import Sigstore, check_identity, seal_keyless
from osqual.attest.policy import Policy
from osqual.attest.published_files import find_published
from osqual.attest.trust import trust_of
from osqual.attest.verify import Published, verify
from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import InvalidInput, PublishFailed
from osqual.settings import Attest, TrustedIdentity, load_settings
from tests.fixtures.command import osqual
from tests.sigstore_emulator import ISSUER, SigstoreEmulator, running_sigstore
from tests.unit.test_attest import NOW
from tests.unit.test_workflow import LEAF, World

WORKFLOW = "https://github.com/acme/images/.github/workflows/osqual.yml@refs/heads/main"
ME = TrustedIdentity(identity=WORKFLOW)


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreEmulator]:
    with running_sigstore(WORKFLOW) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def signed(sigstore: SigstoreEmulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue that a job of continuous integration has published into, without any key."""
    world = World(tmp_path_factory.mktemp("world"))
    root = world.root / "catalogue"
    (root / "trust.json").write_text(sigstore.trust_config())
    (root / "osqual.yaml").write_text(
        "products: products\nattest: {keyless: true, sigstore: trust.json}\n"
    )
    world.settings = load_settings(root, world.directories)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sigstore.environ.items():
            patch.setenv(name, value)
        result = world.run()
    assert result.errors == ()
    return root


def published(root: Path) -> Published:
    return find_published(open_catalogue(root), str(root / LEAF))


def prove(files: Published, root: Path, *identities: TrustedIdentity) -> str:
    trust = trust_of(Attest(sigstore="trust.json"), root, (), identities)
    return " ".join(verify(files, trust, Policy(), NOW).proven)


def test_a_jobs_identity_signs_and_is_proven_without_a_network(
    signed: Path, sigstore: SigstoreEmulator
) -> None:
    sigstore.down = True
    try:
        assert f"signed by {WORKFLOW} ({ISSUER})" in prove(published(signed), signed, ME)
    finally:
        sigstore.down = False
    assert len(sigstore.leaves) >= 2, "both statements are in the log"


@pytest.mark.parametrize(
    "wrong",
    [
        TrustedIdentity(identity=WORKFLOW.replace("main", "topic")),
        TrustedIdentity(identity=WORKFLOW, issuer="https://gitlab.com"),
    ],
)
def test_another_identity_is_not_believed(signed: Path, wrong: TrustedIdentity) -> None:
    with pytest.raises(NotProven, match="No identity that is trusted"):
        prove(published(signed), signed, wrong)
    assert prove(published(signed), signed, wrong, ME)
    with pytest.raises(NotProven, match="none is trusted"):
        prove(published(signed), signed)


def test_another_instance_is_not_believed(signed: Path, tmp_path: Path) -> None:
    with running_sigstore(WORKFLOW) as other:
        (tmp_path / "trust.json").write_text(other.trust_config())
    with pytest.raises(NotProven):
        prove(published(signed), tmp_path, ME)


def test_any_byte_that_was_changed_fails(signed: Path) -> None:
    before = published(signed)
    text = before.attestation
    unsigned = text.index("\\u2014 log.example") if "\\u2014" in text else text.index("\u2014 log")
    for position in (*range(0, len(text), 41), *range(unsigned, unsigned + 20)):
        flipped = chr(ord(text[position]) ^ 1)
        changed = text[:position] + flipped + text[position + 1 :]
        try:
            prove(replace(before, attestation=changed), signed, ME)
        except NotProven:
            continue
        pytest.fail(f"{text[position - 30 : position]}>{flipped}<{text[position + 1 :][:30]}")


def test_the_command_takes_identities(
    signed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(signed)
    assert osqual("verify", LEAF, "--identity", WORKFLOW, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["key"] == WORKFLOW
    assert osqual("verify", LEAF, "--identity", f"{WORKFLOW}x") == 1
    assert osqual("verify", LEAF) == 1
    assert "--identity" in capsys.readouterr().err


def test_a_run_without_an_identity_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CI"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidInput, match="no identity to sign by"):
        check_identity()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(InvalidInput) as refused:
        check_identity()
    assert "permissions" in refused.value.details


def test_an_instance_that_is_down_is_a_failure_to_publish(
    sigstore: SigstoreEmulator, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sigstore.environ.items():
        monkeypatch.setenv(name, value)
    line = published(signed).attestation.splitlines()[0]
    statement = json.loads(base64.b64decode(json.loads(line)["dsseEnvelope"]["payload"]))
    instance = Sigstore(trust_config=signed / "trust.json")
    sigstore.down = True
    try:
        with pytest.raises(PublishFailed, match="sigstore did not sign") as failed:
            seal_keyless(statement, instance)
        assert "503" in failed.value.details or "FulcioClientError" in failed.value.details
    finally:
        sigstore.down = False
    assert seal_keyless(statement, instance)
