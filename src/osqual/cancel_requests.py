"""Wishes of other processes that a run stops: written into the store, noticed by the run."""

import threading
from collections.abc import Iterator
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
    over = threading.Event()

    def watch() -> None:
        heeded = 0
        while not over.wait(poll_s):
            try:
                asked = store.cancels(run_id)
            except StoreFailed:
                continue  # the run itself will say what is wrong with it
            for _ in range(asked - heeded):
                cancellation.cancel()
            heeded = max(heeded, asked)

    watcher = threading.Thread(target=watch, name=f"cancel-requests-{run_id}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
