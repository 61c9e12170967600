"""Wishes of other processes that a run stops: written into the store, noticed by the run."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from osqual.cancellation import Cancellation
from osqual.errors import StoreFailed
from osqual.store.store import Store

POLL_S = 1.0


@contextmanager
def heed_requests(
    run_id: str, store: Store, cancellation: Cancellation, *, poll_s: float = POLL_S
) -> Iterator[None]:
    """While inside, each request in the store for this run cancels the token once."""

    def asked() -> int:
        try:
            return store.cancels(run_id)
        except StoreFailed:
            return 0  # the run itself will say what is wrong with it

    with heed(asked, cancellation, poll_s=poll_s):
        yield


@contextmanager
def heed(
    asked: Callable[[], int], cancellation: Cancellation, *, poll_s: float = POLL_S
) -> Iterator[None]:
    """While inside, the token is cancelled as often as was `asked` for."""
    over = threading.Event()

    def watch() -> None:
        heeded = 0
        while not over.wait(poll_s):
            wanted = asked()
            for _ in range(wanted - heeded):
                cancellation.cancel()
            heeded = max(heeded, wanted)

    watcher = threading.Thread(target=watch, name="cancel-requests", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
