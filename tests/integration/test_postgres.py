"""The store on a real PostgreSQL: the same faults, and a server that restarts in between."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.store.database import open_engine
from osqual.store.store import Store
from tests.durable import DurableWorld, in_child
from tests.postgres import Server, running_server

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(900)]

BOUNDARIES = (
    "after store: begin run#1",
    "before store: intend vm#1",
    "amid start sleep#1",
    "after store: end step build#1",
    "after store: intend vm#2",
    "after store: end step provision#1",
    "after store: begin step install#1",
    "after store: intend job#1",
    "before store: record suite integration#1",
    "amid write dcos_images.yaml#1",
    "after store: begin step destroy#1",
    "before store: end run#1",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


def last(world: DurableWorld) -> dict[str, object]:
    store = world.store()
    try:
        run = store.run("latest")
        return {**run, "open": store.resources(run_id=run["id"])}
    finally:
        store.close()


def test_killed_anywhere_a_run_is_resumed_to_its_verdict(server: Server, tmp_path: Path) -> None:
    template = DurableWorld.make(tmp_path / "template", server.url)
    for number, boundary in enumerate(BOUNDARIES):
        world = template.copy(tmp_path / f"world-{number}")
        assert in_child(world.run, trace=world.root / "trace", fault=boundary) == -9, boundary
        assert in_child(world.resume) == 0, boundary
        found = last(world)
        assert (found["verdict"], found["open"]) == ("qualified", []), boundary
        assert world.processes() == [], boundary


def test_runs_of_another_state_directory_are_left_alone(server: Server, tmp_path: Path) -> None:
    one = DurableWorld.make(tmp_path / "one", server.url)
    other = one.copy(tmp_path / "other")
    boundary = "after store: end step provision#1"
    assert in_child(one.run, trace=one.root / "trace", fault=boundary) == -9
    machines = len(one.processes())
    assert machines
    assert in_child(other.reap) == 0
    assert len(one.processes()) == machines
    assert in_child(one.reap) == 0
    assert one.processes() == []


def test_a_server_that_restarts_during_a_run_is_survived(server: Server, tmp_path: Path) -> None:
    world = DurableWorld.make(tmp_path / "world", server.url)
    world.suites_take(4)
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = world.run()
        finally:
            os._exit(code)
    give_up = time.monotonic() + 60
    while not world.executions():
        assert time.monotonic() < give_up
        time.sleep(0.1)
    server.stop()
    server.start()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert last(world)["verdict"] == "qualified"


def test_a_server_that_is_away_for_a_moment_is_waited_for(server: Server) -> None:
    store = Store(open_engine(server.create("away")))
    server.stop()
    threading.Timer(3, server.start).start()
    assert store.runs() == []
    store.close()


def test_many_that_open_an_empty_database_at_once_all_get_it(server: Server) -> None:
    url = server.create("fresh")

    def open_it() -> int:
        Store(open_engine(url)).close()
        return 0

    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os._exit(in_child(open_it))
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
