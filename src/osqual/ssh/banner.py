"""Waiting for an ssh server by its greeting, which costs far less than trying to log in."""

import selectors
import socket
import time
from collections.abc import Callable

from osqual.cancellation import Cancellation

# QEMU's user-mode networking accepts every connection at once and hands it on when the guest has an
# address: each probe of a booting machine then makes its server start a process, all in one moment,
# and under emulation that delays the login by more than the whole boot. So there are few.
PROBE_EVERY_S = 3.0
PROBES_AT_ONCE = 3
UNSEEN_EVERY_S = 20.0
"""While nobody knows whether the machine's network is up."""
REFUSED_WAIT_S = 0.5
PROBE_LIFE_S = 60.0
WATCH_EVERY_S = 1.0

Watch = Callable[[], bool | None]
"""Asked now and then while a machine is waited for. Raises when waiting is pointless; tells whether
the machine's network is up, None where nobody knows."""


def wait_banner(host: str, port: int, token: Cancellation, watch: Watch) -> None:
    """Return once something at the address greets like an ssh server."""
    with selectors.DefaultSelector() as selector:
        try:
            _probe(selector, (host, port), token, watch)
        finally:
            for key in list(selector.get_map().values()):
                _drop(selector, key)


def _probe(
    selector: selectors.BaseSelector,
    address: tuple[str, int],
    token: Cancellation,
    watch: Watch,
) -> None:
    up: bool | None = None
    next_watch = next_probe = 0.0
    while True:
        token.check()
        now = time.monotonic()
        if now >= next_watch:
            before, up = up, watch()
            next_watch = now + WATCH_EVERY_S
            if up and not before:
                next_probe = now
        for key in list(selector.get_map().values()):
            if now - key.data > PROBE_LIFE_S:
                _drop(selector, key)
        if now >= next_probe and up is not False and len(selector.get_map()) < PROBES_AT_ONCE:
            _start_probe(selector, address, now)
            next_probe = now + (PROBE_EVERY_S if up else UNSEEN_EVERY_S)
        if not selector.get_map():
            token.sleep(0.1)
        for key, _ in selector.select(0.1):
            if _greets(key):
                return
            _drop(selector, key)
            next_probe = min(next_probe, now + REFUSED_WAIT_S)


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
