"""Opening the database: SQLite by default, PostgreSQL by URL; migrated to this version's schema."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, event, text
from sqlalchemy.exc import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
    TimeoutError,
)

from osqual.cancellation import pauses
from osqual.errors import InvalidInput, OsqualError, StoreFailed
from osqual.store.schema import SCHEMA_REVISION

Row = Mapping[str, Any]

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
RESTART_S = 60.0
"""So long a server that was there before may be away."""
MIGRATION_LOCK = 7_167_825
"""A number that only osqual takes for an advisory lock."""


def open_engine(url: str) -> Engine:
    """An engine on a migrated database.

    Raises InvalidInput for a database that is corrupt, newer than this osqual, or not to be
    reached as named.
    """
    try:
        # A server that was restarted between two transactions goes unnoticed.
        engine = create_engine(url, connect_args=_connect_args(url), pool_pre_ping=True)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
        with engine.connect() as connection:
            found = _revision(connection)
            connection.rollback()
            if found != SCHEMA_REVISION:
                _migrate(connection, _redacted(engine))
    except OsqualError:
        raise
    except ImportError as error:
        raise InvalidInput(
            f"The driver for the store {_redacted_url(url)} is not installed.",
            details=str(error),
            resolution="for PostgreSQL: pip install 'osqual[cluster]', and a URL that begins "
            "with postgresql+psycopg://",
        ) from error
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise InvalidInput(
            f"The store cannot be opened: {_redacted_url(url)}",
            details=str(getattr(error, "orig", None) or error),
            resolution="check the path, its permissions and free space; a corrupt SQLite file can "
            "be moved away (its runs are then no longer listed, their directories stay)",
        ) from error
    return engine


def _migrate(connection: Connection, name: str) -> None:
    """Bring the schema up to date: in one transaction, and once, whoever else opens it now."""
    # Alembic takes a second to import; it is needed once per database.
    from osqual.store.migrate import migrate

    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # Python's driver begins none before DDL
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
    found = _revision(connection)
    if found != SCHEMA_REVISION:
        migrate(connection, found, name)
    connection.commit()


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction, committed when the body has ended. Raises StoreFailed."""
    with named_errors(), connected(engine) as connection, connection.begin():
        yield connection


def connected(engine: Engine) -> Connection:
    """A connection; a server that is just being restarted is waited for."""
    give_up = time.monotonic() + RESTART_S
    for pause in pauses(2.0):
        try:
            return engine.connect()
        except OperationalError:
            if engine.dialect.name == "sqlite" or time.monotonic() > give_up:
                raise
        time.sleep(pause)
    raise AssertionError("pauses have no end")


@contextmanager
def named_errors() -> Iterator[None]:
    """Whatever the database refuses while it is in use is a named error, with what to do."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise  # a mistake of osqual's own
    except (DatabaseError, TimeoutError) as error:
        words = str(getattr(error, "orig", None) or error)
        raise StoreFailed(
            "The store does not do what it was asked.",
            details=words,
            resolution=next((todo for part, todo in _TO_DO.items() if part in words), _OTHERWISE),
        ) from error


# What SQLite says -> what to do about it.
_TO_DO: Mapping[str, str] = {
    "full": "free space in the state directory, then `osqual resume` or `osqual reap`",
    "locked": "another program holds the database for long; on a network file system without "
    "locks use another state directory (OSQUAL_STATE_DIR) or PostgreSQL (OSQUAL_STORE)",
    "readonly": "make the state directory writable, then `osqual resume` or `osqual reap`",
    "malformed": "move store.db away: run directories stay, and `osqual reap` ends what they hold",
    "not a database": "move store.db away: run directories stay, and `osqual reap` ends what "
    "they hold",
}
_OTHERWISE = "look at the words above; then `osqual resume` or `osqual reap`"


def read_rows(engine: Engine, query: Select[Any]) -> list[Row]:
    """What a query finds, by column."""
    with named_errors(), connected(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite store at a path."""
    return f"sqlite:///{path}"


def _connect_args(url: str) -> dict[str, object]:
    if url.startswith("sqlite"):
        return {"timeout": BUSY_TIMEOUT_S}
    return {"connect_timeout": CONNECT_TIMEOUT_S} if url.startswith("postgresql") else {}


def _prepare_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _revision(connection: Connection) -> str | None:
    """The schema revision in the database, None for an empty one."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _redacted(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _redacted_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
