"""DSSE envelopes: a payload, its type, and signatures over both (secure-systems-lab/dsse 1.0)."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osqual.attest.keys import Signer, encoded
from osqual.attest.public_key import PublicKey
from osqual.errors import ExitCode, OsqualError

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class NotProven(OsqualError):
    """An attestation does not prove what it is asked to prove."""

    exit_code = ExitCode.REJECTED


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A payload whose signature holds: the very bytes that were signed, read only afterwards."""

    statement: dict[str, Any]
    payload: bytes
    key_id: str
    signer: str
    """Who signed, in words."""


def is_bundle(line: str) -> bool:
    """Whether a line is a bundle of sigstore, which holds an envelope, and not one itself."""
    return line.startswith("{") and '"mediaType"' in line and '"dsseEnvelope"' in line


def seal(statement: dict[str, Any], key: Signer) -> str:
    """The statement in a signed envelope, as one line of JSON."""
    payload = payload_of(statement)
    signature = key.sign(_signed_bytes(PAYLOAD_TYPE, payload))
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": encoded(payload),
        "signatures": [{"keyid": key.public.id, "sig": encoded(signature)}],
    }
    return json.dumps(envelope)


def unseal(text: str, keys: Sequence[PublicKey]) -> Verified:
    """The statement of an envelope that one of the keys signed. Raises NotProven."""
    payload_type, payload, signatures = _parse(text)
    if payload_type != PAYLOAD_TYPE:
        raise NotProven(f"The attestation is of the unknown type {payload_type!r}.")
    signed = _signed_bytes(payload_type, payload)
    for key in keys:
        if any(id == key.id and key.verifies(data, signed) for id, data in signatures):
            return Verified(
                statement=statement_of(payload),
                payload=payload,
                key_id=key.id,
                signer=f"the key {key.id[:16]}",
            )
    raise NotProven(
        "No key that is trusted has signed this.",
        details="trusted: " + (", ".join(key.id[:16] for key in keys) or "none"),
        resolution="give the public key with --key, or with attest.trusted in osqual.yaml",
    )


def payload_of(statement: Mapping[str, Any]) -> bytes:
    """What is signed of a statement: the same one gives the same bytes."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def statement_of(payload: bytes) -> dict[str, Any]:
    """What was signed. Raises NotProven."""
    try:
        statement = json.loads(payload)
    except ValueError as error:
        raise NotProven("What was signed is not JSON.") from error
    if not isinstance(statement, dict):
        raise NotProven("What was signed is not a statement.")
    return statement


def _signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """What a signature is over: the type is in it, so that none is taken for another."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _parse(text: str) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    """Type, payload, and signatures with the id of their key. Every byte of the text counts."""
    try:
        envelope = json.loads(text)
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
        kind = envelope["payloadType"]
        ids = [str(one["keyid"]) for one in envelope["signatures"]]
        if text != json.dumps(envelope) or any(
            encoded(data) != written
            for data, written in zip(
                [payload, *signatures],
                [envelope["payload"], *(one["sig"] for one in envelope["signatures"])],
                strict=True,
            )
        ):
            raise ValueError("it is not written as osqual writes it")
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise NotProven("This is no attestation.", details=str(error)) from error
    if not isinstance(kind, str) or not signatures:
        raise NotProven("This is no attestation.", details="a type and a signature are missing")
    return kind, payload, list(zip(ids, signatures, strict=True))
