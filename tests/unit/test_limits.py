"""Limits that runs share through the store: taken with the run's row, given back with its end."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from osqual.errors import LimitReached
from osqual.store.database import open_engine, sqlite_url
from osqual.store.limits import Claim
from osqual.store.store import Store
from tests.durable import in_child

THREE = Claim(name="machines", amount=3, at_most=6)


def begin(store: Store, run_id: str, claims: Sequence[Claim]) -> None:
    store.begin_run(
        run_id,
        configuration="leaf",
        catalogue=Path("/"),
        directory=Path("/"),
        options={},
        owner="test",
        version="0",
        step_names=("build",),
        claims=claims,
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "store.db")


def test_a_run_begins_only_when_every_limit_has_room(url: str) -> None:
    store = Store(open_engine(url))
    begin(store, "one", [THREE])
    begin(store, "two", [THREE])
    clusters = Claim(name="clusters", amount=1, at_most=9)
    with pytest.raises(LimitReached, match="machines is reached: 6 of 6"):
        begin(store, "three", [clusters, THREE])
    assert {run["id"] for run in store.runs()} == {"one", "two"}
    assert {row["name"] for row in store.resources()} == {"machines"}
    (row,) = store.resources(run_id="one")
    store.resource_ended(row["id"])
    begin(store, "three", [clusters, THREE])
    store.close()


def test_machines_that_are_kept_go_on_counting(url: str) -> None:
    store = Store(open_engine(url))
    begin(store, "one", [Claim(name="machines", amount=6, at_most=6)])
    store.keep_resources("one")
    with pytest.raises(LimitReached):
        begin(store, "two", [THREE])
    store.close()


def test_processes_that_ask_at_once_get_no_more_than_there_is(url: str) -> None:
    Store(open_engine(url)).close()

    def ask() -> int:
        store, got = Store(open_engine(url)), 0
        for number in range(5):
            try:
                begin(store, f"{os.getpid()}-{number}", [Claim(name="a", amount=1, at_most=7)])
                got += 1
            except LimitReached:
                pass
        return got

    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os._exit(in_child(ask))
        children.append(pid)
    got = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert sum(got) == 7
