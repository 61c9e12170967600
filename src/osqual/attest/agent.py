"""Keys that an ssh agent holds: listed, and asked to sign (draft-ietf-sshm-ssh-agent)."""

import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from osqual.attest.public_key import PublicKey
from osqual.errors import InvalidInput, PublishFailed

SOCKET_VARIABLE = "SSH_AUTH_SOCK"
PATIENCE_S = 60.0
"""An agent may ask a person, or wait for a touch of a token."""
_LIST, _LISTED, _SIGN, _SIGNED = 11, 12, 13, 14
_LARGEST = 256 * 1024
"""What OpenSSH's agent sends and takes at most."""
_KIND = b"ssh-ed25519"


class _Refused(Exception):
    """The agent is not there, or does not do it."""


@dataclass(frozen=True, kw_only=True)
class AgentKey:
    """A key whose private half never leaves the agent."""

    public: PublicKey
    address: str

    def sign(self, data: bytes) -> bytes:
        """64 bytes, exactly those that the private key itself would give. Raises PublishFailed."""
        try:
            answer = _ask(
                self.address, _SIGN, _SIGNED, *map(_text, (_blob(self.public), data)), bytes(4)
            )
            (signature,) = _texts(answer, 1)
            kind, raw = _texts(signature, 2)
        except _Refused as error:
            raise PublishFailed(
                f"The ssh agent did not sign with the key {self.public.id[:16]}.",
                details=str(error),
                resolution="`ssh-add -l` shows what it holds; `osqual publish RUN` tries again",
            ) from error
        if kind != _KIND or not self.public.verifies(raw, data):
            raise PublishFailed("The ssh agent gave a signature that does not hold.")
        return raw


def agent_keys(environ: Mapping[str, str]) -> list[AgentKey]:
    """The Ed25519 keys of the agent, in its order. Raises InvalidInput where there is none."""
    address = environ.get(SOCKET_VARIABLE, "")
    try:
        answer = _ask(address, _LIST, _LISTED)
        if len(answer) < 4:
            raise _Refused("its answer was cut off")
        pairs = 2 * struct.unpack_from(">I", answer)[0]
        blobs = _texts(answer[4:], pairs)[::2]
    except _Refused as error:
        raise InvalidInput(
            "No ssh agent answers.",
            details=str(error),
            resolution='start one with `eval "$(ssh-agent)"`, and `ssh-add` the key',
        ) from error
    found = (_texts(blob, 2) for blob in blobs if blob.startswith(_text(_KIND)))
    return [
        AgentKey(public=PublicKey(key=Ed25519PublicKey.from_public_bytes(raw)), address=address)
        for _, raw in found
    ]


def key_of_agent(wanted: PublicKey, environ: Mapping[str, str]) -> AgentKey:
    """The key of the agent whose public half is this one. Raises InvalidInput."""
    keys = agent_keys(environ)
    for key in keys:
        if key.public.id == wanted.id:
            return key
    raise InvalidInput(
        f"The ssh agent does not hold the signing key {wanted.id[:16]}.",
        details="its Ed25519 keys: " + (", ".join(one.public.id[:16] for one in keys) or "none"),
        resolution="`ssh-add FILE` gives it the private half",
    )


def _blob(public: PublicKey) -> bytes:
    return _text(_KIND) + _text(public.raw)


def _text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _texts(data: bytes, count: int) -> list[bytes]:
    """The strings that the data begins with. Raises _Refused when it is too short."""

    def each() -> Iterator[bytes]:
        rest = data
        for _ in range(count):
            length = struct.unpack_from(">I", rest)[0] if len(rest) >= 4 else len(rest)
            if len(rest) < 4 + length:
                raise _Refused("its answer was cut off")
            yield rest[4 : 4 + length]
            rest = rest[4 + length :]

    return list(each())


def _ask(address: str, kind: int, answered: int, *parts: bytes) -> bytes:
    """Send one request, and give the content of the answer. Raises _Refused."""
    if not address:
        raise _Refused(f"${SOCKET_VARIABLE} is not set")
    request = bytes([kind]) + b"".join(parts)
    if len(request) > _LARGEST:
        raise _Refused(f"{len(request)} bytes are more than an agent signs")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(PATIENCE_S)
            link.connect(address)
            link.sendall(_text(request))
            (length,) = struct.unpack(">I", _receive(link, 4))
            if not 0 < length <= _LARGEST:
                raise _Refused(f"{address} does not speak as an agent does")
            answer = _receive(link, length)
    except OSError as error:
        raise _Refused(f"{address}: {error}") from error
    if answer[0] != answered:
        raise _Refused("it refused: locked, or not allowed to use the key")
    return answer[1:]


def _receive(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            raise _Refused("it closed the connection")
        data += more
    return data
