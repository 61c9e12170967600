"""Waiting for an ssh server by its greeting, which costs far less than trying to log in."""

import selectors
import socket
import time
from collections.abc import Callable

from osqual.cancellation import Cancellation

# User-mode networking accepts at once and forwards later: a probe that started before the guest
# had an address waits for retransmissions, so a young one runs beside it and the first wins.
PROBE_EVERY_S = 0.5
PROBE_LIFE_S = 15.0
PROBES_AT_ONCE = 4
ALIVE_EVERY_S = 2.0


def wait_banner(host: str, port: int, token: Cancellation, check_alive: Callable[[], None]) -> None:
    """Return once something at the address greets like an ssh server.

    `check_alive` is asked now and then and raises when waiting is pointless.
    """
    with selectors.DefaultSelector() as selector:
        try:
            _probe(selector, (host, port), token, check_alive)
        finally:
            for key in list(selector.get_map().values()):
                _drop(selector, key)


def _probe(
    selector: selectors.BaseSelector,
    address: tuple[str, int],
    token: Cancellation,
    check_alive: Callable[[], None],
) -> None:
    next_probe = next_check = 0.0
    while True:
        token.check()
        now = time.monotonic()
        if now >= next_check:
            check_alive()
            next_check = now + ALIVE_EVERY_S
        for key in list(selector.get_map().values()):
            if now - key.data > PROBE_LIFE_S:
                _drop(selector, key)
        if now >= next_probe and len(selector.get_map()) < PROBES_AT_ONCE:
            _start_probe(selector, address, now)
            next_probe = now + PROBE_EVERY_S
        if not selector.get_map():
            token.sleep(0.05)
        for key, _ in selector.select(0.1):
            if _greets(key):
                return
            _drop(selector, key)


def _start_probe(selector: selectors.BaseSelector, address: tuple[str, int], now: float) -> None:
    try:
        family, kind, protocol, _, resolved = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[
            0
        ]
        probe = socket.socket(family, kind, protocol)
    except OSError:
        return
    probe.setblocking(False)
    probe.connect_ex(resolved)
    selector.register(probe, selectors.EVENT_READ, now)


def _greets(key: selectors.SelectorKey) -> bool:
    try:
        return bool(key.fileobj.recv(4) == b"SSH-")  # type: ignore[union-attr]
    except OSError:
        return False


def _drop(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    selector.unregister(key.fileobj)
    key.fileobj.close()  # type: ignore[union-attr]
