"""Opening the database: SQLite by default, PostgreSQL by URL; migrated to this version's schema."""

from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from osqual.errors import InvalidInput
from osqual.store.schema import SCHEMA_REVISION

BUSY_TIMEOUT_S = 30


def open_engine(url: str) -> Engine:
    """An engine on a migrated database.

    Raises InvalidInput for a database that is corrupt, newer than this osqual, or not to be
    reached as named.
    """
    try:
        engine = create_engine(url, connect_args=_connect_args(url))
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
        with engine.connect() as connection:
            found = _revision(connection)
            connection.rollback()
            if found != SCHEMA_REVISION:
                # Alembic takes a second to import; it is needed once per database.
                from osqual.store.migrate import migrate

                migrate(connection, found, _redacted(engine))
                connection.commit()
    except InvalidInput:
        raise
    except (SQLAlchemyError, OSError) as error:
        raise InvalidInput(
            f"The store cannot be opened: {_redacted_url(url)}",
            details=str(getattr(error, "orig", None) or error),
            resolution="check the path, its permissions and free space; a corrupt SQLite file can "
            "be moved away (its runs are then no longer listed, their directories stay)",
        ) from error
    return engine


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite store at a path."""
    return f"sqlite:///{path}"


def _connect_args(url: str) -> dict[str, object]:
    return {"timeout": BUSY_TIMEOUT_S} if url.startswith("sqlite") else {}


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
