"""A store that is new to a test: copied, for to migrate an empty one takes ten times as long."""

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from osqual.settings import Directories, Settings
from osqual.store.store import Store, open_store


def new_store(settings: Settings) -> Store:
    """As `open_store` makes it where there is none; on a server it is that."""
    place = settings.directories.state / "store.db"
    if settings.store is None and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_empty())
    return open_store(settings)


@cache
def _empty() -> bytes:
    """A migrated database, in one file."""
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        open_store(Settings(directories=Directories(state=state))).close()
        with closing(sqlite3.connect(state / "store.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return (state / "store.db").read_bytes()
