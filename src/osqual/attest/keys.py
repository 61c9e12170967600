"""Ed25519 keys: made, read from a file or the environment, or found in an ssh agent."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from osqual.attest.agent import key_of_agent
from osqual.attest.public_key import PublicKey, unusable
from osqual.errors import InvalidInput
from osqual.processes.process import write_atomic

KEY_VARIABLE = "OSQUAL_SIGNING_PRIVATE_KEY"
"""The private key itself, as PEM; for continuous integration."""
FILE_VARIABLE = "OSQUAL_SIGNING_PRIVATE_KEY_FILE"
"""Its file; or a file with the public half of a key that the ssh agent holds."""
_USABLE = "a private key in PEM form, without a passphrase"


class Signer(Protocol):
    """What signs: a key at hand, or one that an agent holds."""

    @property
    def public(self) -> PublicKey:
        """The half that everybody may have."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature over the data. Raises PublishFailed."""
        ...


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
        return self._as(serialization.PrivateFormat.PKCS8)

    @property
    def openssh(self) -> str:
        """As OpenSSH writes it, not encrypted either: any `ssh-add` takes it."""
        return self._as(serialization.PrivateFormat.OpenSSH)

    def _as(self, form: serialization.PrivateFormat) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, form, serialization.NoEncryption()
        ).decode()


def write_keys(private: Path, key: SigningKey, *, openssh: bool = False) -> Path:
    """Write a key that only its owner can read, and `.pub` beside it. Raises InvalidInput."""
    public = private.with_name(f"{private.name}.pub")
    for path in (private, public):
        if path.exists():
            raise InvalidInput(
                f"{path} exists already.", resolution="choose another name, or remove it yourself"
            )
    try:
        private.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(private, key.openssh if openssh else key.pem, mode=0o600)
        write_atomic(public, key.public.openssh if openssh else key.public.pem)
    except OSError as error:
        raise InvalidInput(f"The key cannot be written: {error}") from error
    return public


def signing_key(environ: Mapping[str, str], configured: Path | None) -> Signer | None:
    """What signs: by the environment, else by the settings; None where nothing is signed.

    A file with a public key means that the ssh agent holds the private half. Raises InvalidInput
    for a key that cannot be used, without showing it, and for one that the agent does not hold.
    """
    text, source = environ.get(KEY_VARIABLE, ""), f"${KEY_VARIABLE}"
    if not text:
        place = environ.get(FILE_VARIABLE) or configured
        if not place:
            return None
        path = Path(place).expanduser()
        source = str(path)
        text = _read(path)
        if _is_private(text) and path.stat().st_mode & 0o077 and os.name == "posix":
            raise InvalidInput(
                f"Others can read the signing key {path}.", resolution=f"chmod 600 {path}"
            )
        if not _is_private(text):
            return key_of_agent(public_key(text, source), environ)
    return SigningKey(key=_private_key(text, source))


def public_key(text: str, source: str) -> PublicKey:
    """A public key, or the public half of a private one, in either form. Raises InvalidInput."""
    if _is_private(text):
        return SigningKey(key=_private_key(text, source)).public
    data = text.strip().encode() + b"\n"
    openssh = data.startswith(b"ssh-")
    try:
        found: object = (
            serialization.load_ssh_public_key(data)
            if openssh
            else serialization.load_pem_public_key(data)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unusable(source, "a public key in PEM form, or of OpenSSH") from error
    if not isinstance(found, Ed25519PublicKey):
        raise unusable(source, "an Ed25519 key")
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


def _is_private(text: str) -> bool:
    return "PRIVATE KEY" in text


def _private_key(text: str, source: str) -> Ed25519PrivateKey:
    data = text.strip().encode() + b"\n"
    openssh = b"BEGIN OPENSSH" in data
    try:
        key: object = (
            serialization.load_ssh_private_key(data, password=None)
            if openssh
            else serialization.load_pem_private_key(data, password=None)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unusable(source, _USABLE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise unusable(source, "an Ed25519 key")
    return key
