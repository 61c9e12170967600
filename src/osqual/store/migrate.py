"""Bringing a database to this version's schema with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from osqual.errors import InfrastructureError, InvalidInput
from osqual.store.schema import SCHEMA_REVISION


def migrate(connection: Connection, found: str | None, name: str) -> None:
    """Apply every migration that the database lacks; `found` is its revision, None when empty.

    Raises InvalidInput for a database that is newer than this osqual.
    """
    if found is not None and found > SCHEMA_REVISION:
        raise InvalidInput(
            f"The store {name} was written by a newer osqual (schema {found}; this one knows "
            f"{SCHEMA_REVISION}).",
            resolution="use that newer osqual, or another state directory",
        )
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except OperationalError as error:
        raise InfrastructureError(f"The store {name} cannot be migrated: {error.orig}") from error
