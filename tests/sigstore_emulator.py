"""A sigstore on loopback for the real client: certificate authority, logs, and a job's identity.

It issues what Fulcio, its certificate log and Rekor (v1) issue, with keys of its own, which the
trust configuration names. A job's identity is served as GitHub serves it.
"""

import base64
import hashlib
import json
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.loopback import served

ISSUER = "https://token.actions.githubusercontent.com"
REQUEST_TOKEN = "a-token-of-the-job-42"
LOG_NAME = "log.example"
SECRET = "a secret of the issuer that nobody checks here"
_SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


# A Merkle tree (RFC 6962)


def root_of(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def path_of(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*path_of(index, leaves[:half]), root_of(leaves[half:])]
    return [*path_of(index - half, leaves[half:]), root_of(leaves[:half])]


@dataclass
class SigstoreEmulator:
    """The services and their keys. `identity` is that of the job."""

    identity: str
    url: str = ""
    down: bool = False
    ca: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    ct_log: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    log: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    leaves: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a certificate authority")])
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.ca.public_key())
        usage = {
            name: name == "key_cert_sign"
            for name in (
                "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
            )
        }  # fmt: skip
        self.usage = usage
        self.ca_certificate = (
            self._builder(name, self.ca.public_key(), timedelta(days=1))
            .subject_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.ca, hashes.SHA256())
        )

    def _builder(self, issuer: x509.Name, key: Any, lives: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + lives)
        )

    @property
    def environ(self) -> dict[str, str]:
        """What GitHub gives a job with the permission `id-token: write`."""
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?job=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
        }

    def token(self) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "sigstore", "sub": self.identity}
        return jwt.encode({**claims, "iat": now, "exp": now + 300}, SECRET, algorithm="HS256")

    def trust_config(self) -> str:
        """What a client has to know, as a file."""
        since = {"start": "2020-01-01T00:00:00Z"}

        def a_log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            der = spki(key.public_key())
            return {
                "baseUrl": self.url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": b64(der),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": since,
                },
                "logId": {"keyId": b64(hashlib.sha256(der).digest())},
            }

        raw = b64(self.ca_certificate.public_bytes(Encoding.DER))
        authority = {
            "subject": {"organization": "example", "commonName": "a certificate authority"},
            "uri": self.url,
            "certChain": {"certificates": [{"rawBytes": raw}]},
            "validFor": since,
        }
        service = {"url": self.url, "majorApiVersion": 1, "validFor": since, "operator": "example"}
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
                "trustedRoot": {
                    "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                    "tlogs": [a_log(self.log)],
                    "certificateAuthorities": [authority],
                    "ctlogs": [a_log(self.ct_log)],
                    "timestampAuthorities": [],
                },
                "signingConfig": {
                    "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                    "caUrls": [service],
                    "oidcUrls": [],
                    "rekorTlogUrls": [service],
                    "rekorTlogConfig": {"selector": "ANY"},
                    "tsaUrls": [],
                    "tsaConfig": {"selector": "ANY"},
                },
            }
        )

    def certify(self, request: x509.CertificateSigningRequest, token: str) -> list[str]:
        """A certificate for the token's subject, noted in the certificate log."""
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="sigstore")
        usage = {**self.usage, "key_cert_sign": False, "digital_signature": True}
        name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(claims["sub"])])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca.public_key())
        key: Any = request.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(key)
        builder = (
            self._builder(self.ca_certificate.subject, key, timedelta(minutes=10))
            .subject_name(x509.Name([]))
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(identifier, critical=False)
            .add_extension(authority, critical=False)
            .add_extension(name, critical=True)
            .add_extension(
                x509.UnrecognizedExtension(_ISSUER, claims["iss"].encode()), critical=False
            )
        )
        tbs = builder.sign(self.ca, hashes.SHA256()).tbs_certificate_bytes
        noted = x509.UnrecognizedExtension(_SCT_LIST, self._timestamp(tbs))
        made = builder.add_extension(noted, critical=False).sign(self.ca, hashes.SHA256())
        return [one.public_bytes(Encoding.PEM).decode() for one in (made, self.ca_certificate)]

    def _timestamp(self, tbs: bytes) -> bytes:
        """A list of one signed certificate timestamp (RFC 6962, 3.3)."""
        when = int(time.time() * 1000)
        issuer = hashlib.sha256(spki(self.ca.public_key())).digest()
        entry = issuer + len(tbs).to_bytes(3, "big") + tbs
        signature = sign(self.ct_log, struct.pack("!BBQH", 0, 0, when, 1) + entry + b"\0\0")
        log_id = hashlib.sha256(spki(self.ct_log.public_key())).digest()
        one = b"\0" + log_id + struct.pack("!QHBBH", when, 0, 4, 3, len(signature)) + signature
        listed = struct.pack("!HH", len(one) + 2, len(one)) + one
        return b"\x04" + (b"\x81" if len(listed) > 127 else b"") + bytes([len(listed)]) + listed

    def note(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """An entry of the log, with its promise and the proof of its place."""
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])

        def digest(data: bytes) -> dict[str, str]:
            return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}

        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": digest(content["envelope"].encode()),
                    "payloadHash": digest(base64.b64decode(envelope["payload"])),
                    "signatures": [
                        {"signature": one["sig"], "verifier": content["verifiers"][0]}
                        for one in envelope["signatures"]
                    ],
                },
            }
        )
        self.leaves.append(body)
        index, size, root = len(self.leaves) - 1, len(self.leaves), root_of(self.leaves)
        log_id = hashlib.sha256(spki(self.log.public_key())).digest()
        head = f"{LOG_NAME} - 1\n{size}\n{b64(root)}\n"
        signature = b64(log_id[:4] + sign(self.log, head.encode()))
        promised: Any = {
            "body": b64(body),
            "integratedTime": int(time.time()),
            "logID": log_id.hex(),
            "logIndex": index,
        }
        proof = {
            "logIndex": index,
            "rootHash": root.hex(),
            "treeSize": size,
            "hashes": [one.hex() for one in path_of(index, self.leaves)],
            "checkpoint": f"{head}\n\u2014 {LOG_NAME} {signature}\n",
        }
        promise = b64(sign(self.log, rfc8785.dumps(promised)))
        verification = {"inclusionProof": proof, "signedEntryTimestamp": promise}
        return {"0" * 64: {**promised, "verification": verification}}


@contextmanager
def running_sigstore(identity: str) -> Iterator[SigstoreEmulator]:
    """The emulator behind a real server, until the body ends."""
    emulator = SigstoreEmulator(identity=identity)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            given = self.headers["authorization"]
            known = self.path.startswith("/token?job=1&audience=sigstore")
            right = known and given == f"bearer {REQUEST_TOKEN}"
            self.say({"value": emulator.token()} if right else {}, 200 if right else 401)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if emulator.down:
                self.say({"message": "down"}, 503)
            elif self.path == "/api/v2/signingCert":
                pem = base64.b64decode(body["certificateSigningRequest"])
                token = self.headers["authorization"].removeprefix("Bearer ")
                chain = emulator.certify(x509.load_pem_x509_csr(pem), token)
                self.say({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})
            elif self.path == "/api/v1/log/entries":
                self.say(emulator.note(body), 201)

        def say(self, document: dict[str, Any], status: int = 200) -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with served(Handler) as emulator.url:
        yield emulator
