"""Stores and state directories that cannot be used: each a named error that says what to do."""

import errno
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from osqual.errors import InfrastructureError, InvalidInput, OsqualError, StoreFailed
from osqual.settings import Directories, Settings
from osqual.store.database import open_engine, sqlite_url
from osqual.store.lock import orchestrator_lock
from osqual.store.store import Store, open_store


def settings(state: Path) -> Settings:
    return Settings(directories=Directories(state=state))


def begin(store: Store, run_id: str = "run") -> None:
    store.begin_run(
        run_id,
        configuration="c",
        catalogue=Path("/"),
        directory=Path("/"),
        options={},
        owner="o",
        version="0",
        step_names=["build"],
    )


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 99, b"SQLite format 3\0" + b"x" * 4096]
)
def test_a_corrupt_store_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.db").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        open_store(settings(tmp_path))
    assert "store.db" in caught.value.brief
    assert "moved away" in caught.value.resolution
    assert (tmp_path / "store.db").read_bytes() == content, "nothing is lost"


def test_a_store_that_breaks_while_it_is_used_is_named(tmp_path: Path) -> None:
    store = open_store(settings(tmp_path))
    begin(store)
    store.close()
    path = tmp_path / "store.db"
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(OsqualError) as caught:
        Store(open_engine(sqlite_url(path))).runs()
    assert isinstance(caught.value, StoreFailed | InvalidInput)
    assert caught.value.resolution


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_store(settings(tmp_path)).close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(InvalidInput, match="newer osqual"):
        open_store(settings(tmp_path))


def test_a_store_of_the_first_schema_keeps_its_runs(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    import osqual.store.migrate

    engine = create_engine(sqlite_url(tmp_path / "store.db"))
    with engine.connect() as connection:
        config = Config()
        scripts = Path(osqual.store.migrate.__file__).parent / "migrations"
        config.set_main_option("script_location", str(scripts))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO runs (id, configuration, catalogue, directory, status, reasons, options,"
            " image_ids, owner, version, started_at) VALUES ('r', 'c', '/', '/', 'ended', '[]',"
            " '{}', '{}', '1:x', '0', 1.0)"
        )
        connection.commit()
    engine.dispose()
    store = open_store(settings(tmp_path))
    assert store.run("r")["cancels"] == 0
    store.close()


def test_many_that_open_a_new_store_at_once_all_get_it(tmp_path: Path) -> None:
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                store = open_store(settings(tmp_path))
                begin(store, f"run-{number}")
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    store = open_store(settings(tmp_path))
    assert len(store.runs()) == 4
    store.close()


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed, match="OSQUAL_STATE_DIR"):
        open_store(settings(tmp_path / "file" / "state"))
    with (
        pytest.raises(InfrastructureError, match="cannot be used"),
        orchestrator_lock(tmp_path / "file" / "state", "test"),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(InfrastructureError, match="has no locks") as caught,
        orchestrator_lock(tmp_path, "test"),
    ):
        pass
    assert "OSQUAL_STATE_DIR" in caught.value.resolution


URLS = [
    "nonsense",
    "mysql://me:secret@localhost/db",
    "postgresql://me:secret@localhost:1/db",
    "postgresql+psycopg://me:secret@localhost:1/db",
    "postgresql+psycopg://me:secret@localhost:port/db",
    "sqlite:////proc/nowhere/store.db",
]


@pytest.mark.parametrize("url", URLS)
def test_a_wrong_url_is_named_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_engine(url)
    assert "secret" not in str(caught.value)
    assert caught.value.resolution
