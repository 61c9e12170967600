"""The public half of a key: its name, its forms, and what it verifies."""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from osqual.errors import InvalidInput


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

    @property
    def openssh(self) -> str:
        """As OpenSSH writes it, for a file."""
        return (
            self.key.public_bytes(
                serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
            ).decode()
            + "\n"
        )

    @property
    def raw(self) -> bytes:
        """32 bytes."""
        return self.key.public_bytes_raw()

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature over the data was made with its private half."""
        try:
            self.key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def unusable(source: str, wanted: str) -> InvalidInput:
    """That a key cannot be used; never with the key."""
    return InvalidInput(
        f"{source} is not {wanted}.", resolution="`osqual keys new` makes a pair that can be used"
    )
