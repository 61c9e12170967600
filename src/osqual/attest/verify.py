"""Verifying what is published about images: signature, digest chain, agreement, policy. Offline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from osqual.attest.envelope import NotProven, Verified, is_bundle, unseal
from osqual.attest.keyless import Keyless
from osqual.attest.policy import Policy, objections
from osqual.attest.public_key import PublicKey
from osqual.attest.statements import (
    PROVENANCE,
    STATEMENT,
    TEST_RESULT,
    digest_of,
    subject_of,
)


@dataclass(frozen=True, kw_only=True)
class Published:
    """The files of one configuration, as they were read; an empty text is a missing file."""

    configuration: str
    images: Mapping[str, str]
    files: Mapping[str, str]
    """Images file and record by their names."""
    record: str
    attestation: str
    withdrawn: Mapping[str, str]
    """Image to why it must not be used any more."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was proven, in sentences, about which images."""

    configuration: str
    images: Mapping[str, str]
    run: str
    ended_at: str
    key_id: str
    proven: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "configuration": self.configuration,
            "verdict": "qualified",
            "images": dict(self.images),
            "run": self.run,
            "ended_at": self.ended_at,
            "key": self.key_id,
            "proven": list(self.proven),
        }


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose signatures are believed."""

    keys: Sequence[PublicKey] = ()
    keyless: Keyless | None = None

    def unseal(self, line: str) -> Verified:
        """A statement, once its signature holds. Raises NotProven."""
        if not is_bundle(line):
            return unseal(line, self.keys)
        if self.keyless is None:
            raise NotProven(
                "This was signed by an identity, and none is trusted.",
                resolution="give it with --identity, or with attest.identities in osqual.yaml",
            )
        return self.keyless.unseal(line)


def verify(published: Published, trust: Trust, policy: Policy, now: datetime) -> Proof:
    """What the published files prove. Raises NotProven with the first thing that does not hold."""
    statements, signer = _signed(published, trust)
    provenance, result = statements[PROVENANCE], statements[TEST_RESULT]
    record = _attested_record(published, result)
    _check_images(published, record, provenance, result)
    base = _check_recipe(record, provenance)
    against = objections(record, policy, now)
    if result["predicate"].get("result") != "PASSED":
        against.append("the attested test result is not PASSED")
    against += [
        f"{image} was withdrawn: {published.withdrawn[image]}"
        for image in published.images.values()
        if image in published.withdrawn
    ]
    if against:
        raise NotProven(f"{published.configuration} must not be used.", details="\n".join(against))
    return Proof(
        configuration=published.configuration,
        images=published.images,
        run=str(record["run"]),
        ended_at=str(record["ended_at"]),
        key_id=signer.key_id,
        proven=(
            f"signed by {signer.signer}",
            f"base {base[:12]} → recipe {record['recipe']['digest'][:12]} → "
            f"{len(published.images)} image(s) → record",
            f"qualified by the run {record['run']}, which ended at {record['ended_at']}",
            _policy_sentence(policy),
        ),
    )


def _signed(published: Published, trust: Trust) -> tuple[dict[str, dict[str, Any]], Verified]:
    """Both statements by their kind, and who signed; each byte of the file has to be as it was."""
    lines = published.attestation.splitlines()
    if not lines:
        raise NotProven(
            f"{published.configuration} has no attestation.",
            resolution="qualify it with a signing key: attest.key or attest.keyless in osqual.yaml",
        )
    found = {}
    for line in lines:
        verified = trust.unseal(line)
        statement = verified.statement
        if statement.get("_type") != STATEMENT:
            raise NotProven("The attestation is no in-toto statement of version 1.")
        found[str(statement.get("predicateType"))] = statement
    if set(found) != {PROVENANCE, TEST_RESULT} or len(lines) != len(found):
        raise NotProven(
            "The attestation must hold one provenance and one test result.",
            details="it holds: " + ", ".join(sorted(found)),
        )
    if published.attestation != "".join(f"{line}\n" for line in lines):
        raise NotProven("The attestation is not as it was written.")
    return found, verified


def _attested_record(published: Published, result: Mapping[str, Any]) -> dict[str, Any]:
    attested = {
        str(entry.get("name")): entry.get("digest", {}).get("sha256")
        for entry in result["predicate"].get("configuration", ())
    }
    for name, text in published.files.items():
        if attested.get(name) != digest_of(text):
            raise NotProven(
                f"{name} is not the one that was attested.",
                resolution="restore it from git, or qualify the configuration again",
            )
    record = json.loads(published.record)
    if record.get("configuration") != published.configuration:
        raise NotProven(f"The record is about {record.get('configuration')}.")
    return dict(record)


def _check_images(
    published: Published,
    record: Mapping[str, Any],
    provenance: Mapping[str, Any],
    result: Mapping[str, Any],
) -> None:
    """The published ids, the record's and the subjects of both statements are the same."""
    if dict(published.images) != dict(record["images"]):
        raise NotProven("The published images are not those that were qualified.")
    wanted = [subject_of(region, image, {})["digest"] for region, image in published.images.items()]
    for statement in (provenance, result):
        if sorted(map(str, (one["digest"] for one in statement["subject"]))) != sorted(
            map(str, wanted)
        ):
            raise NotProven("The attestation is about other images.")


def _check_recipe(record: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """The digest of the base image, once the chain from it to the record holds."""
    definition = provenance["predicate"]["buildDefinition"]
    resolved = {
        entry["name"]: entry["digest"].get("sha256")
        for entry in definition["resolvedDependencies"]
        if "sha256" in entry["digest"]
    }
    if (
        resolved != record["recipe"]["inputs"]
        or definition["internalParameters"]["recipe"] != record["recipe"]["digest"]
    ):
        raise NotProven("The images were not made from the recipe that the record names.")
    return str(resolved.get("base", "none"))


def _policy_sentence(policy: Policy) -> str:
    asked = policy.model_dump(exclude_defaults=True)
    words = ", ".join(f"{name} {value}" for name, value in asked.items())
    return f"meets the policy ({words})" if words else "no policy was asked for"
