"""Keys, signed statements, and what `osqual verify` believes: any byte that was changed fails."""

import base64
import json
import shutil
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osqual.attest.envelope import NotProven, seal, unseal
from osqual.attest.keys import (
    FILE_VARIABLE,
    KEY_VARIABLE,
    SigningKey,
    public_key,
    read_public_key,
    signing_key,
    write_keys,
)
from osqual.attest.policy import Policy, objections, read_policy
from osqual.attest.public_key import PublicKey
from osqual.attest.published_files import find_published
from osqual.attest.statements import PROVENANCE, TEST_RESULT, subject_of
from osqual.attest.verify import Published, Trust, verify
from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import InvalidInput
from tests.fakes import IMAGE_ID
from tests.fixtures.command import osqual
from tests.unit.test_workflow import LEAF, World

KEY = SigningKey.new()
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which a run was published with a signature; tests copy it."""
    world = World(tmp_path_factory.mktemp("world"))
    (world.root / "catalogue" / "key.pub").write_text(KEY.public.pem)
    config = world.root / "catalogue" / "osqual.yaml"
    config.write_text("products: products\nattest: {trusted: [key.pub]}\n")
    world.environ = {KEY_VARIABLE: KEY.pem}
    world.run()
    return world.root / "catalogue"


def published(root: Path) -> Published:
    return find_published(open_catalogue(root), str(root / LEAF))


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed, tmp_path / "catalogue"))


def prove(root: Path, policy: Policy | None = None, key: PublicKey | None = None) -> Any:
    return verify(published(root), Trust(keys=[key or KEY.public]), policy or Policy(), NOW)


# What is signed


def test_both_statements_are_about_the_image_and_follow_their_specifications(signed: Path) -> None:
    lines = (signed / LEAF / "attestation.jsonl").read_text().splitlines()
    provenance, result = (unseal(line, [KEY.public]).statement for line in lines)
    subject = {"name": IMAGE_ID, "digest": {"sha256": IMAGE_ID.removeprefix("sha256:")}}
    for statement, kind in ((provenance, PROVENANCE), (result, TEST_RESULT)):
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["predicateType"] == kind
        assert statement["subject"] == [subject]
    definition = provenance["predicate"]["buildDefinition"]
    assert set(definition) == {
        "buildType",
        "externalParameters",
        "internalParameters",
        "resolvedDependencies",
    }
    assert {"base", "template"} <= {one["name"] for one in definition["resolvedDependencies"]}
    assert set(provenance["predicate"]["runDetails"]) == {"builder", "metadata"}
    assert result["predicate"]["result"] == "PASSED"
    assert result["predicate"]["failedTests"] == []


def test_an_image_in_a_cloud_is_named_with_region_account_and_snapshots() -> None:
    facts = {"ami-1": {"account": "123456789012", "snapshots": ["snap-1"]}}
    subject = subject_of("us-west-2", "ami-1", facts)
    assert subject["name"] == "aws:us-west-2/ami-1"
    assert subject["annotations"] == {
        "region": "us-west-2",
        "image": "ami-1",
        "account": "123456789012",
        "snapshots": ["snap-1"],
    }
    assert subject["digest"] != subject_of("us-east-1", "ami-1", {})["digest"]


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    assert not (world.leaf / "attestation.jsonl").exists()
    with pytest.raises(NotProven, match="has no attestation"):
        prove(world.root / "catalogue")


# What is believed


def test_what_is_as_it_was_published_is_proven(copy: Path) -> None:
    proof = prove(copy)
    assert proof.images == {"local": IMAGE_ID}
    assert proof.key_id == KEY.public.id


def test_another_key_is_not_believed(copy: Path) -> None:
    with pytest.raises(NotProven, match="No key that is trusted"):
        prove(copy, key=SigningKey.new().public)


@pytest.mark.parametrize("name", ["attestation.jsonl", "qualification.json", "dcos_images.yaml"])
def test_any_byte_that_was_changed_fails(signed: Path, name: str) -> None:
    """A byte in turn, of a long file every seventh: changed, removed, and one added."""
    before = published(signed)
    text = (signed / LEAF / name).read_text()
    for position in range(0, len(text), 1 if len(text) < 1000 else 7):
        flipped = chr(ord(text[position]) ^ 1)
        for changed in (
            text[:position] + flipped + text[position + 1 :],
            text[:position] + text[position + 1 :],
            text[:position] + " " + text[position:],
        ):
            with pytest.raises(NotProven):
                verify(tampered(before, name, changed), Trust(keys=[KEY.public]), Policy(), NOW)


def tampered(before: Published, name: str, text: str) -> Published:
    if name == "attestation.jsonl":
        return replace(before, attestation=text)
    files = {**before.files, name: text}
    record = text if name == "qualification.json" else before.record
    return replace(before, files=files, record=record)


def test_files_of_another_configuration_prove_nothing(copy: Path) -> None:
    other = copy / LEAF.replace("thing-1.0", "thing-2.0")
    shutil.copytree(copy / LEAF, other)
    with pytest.raises(NotProven, match="The record is about"):
        verify(
            find_published(open_catalogue(copy), str(other)),
            Trust(keys=[KEY.public]),
            Policy(),
            NOW,
        )


def resealed(before: Published, kind: str, change: Any) -> Published:
    """The same, with one statement changed and signed again by the right key."""
    lines = []
    for line in before.attestation.splitlines():
        statement = unseal(line, [KEY.public]).statement
        if statement["predicateType"] == kind:
            change(statement)
        lines.append(seal(statement, KEY))
    return replace(before, attestation="".join(f"{line}\n" for line in lines))


def other_subject(statement: Any) -> None:
    statement["subject"][0]["digest"]["sha256"] = "b" * 64


def other_base(statement: Any) -> None:
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    next(one for one in dependencies if one["name"] == "base")["digest"]["sha256"] = "b" * 64


def failed(statement: Any) -> None:
    statement["predicate"]["result"] = "FAILED"


def other_type(statement: Any) -> None:
    statement["_type"] = "https://in-toto.io/Statement/v0.1"


def other_kind(statement: Any) -> None:
    statement["predicateType"] = "https://example.org/something"


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        (PROVENANCE, other_subject, "about other images"),
        (TEST_RESULT, other_subject, "about other images"),
        (PROVENANCE, other_base, "not made from the recipe"),
        (TEST_RESULT, failed, "must not be used"),
        (PROVENANCE, other_type, "no in-toto statement"),
        (TEST_RESULT, other_kind, "must hold one provenance"),
    ],
)
def test_a_chain_with_a_wrong_link_is_not_believed_whoever_signed_it(
    signed: Path, kind: str, change: Any, why: str
) -> None:
    with pytest.raises(NotProven, match=why):
        verify(resealed(published(signed), kind, change), Trust(keys=[KEY.public]), Policy(), NOW)


def test_a_revoked_image_is_refused(copy: Path) -> None:
    (copy / "withdrawn_images.yaml").write_text(
        f'"{IMAGE_ID}": {{withdrawal: revoked, reason: CVE-2026-1, since: "2026-01-01"}}\n'
    )
    with pytest.raises(NotProven) as refused:
        prove(copy)
    assert "CVE-2026-1" in refused.value.details


def test_a_signature_over_another_type_is_not_taken_for_one_over_this() -> None:
    payload = base64.b64encode(b"{}").decode()
    signature = KEY.sign(b"DSSEv1 10 text/plain 2 {}")
    text = json.dumps(
        {
            "payloadType": "application/vnd.in-toto+json",
            "payload": payload,
            "signatures": [{"keyid": KEY.public.id, "sig": base64.b64encode(signature).decode()}],
        }
    )
    with pytest.raises(NotProven):
        unseal(text, [KEY.public])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["payload", "payloadType", "signatures", "sig", "keyid"]), inner
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200)
@given(JSON | st.text())
def test_nothing_else_is_an_attestation(value: object) -> None:
    with pytest.raises(NotProven):
        unseal(value if isinstance(value, str) else json.dumps(value), [KEY.public])


# Policies


def record(**facts: Any) -> dict[str, Any]:
    suites = [{"name": "integration", "muted": ["a"], "flaky": ["b", "c"]}]
    ended = (NOW - timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"verdict": "qualified", "ended_at": ended, "suites": suites, **facts}


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (Policy(), ""),
        (Policy(max_age_days=11), ""),
        (Policy(max_age_days=9), "days old"),
        (Policy(max_muted=1, max_flaky=2), ""),
        (Policy(max_muted=0), "1 tests are muted"),
        (Policy(max_flaky=1), "2 tests are flaky"),
        (Policy(suites=("integration",)), ""),
        (Policy(suites=("framework",)), "framework was not run"),
    ],
)
def test_a_policy_is_met_or_says_why_not(policy: Policy, why: str) -> None:
    found = objections(record(), policy, NOW)
    assert why in " ".join(found) if why else found == []


def test_a_record_of_the_future_or_without_a_time_is_not_fresh() -> None:
    fresh = Policy(max_age_days=1)
    assert objections(record(ended_at="2999-01-01T00:00:00Z"), fresh, NOW)
    assert objections(record(ended_at="yesterday"), fresh, NOW)
    assert objections(record(verdict="rejected"), Policy(), NOW) == ["the verdict is rejected"]


def test_a_policy_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("max_age_days: 30\nmax_muted: 0\n")
    assert read_policy(path) == Policy(max_age_days=30, max_muted=0)
    path.write_text("max_age_days: -1\nmax_age: 3\n")
    with pytest.raises(InvalidInput) as refused:
        read_policy(path)
    assert "max_age_days" in refused.value.details
    assert "max_age:" in refused.value.details


# Keys


def test_a_pair_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    public = write_keys(tmp_path / "keys" / "release", KEY)
    private = tmp_path / "keys" / "release"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert read_public_key(public).id == KEY.public.id == read_public_key(private).id
    with pytest.raises(InvalidInput, match="exists already"):
        write_keys(private, SigningKey.new())
    for found in (signing_key({FILE_VARIABLE: str(private)}, None), signing_key({}, private)):
        assert found is not None
        assert found.public.id == KEY.public.id
    private.chmod(0o644)
    with pytest.raises(InvalidInput, match="Others can read"):
        signing_key({}, private)


def test_a_private_key_is_in_no_representation_and_no_error() -> None:
    secret = KEY.pem.splitlines()[1]
    assert secret not in repr(KEY)
    with pytest.raises(InvalidInput) as refused:
        signing_key({KEY_VARIABLE: KEY.pem.replace("BEGIN", "BEGAN")}, None)
    assert secret not in str(refused.value)
    with pytest.raises(InvalidInput):
        public_key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "x")
    assert signing_key({}, None) is None


# The command


def test_the_command_proves_leaf_image_and_refuses(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copy)
    assert osqual("verify", LEAF) == 0
    assert "is proven to be qualified" in capsys.readouterr().out
    assert osqual("verify", IMAGE_ID, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["configuration"] == LEAF
    (copy / LEAF / "qualification.json").write_text("{}")
    assert osqual("verify", LEAF) == 1
    assert "not the one that was attested" in capsys.readouterr().err


def test_terraform_gets_flat_text_or_an_error(
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(copy)
    query = tmp_path / "query.json"
    for text, code in (
        (json.dumps({"image": IMAGE_ID, "catalogue": str(copy)}), 0),
        (json.dumps({"image": "sha256:" + "b" * 64}), 2),
        ('{"image": 1}', 2),
        ("", 2),
    ):
        query.write_text(text)
        with query.open() as stream:
            monkeypatch.setattr("sys.stdin", stream)
            found = osqual("verify", "--format", "terraform")
        assert found == code
        out = capsys.readouterr().out
        if code == 0:
            answer = json.loads(out)
            assert answer["qualified"] == "true"
            assert all(isinstance(value, str) for value in answer.values())


def test_keys_are_made_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert osqual("keys", "new", "k", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "k"))
    for words in (["keys", "show"], ["keys", "show", "k.pub"]):
        assert osqual(*words) == 0
        shown = capsys.readouterr().out
        assert made["id"] in shown
        assert "PRIVATE" not in shown
    monkeypatch.delenv(FILE_VARIABLE)
    assert osqual("keys", "show") == 2
