"""Workers on a real PostgreSQL: who does what, and what becomes of the work of one that dies."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from osqual.cli.main import main
from osqual.cli.working import serve
from osqual.serve.actions import Actions
from osqual.settings import load_settings
from osqual.store.database import Row, open_engine
from osqual.store.schema import runs as runs_table
from tests.durable import LEAF, DurableWorld, durable_parts, in_child
from tests.postgres import Server, running_server

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]

WORKERS = "workers: {heartbeat_s: 0.5, stalled_after_s: 2}\n"
PATIENCE_S = 240.0
COUNT = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


@dataclass
class Shop:
    """A catalogue, a queue, and workers that are processes with state directories of their own."""

    world: DurableWorld
    capsys: pytest.CaptureFixture[str]
    environ: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    def start(self, name: str, jobs: int = 1) -> None:
        """A worker; the same name again is the same place started anew."""
        own = {"OSQUAL_STATE_DIR": str(self.world.root / name)}
        environ = {**self.world.environ, **self.environ, **own}

        def be_worker() -> int:
            settings = load_settings(self.world.catalogue, environ)
            serve(self.world.catalogue, settings, jobs=jobs, queues=[], parts=durable_parts())
            return 0

        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            os._exit(in_child_here(be_worker))
        self.pids[name] = pid

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        pid = self.pids.pop(name)
        os.kill(pid, number)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def osqual(self, *arguments: str) -> Any:
        """The program itself; what it printed, as JSON where it is that."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = self.capsys.readouterr()
        assert not ended.value.code, err
        return json.loads(out) if "--json" in arguments else out

    def runs(self) -> list[Row]:
        """The oldest first."""
        store = self.world.store()
        try:
            return store.runs()[::-1]
        finally:
            store.close()

    def left(self) -> list[Any]:
        """Whatever is open or runs."""
        store = self.world.store()
        try:
            return [*store.resources(), *self.world.processes()]
        finally:
            store.close()

    def jobs(self) -> dict[int, str]:
        return {each["job"]: each["status"] for each in self.osqual("queue", "--all", "--json")}

    def wait(self, condition: Callable[[], Any]) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up, (self.runs(), self.jobs())
            time.sleep(0.1)

    def who_works(self) -> str:
        """The worker that has the newest run."""
        pid = int(self.runs()[-1]["owner"].partition(":")[0])
        return next(name for name, known in self.pids.items() if known == pid)

    def done(self) -> bool:
        """Whether nothing waits and nothing is worked on."""
        return not {"todo", "doing"} & set(self.jobs().values())


def in_child_here(action: Callable[[], int]) -> int:
    """What a forked child does, with its errors shown."""
    try:
        return action()
    except BaseException as error:
        print(repr(error))
        return 99


@pytest.fixture
def shop(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    world = DurableWorld.make(tmp_path / "world", server.create(f"shop{next(COUNT)}"))
    settings = world.catalogue / "osqual.yaml"
    settings.write_text(settings.read_text() + WORKERS + "limits: {clusters: {at_most: 4}}\n")
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.catalogue)
    found = Shop(world, capsys)
    yield found
    for name in list(found.pids):
        found.kill(name)
    world.kill_machines()


def test_what_is_submitted_is_done_once_and_its_evidence_kept(shop: Shop) -> None:
    shop.environ["OSQUAL_EVIDENCE"] = str(shop.world.root / "evidence")
    for release in ("1.1", "1.2"):
        shop.world.add_release(release)
    submitted = shop.osqual("submit", "debian/**", "--json")
    assert len({each["job"] for each in submitted}) == 3
    assert {each["queue"] for each in submitted} == {"qemu"}
    assert "waits already" in shop.osqual("submit", LEAF)
    shop.start("one", jobs=2)
    shop.start("two")
    shop.wait(shop.done)
    found = shop.runs()
    assert [run["verdict"] for run in found] == ["qualified"] * 3
    assert {run["job"] for run in found} == {each["job"] for each in submitted}
    assert shop.left() == []
    assert shop.kill("one", signal.SIGTERM) == 0
    assert shop.kill("two", signal.SIGTERM) == 0
    kept = shop.world.root / "evidence" / found[0]["id"]
    assert (kept / "events.jsonl").read_text().count("step.ended") == 8
    assert list(kept.rglob("junit.xml"))
    assert not list(kept.rglob("id_ed25519"))
    assert not list(kept.rglob("*.qcow2"))


def test_one_worker_at_a_time_works_on_a_configuration(shop: Shop) -> None:
    shop.world.suites_take(1)
    shop.start("one", jobs=2)
    shop.start("two")
    shop.osqual("submit", LEAF)
    shop.wait(lambda: "doing" in shop.jobs().values())
    shop.osqual("submit", LEAF)
    assert sorted(shop.jobs().values()) == ["doing", "todo"]
    shop.wait(shop.done)
    first, second = shop.runs()
    assert second["started_at"] >= first["ended_at"]
    assert (first["verdict"], second["verdict"]) == ("qualified", "qualified")


def test_the_run_of_a_worker_that_was_killed_is_gone_on_with(shop: Shop) -> None:
    shop.world.suites_take(6)
    shop.start("one")
    shop.start("two")
    shop.osqual("submit", LEAF)
    shop.wait(shop.world.executions)
    assert shop.kill(shop.who_works()) == -signal.SIGKILL
    shop.wait(shop.done)
    (run,) = shop.runs()
    assert run["verdict"] == "qualified"
    assert sorted(shop.world.executions()) == ["framework", "integration"], "a suite ran twice"
    assert shop.left() == []


def test_the_run_of_a_machine_that_was_cut_off_is_begun_anew(shop: Shop) -> None:
    shop.world.suites_take(3)
    shop.start("one")
    shop.osqual("submit", LEAF)
    shop.wait(shop.world.executions)
    shop.kill("one")
    on_another_machine(shop)
    shop.start("two")
    shop.wait(shop.done)
    lost, again = shop.runs()
    assert lost["verdict"] == "inconclusive"
    assert "Its worker on elsewhere was not heard of for" in lost["reasons"][0]
    assert again["verdict"] == "qualified"
    left = {row["kind"] for row in shop.left() if isinstance(row, dict)}
    assert "vm" in left, "what is on the other machine cannot be ended from here"
    assert "limit" not in left
    shop.start("one")  # on the machine that was cut off
    shop.wait(lambda: shop.left() == [])


def on_another_machine(shop: Shop) -> None:
    """What was done by a process of this host looks as if another host's had done it."""
    engine = open_engine(shop.world.url)
    with engine.begin() as connection:
        connection.execute(update(runs_table).values(owner="77:boot:1@elsewhere"))
    engine.dispose()


def test_a_job_is_cancelled_in_its_middle_and_before_it_begins(shop: Shop) -> None:
    shop.world.add_release("1.1")
    shop.world.suites_take(60)
    shop.start("one")
    first, second = (each["job"] for each in shop.osqual("submit", "debian/**", "--json"))
    shop.wait(shop.world.executions)
    assert "will not be begun" in shop.osqual("cancel", f"job-{second}")
    assert "stop and clean up" in shop.osqual("cancel", f"job-{first}")
    shop.wait(shop.done)
    assert shop.jobs() == {first: "aborted", second: "cancelled"}
    (run,) = shop.runs()
    assert (run["verdict"], run["exit_code"]) == ("inconclusive", 130)
    assert shop.left() == []


def test_a_job_that_is_cancelled_after_its_worker_died_leaves_nothing(shop: Shop) -> None:
    shop.world.suites_take(60)
    shop.start("one")
    (job,) = (each["job"] for each in shop.osqual("submit", LEAF, "--json"))
    shop.wait(shop.world.executions)
    shop.kill("one")
    shop.osqual("cancel", f"job-{job}")
    shop.start("two")
    shop.wait(lambda: shop.done() and shop.left() == [])
    (run,) = shop.runs()
    assert run["reasons"] == ["Its worker died, and its job is over."]


def test_a_worker_that_is_stopped_tears_down_and_leaves_its_job_to_others(shop: Shop) -> None:
    shop.world.suites_take(60)
    shop.start("one")
    shop.osqual("submit", LEAF)
    shop.wait(shop.world.executions)
    assert shop.kill("one", signal.SIGTERM) == 0
    assert shop.left() == []
    assert list(shop.jobs().values()) == ["todo"]
    shop.world.suites_take(0.1)
    shop.start("two")
    shop.wait(shop.done)
    assert [run["verdict"] for run in shop.runs()] == ["inconclusive", "qualified"]
    assert shop.left() == []


def test_a_schedule_submits_what_its_patterns_mean_when_it_is_due(shop: Shop) -> None:
    said = shop.osqual("schedule", "add", "--cron", "* * * * * */2", "debian/**")
    assert said.startswith("debian-all: 1 configurations now")
    (listed,) = shop.osqual("schedule", "list", "--json")
    assert listed["next"] > time.time() - 5
    shop.world.add_release("1.1")
    shop.start("one", jobs=2)
    shop.start("two")
    shop.wait(lambda: len({run["configuration"] for run in shop.runs()}) == 2)
    assert "removed" in shop.osqual("schedule", "remove", "debian-all")
    assert shop.osqual("schedule", "list", "--json") == []
    shop.wait(shop.done)
    assert {run["verdict"] for run in shop.runs()} == {"qualified"}
    assert shop.left() == []


def test_a_rerun_that_a_page_asks_for_is_done_by_a_worker(shop: Shop) -> None:
    shop.start("one")
    shop.osqual("submit", LEAF)
    shop.wait(shop.done)
    (first,) = shop.runs()
    store = shop.world.store()
    asked = Actions(store=store, settings=shop.world.settings).rerun(first["id"])
    store.close()
    assert asked["queue"] == "qemu"
    shop.wait(shop.done)
    assert shop.jobs()[asked["job"]] == "succeeded"
    _, again = shop.runs()
    assert (again["verdict"], again["job"]) == ("qualified", asked["job"])
    assert again["options"]["image_of"] == first["id"]
    assert again["image_ids"] == first["image_ids"], "nothing is built"
    assert shop.left() == []


def test_workers_survive_a_restart_of_the_database(shop: Shop, server: Server) -> None:
    shop.world.suites_take(4)
    shop.start("one")
    shop.osqual("submit", LEAF)
    shop.wait(shop.world.executions)
    server.stop()
    server.start()
    shop.wait(shop.done)
    assert [run["verdict"] for run in shop.runs()] == ["qualified"]
    shop.world.add_release("1.1")
    shop.osqual("submit", "debian/12/qemu/thing-1.1/docker-20.10")
    shop.wait(lambda: len(shop.runs()) == 2 and shop.done())
    assert shop.runs()[1]["verdict"] == "qualified", "the worker works on"
    assert shop.left() == []


def test_many_that_open_an_empty_queue_at_once_all_get_it(shop: Shop) -> None:
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os._exit(in_child(lambda: opened(shop)))
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4


def opened(shop: Shop) -> int:
    from osqual.work_queue.app import open_queue

    with open_queue(shop.world.settings):
        return 0


def test_the_program_itself_works_and_is_stopped(shop: Shop) -> None:
    (shop.world.leaf / "packer.json").write_text("{")
    shop.osqual("submit", LEAF)
    worker = subprocess.Popen(
        [sys.executable, "-m", "osqual", "worker", "--queues", "qemu"],
        stderr=subprocess.PIPE,
        text=True,
    )
    shop.wait(shop.done)
    worker.send_signal(signal.SIGTERM)
    said = worker.communicate(timeout=60)[1]
    assert worker.returncode == 0, said
    assert "Working on qemu, 1 at a time." in said
    assert f"{LEAF}  inconclusive" in said
    (run,) = shop.runs()
    assert "packer.json" in run["reasons"][0]
