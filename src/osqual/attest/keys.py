"""Ed25519 keys: made, read from a file or the environment, named by their fingerprint."""

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from osqual.errors import InvalidInput
from osqual.process import write_atomic

KEY_VARIABLE = "OSQUAL_SIGNING_PRIVATE_KEY"
"""The private key itself, as PEM; for continuous integration."""
FILE_VARIABLE = "OSQUAL_SIGNING_PRIVATE_KEY_FILE"


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A key to verify with."""

    key: Ed25519PublicKey

    @property
    def id(self) -> str:
        """The sha256 of its DER form: the same for everybody."""
        der = self.key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(der).hexdigest()

    @property
    def pem(self) -> str:
        """As text, for a file."""
        return self.key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature over the data was made with its private half."""
        try:
            self.key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A private key, which is never shown."""

    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def new(cls) -> "SigningKey":
        """A fresh one."""
        return cls(key=Ed25519PrivateKey.generate())

    @property
    def public(self) -> PublicKey:
        """Its public half."""
        return PublicKey(key=self.key.public_key())

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return self.key.sign(data)

    @property
    def pem(self) -> str:
        """PKCS #8, not encrypted: who may read the file may sign."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()


def write_keys(private: Path, key: SigningKey) -> Path:
    """Write a key that only its owner can read, and `.pub` beside it. Raises InvalidInput."""
    public = private.with_name(f"{private.name}.pub")
    for path in (private, public):
        if path.exists():
            raise InvalidInput(
                f"{path} exists already.", resolution="choose another name, or remove it yourself"
            )
    try:
        private.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(private, key.pem, mode=0o600)
        write_atomic(public, key.public.pem)
    except OSError as error:
        raise InvalidInput(f"The key cannot be written: {error}") from error
    return public


def signing_key(environ: Mapping[str, str], configured: Path | None) -> SigningKey | None:
    """The key of the environment, else that of the settings; None where nothing is signed.

    Raises InvalidInput for one that cannot be used, without showing it.
    """
    text, source = environ.get(KEY_VARIABLE, ""), f"${KEY_VARIABLE}"
    if not text:
        place = environ.get(FILE_VARIABLE) or configured
        if not place:
            return None
        path = Path(place).expanduser()
        source = str(path)
        text = _read(path)
        if path.stat().st_mode & 0o077 and os.name == "posix":
            raise InvalidInput(
                f"Others can read the signing key {path}.", resolution=f"chmod 600 {path}"
            )
    try:
        key = serialization.load_pem_private_key(text.strip().encode() + b"\n", password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(source, "a private key in PEM form, without a passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(source, "an Ed25519 key")
    return SigningKey(key=key)


def public_key(text: str, source: str) -> PublicKey:
    """A public key, or the public half of a private one, in PEM form. Raises InvalidInput."""
    try:
        if "PRIVATE" in text:
            private = serialization.load_pem_private_key(text.encode(), password=None)
            found = private.public_key()
        else:
            found = serialization.load_pem_public_key(text.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(source, "a public key in PEM form") from error
    if not isinstance(found, Ed25519PublicKey):
        raise _unusable(source, "an Ed25519 key")
    return PublicKey(key=found)


def read_public_key(path: Path) -> PublicKey:
    """The same from a file."""
    return public_key(_read(path), str(path))


def encoded(data: bytes) -> str:
    """Base64, as envelopes have it."""
    return base64.b64encode(data).decode()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"The key {path} cannot be read.",
            details=str(error),
            resolution="`osqual keys new` makes a pair",
        ) from error


def _unusable(source: str, wanted: str) -> InvalidInput:
    return InvalidInput(
        f"{source} is not {wanted}.", resolution="`osqual keys new` makes a pair that can be used"
    )
