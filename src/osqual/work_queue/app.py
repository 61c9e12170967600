"""The queue itself: Procrastinate's tables beside the store's, and the one task there is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import make_url

from osqual.errors import InvalidInput, MissingProgram, StoreFailed
from osqual.model import Configuration
from osqual.settings import Settings
from osqual.store.database import open_engine
from osqual.store.fleet import Fleet

try:
    import procrastinate
    from procrastinate.exceptions import ConnectorException
except ImportError as error:  # the extra is missing
    raise MissingProgram(
        "The queue needs the library procrastinate.",
        details=str(error),
        resolution="install it: pip install 'osqual[cluster]'",
    ) from error

TASK = "osqual.qualify"
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The queue and what goes with it in the store, open."""

    app: procrastinate.App
    fleet: Fleet


@contextmanager
def open_queue(settings: Settings) -> Iterator[Queue]:
    """The queue in the store's database, made when it is not there yet. Raises InvalidInput."""
    conninfo = conninfo_of(settings)
    engine = open_engine(str(settings.store))
    fleet = Fleet(engine)
    connector = procrastinate.SyncPsycopgConnector(
        conninfo=conninfo, min_size=1, max_size=4, timeout=CONNECT_TIMEOUT_S
    )
    app = procrastinate.App(connector=connector)
    try:
        with named_errors(), app.open():
            make_tables(app, fleet)
            yield Queue(app=app, fleet=fleet)
    finally:
        engine.dispose()


def conninfo_of(settings: Settings) -> str:
    """The store's URL as libpq takes it. Raises InvalidInput when it is no PostgreSQL."""
    url = None if settings.store is None else make_url(settings.store)
    if url is None or url.get_backend_name() != "postgresql":
        raise InvalidInput(
            "Workers share a store on PostgreSQL, and the store is "
            + ("SQLite." if url is None else f"{url.get_backend_name()}."),
            resolution="set OSQUAL_STORE (or `store` in osqual.yaml) to a URL like "
            "postgresql+psycopg://user@host/osqual",
        )
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def make_tables(app: procrastinate.App, fleet: Fleet) -> None:
    """Make Procrastinate's tables, once, whoever else opens the queue now."""
    with fleet.in_turn():
        if not app.check_connection():
            app.schema_manager.apply_schema()


@contextmanager
def named_errors() -> Iterator[None]:
    """What the database refuses is a named error."""
    try:
        yield
    except ConnectorException as error:
        raise StoreFailed(
            "The queue does not do what it was asked.",
            details=str(error.__cause__ or error),
            resolution="check that PostgreSQL runs and can be reached, then try again",
        ) from error


def queue_of(configuration: Configuration) -> str:
    """The queue of a configuration: its platform, which not every worker can do."""
    return configuration.dimensions["platform"]
