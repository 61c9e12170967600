"""Terraform's state in the store's PostgreSQL, where it outlives the machine that made a cluster.

The backend `pg` reads libpq's variables, so no password comes near a file or a command line.
"""

import json
from functools import lru_cache
from pathlib import Path

from packaging.version import Version
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from osqual.errors import InfrastructureError
from osqual.processes.process import write_atomic

FIRST_VERSION = Version("0.12")
"""Terraform before it has no backend `pg`."""
# An override file replaces whatever backend the module asks for.
FILE_NAME = "osqual_backend_override.tf.json"
# What Terraform's driver knows (github.com/lib/pq); libpq, and so the store, takes others too.
_SSL_MODES = ("disable", "require", "verify-ca", "verify-full")


def schema_of(store: str | None, run_id: str) -> str:
    """Where a run's state goes in the store's database; empty when that is no PostgreSQL."""
    if store is None or make_url(store).get_backend_name() != "postgresql":
        return ""
    return f"osqual_terraform_{run_id.replace('-', '_')}"


def write_backend(module: Path, schema: str) -> None:
    """Have the module keep its state in the schema from its next `init` on."""
    backend = {"pg": {"conn_str": "postgres://", "schema_name": schema}}
    document = {"terraform": {"backend": backend}}
    write_atomic(module / FILE_NAME, json.dumps(document, indent=2) + "\n")


def remove_backend(module: Path) -> None:
    """Have the module keep its state as it says itself from its next `init` on."""
    (module / FILE_NAME).unlink(missing_ok=True)


@lru_cache(maxsize=4)
def connection_environment(store: str) -> dict[str, str]:
    """libpq's variables for Terraform. Raises InfrastructureError when nothing answers."""
    url = make_url(store)
    asked = {
        "PGHOST": url.query.get("host", url.host),
        "PGPORT": url.query.get("port", url.port),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": _ssl_mode(url),
    }
    return {name: str(value) for name, value in asked.items() if value}


def drop_schema(store: str, schema: str) -> None:
    """Forget the state. Raises InfrastructureError."""
    _ask(make_url(store), f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


def _ssl_mode(url: URL) -> str:
    """As the store connects: left alone, libpq tries without TLS too, and Terraform does not."""
    asked = str(url.query.get("sslmode", ""))
    if asked in _SSL_MODES:
        return asked
    (tls,) = _ask(url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    return "require" if tls else "disable"


def _ask(url: URL, statement: str) -> tuple[object, ...]:
    """Carry out one statement; its first row, if it has rows."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            answer = connection.execute(text(statement))
            row = answer.first() if answer.returns_rows else None
    except SQLAlchemyError as error:
        raise InfrastructureError(
            "The database that keeps Terraform's state does not answer.",
            details=str(getattr(error, "orig", None) or error),
        ) from error
    return () if row is None else tuple(row)
