"""Host ports and multicast groups for machines, reserved without races between processes.

A reservation is a UNIX socket in Linux's abstract namespace: it has the same reach as the ports
themselves (the network namespace), leaves nothing on disk, and ends with its process. Machines
that run already are found by trying to bind.
"""

import errno
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from osqual.errors import InfrastructureError

# Below the range that Linux takes ports of outgoing connections from (32768 and up).
PORT_RANGE = range(20000, 30000)
# 239.255.0.0/16 is for local use (RFC 2365, site-local scope).
GROUP_PREFIX = "239.255"
GROUP_PORT = 30123
ATTEMPTS = 500
LOOPBACK = "127.0.0.1"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Group:
    """A multicast group and port that one cluster's machines share."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@contextmanager
def reserved_ports(count: int, choose: random.Random | None = None) -> Iterator[tuple[int, ...]]:
    """Free TCP ports of the loopback, kept from other runs until the body ends.

    Start what listens on them inside the body: from then on the ports speak for themselves.
    """
    chance = choose or random.SystemRandom()
    with _Reservations() as held:
        yield tuple(
            _first_free(
                held, "port", lambda: chance.choice(PORT_RANGE), lambda port: can_listen(port)
            )
            for _ in range(count)
        )


@contextmanager
def reserved_group(choose: random.Random | None = None) -> Iterator[Group]:
    """A multicast group that nobody on this host listens to, kept until the body ends."""
    chance = choose or random.SystemRandom()

    def candidate() -> Group:
        address = f"{GROUP_PREFIX}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
        return Group(address=address, port=GROUP_PORT)

    with _Reservations() as held:
        yield _first_free(held, "group", candidate, is_silent)


class _Reservations:
    """Abstract sockets that are held; leaving the context lets go of all of them."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> "_Reservations":
        return self

    def __exit__(self, *exception: object) -> None:
        for held in self._sockets:
            held.close()

    def take(self, name: str) -> bool:
        """Whether the name was free in this network namespace; it is ours then."""
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0osqual/{name}")
        except OSError as error:
            lock.close()
            if error.errno == errno.EADDRINUSE:
                return False
            raise InfrastructureError(f"Cannot reserve {name}: {error}") from error
        self._sockets.append(lock)
        return True


def _first_free(
    held: _Reservations, kind: str, candidate: Callable[[], T], is_free: Callable[[T], bool]
) -> T:
    for _ in range(ATTEMPTS):
        value = candidate()
        if held.take(f"{kind}/{value}") and is_free(value):
            return value
    raise InfrastructureError(
        f"No free {kind} was found for a machine.",
        details=f"{ATTEMPTS} were tried; ports come from {PORT_RANGE.start}-{PORT_RANGE.stop - 1}.",
        resolution="end runs that are no longer needed (`osqual runs`)",
    )


def can_listen(port: int) -> bool:
    """Whether nothing listens on this TCP port of the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As QEMU does; a listener is still noticed, an old connection in TIME_WAIT is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _binds(probe, (LOOPBACK, port))


def is_silent(group: Group) -> bool:
    """Whether no process has bound this multicast group and port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Without SO_REUSEADDR: machines share the address among themselves, not with us.
        return _binds(probe, (group.address, group.port))


def _binds(probe: socket.socket, address: tuple[str, int]) -> bool:
    try:
        probe.bind(address)
    except OSError:
        return False
    return True
