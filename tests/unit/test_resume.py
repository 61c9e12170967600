"""Runs that are killed, resumed, cancelled and reaped, with real processes for machines.

tests/integration/faults tries every boundary; here are those that differ in what must happen.
"""

import json
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from osqual.errors import UsageError
from osqual.pipeline.resume import resume
from osqual.store.database import Row
from tests.durable import DurableWorld, in_child
from tests.fixtures.command import osqual, stand_in

AFTER_PROVISION = "after store: end step provision#1"
IN_INSTALL = "after store: begin step install#1"
FIRST_SUITE_ENDED = "after store: record suite integration#1"
SECOND_SUITE_RUNS = "after store: intend job#2"


@pytest.fixture
def world(tmp_path: Path) -> DurableWorld:
    return DurableWorld.make(tmp_path / "world")


def kill_at(world: DurableWorld, boundary: str) -> None:
    assert in_child(world.run, trace=world.root / "trace", fault=boundary) == -signal.SIGKILL


def last_run(world: DurableWorld) -> Row:
    store = world.store()
    try:
        return store.run("latest")
    finally:
        store.close()


def steps(world: DurableWorld) -> dict[str, Row]:
    store = world.store()
    try:
        return {row["name"]: row for row in store.steps(store.run("latest")["id"])}
    finally:
        store.close()


def open_resources(world: DurableWorld) -> list[Row]:
    store = world.store()
    try:
        return store.resources()
    finally:
        store.close()


def test_living_machines_are_taken_over_and_ended_steps_do_not_run_again(
    world: DurableWorld,
) -> None:
    kill_at(world, AFTER_PROVISION)
    assert world.processes()
    assert in_child(world.resume) == 0
    assert last_run(world)["verdict"] == "qualified"
    assert {name: row["begun"] for name, row in steps(world).items()} == dict.fromkeys(
        ("validate", "build", "provision", "install", "test", "judge", "publish", "destroy"), 1
    )
    assert world.processes() == []
    assert open_resources(world) == []


def test_an_installation_that_was_cut_off_gets_a_new_cluster(world: DurableWorld) -> None:
    kill_at(world, IN_INSTALL)
    assert in_child(world.resume) == 0
    assert steps(world)["provision"]["begun"] == 2
    assert steps(world)["build"]["begun"] == 1
    directory = Path(last_run(world)["directory"])
    assert (directory / "cluster-1").is_dir(), "what the first cluster left is evidence"


def test_a_lost_machine_is_made_again_and_finished_suites_keep_their_results(
    world: DurableWorld,
) -> None:
    kill_at(world, FIRST_SUITE_ENDED)
    world.kill_machines()
    assert in_child(world.resume) == 0
    assert world.executions() == ["integration", "framework"]
    assert steps(world)["provision"]["begun"] == 2
    assert last_run(world)["verdict"] == "qualified"


def test_a_suite_that_still_runs_is_followed_and_not_started_again(world: DurableWorld) -> None:
    kill_at(world, "after store: resource created#9")
    assert in_child(world.resume) == 0
    assert world.executions() == ["integration", "framework"]
    assert last_run(world)["verdict"] == "qualified"


def test_changed_inputs_end_the_run_and_nothing_more_is_published(world: DurableWorld) -> None:
    kill_at(world, AFTER_PROVISION)
    (world.leaf / "install.sh").write_text("#!/bin/sh\necho other\n")
    assert in_child(world.resume) == 2
    run = last_run(world)
    assert run["verdict"] == "inconclusive"
    assert "inputs have changed" in " ".join(run["reasons"])
    assert not (world.leaf / "dcos_images.yaml").exists()
    assert world.processes() == []
    assert open_resources(world) == []


def test_a_lost_image_ends_the_run(world: DurableWorld) -> None:
    kill_at(world, AFTER_PROVISION)
    (world.root / "data" / "image.qcow2").unlink()
    assert in_child(world.resume) == 3
    assert "its image is gone" in " ".join(last_run(world)["reasons"])
    assert world.processes() == []


def test_a_catalogue_that_is_gone_ends_the_run_and_what_it_has(world: DurableWorld) -> None:
    kill_at(world, AFTER_PROVISION)
    (world.leaf / "packer.json").unlink()
    assert in_child(world.resume) == 2
    assert last_run(world)["status"] == "ended"
    assert world.processes() == []
    assert open_resources(world) == []


@pytest.mark.parametrize("damage", ["events.jsonl", "cluster.json", "job.json", "report"])
def test_files_that_a_loss_of_power_cut_off_do_no_harm(world: DurableWorld, damage: str) -> None:
    kill_at(world, SECOND_SUITE_RUNS)
    directory = Path(last_run(world)["directory"])
    name = "junit.xml" if damage == "report" else damage
    for path in directory.rglob(name):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    assert in_child(world.resume) in (0, 3)
    assert in_child(world.reap) == 0
    assert last_run(world)["status"] == "ended"
    assert world.processes() == []
    assert open_resources(world) == []
    lines = (directory / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["kind"] == "run.ended"


def test_only_a_run_whose_process_died_is_resumed(world: DurableWorld) -> None:
    assert in_child(world.run) == 0
    store = world.store()
    with pytest.raises(UsageError, match="has ended: qualified"):
        resume(store.run("latest"), world.engine(store))
    kill_at(world, AFTER_PROVISION)
    run = store.run("latest")
    assert store.claim_run(run["id"], before=run["owner"], owner="another")
    with pytest.raises(UsageError, match="still going on"):
        resume(run, world.engine(store))
    store.close()
    world.kill_machines()


def slow_suites(world: DurableWorld) -> None:
    script = '#!/bin/sh\necho "$1" >> "$EXECUTIONS"\nexec sleep 60\n'
    (world.catalogue / "products" / "thing" / "suite.sh").write_text(script)


def start_and_wait_for_suite(world: DurableWorld) -> int:
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
        time.sleep(0.05)
    return pid


def test_another_process_cancels_through_the_store_and_the_suite_in_progress_is_kept(
    world: DurableWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(world.catalogue, world.environ, monkeypatch)
    slow_suites(world)
    pid = start_and_wait_for_suite(world)
    assert osqual("resources") == 0
    shown = capsys.readouterr().out
    assert "suite-integration" in shown
    assert " there " in shown
    assert osqual("cancel") == 0
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    run = last_run(world)
    assert run["verdict"] == "inconclusive"
    reasons = " ".join(run["reasons"])
    assert "The run was interrupted in the step 'test'." in reasons
    assert "'integration' did not give a result to rely on: it was interrupted" in reasons
    assert "No test suite was run" not in reasons
    assert world.processes() == []
    assert open_resources(world) == []
    assert osqual("cancel") == 2
    assert osqual("runs", "show", "latest") == 0
    assert "integration" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_and_waits(world: DurableWorld, number: int) -> None:
    slow_suites(world)
    pid = start_and_wait_for_suite(world)
    os.kill(pid, number)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert last_run(world)["verdict"] == "inconclusive"
    assert world.processes() == []
    assert open_resources(world) == []


def test_in_the_background_of_a_script_it_can_be_interrupted_all_the_same(
    world: DurableWorld,
) -> None:
    slow_suites(world)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pid = start_and_wait_for_suite(world)
    finally:
        signal.signal(signal.SIGINT, before)
    os.kill(pid, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert "it was interrupted" in " ".join(last_run(world)["reasons"]), "the suite ignored it"
    assert world.processes() == []


def test_with_nohup_it_goes_on_when_the_terminal_is_closed(world: DurableWorld) -> None:
    slow_suites(world)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        pid = start_and_wait_for_suite(world)
    finally:
        signal.signal(signal.SIGHUP, before)
    os.kill(pid, signal.SIGHUP)
    time.sleep(1.0)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130


def test_a_second_one_stops_waiting_and_records_what_is_left(world: DurableWorld) -> None:
    script = "trap '' INT TERM\nwhile :; do sleep 0.1; done\n"
    suite = world.catalogue / "products" / "thing" / "suite.sh"
    suite.write_text(f'#!/bin/sh\necho "$1" >> "$EXECUTIONS"\n{script}')
    pid = start_and_wait_for_suite(world)
    os.kill(pid, signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    os.kill(pid, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    assert time.monotonic() - began < 20, "a stubborn suite has two minutes otherwise"
    assert last_run(world)["exit_code"] == 4
    left = {row["kind"] for row in open_resources(world)}
    assert left >= {"job", "vm", "disk", "key"}
    world.kill_machines()  # or the reaper, polite as ever, would wait for the suite
    assert in_child(world.reap) == 0
    assert world.processes() == []
    assert open_resources(world) == []


def test_a_store_that_is_full_does_not_keep_machines_from_being_ended(
    world: DurableWorld,
) -> None:
    def run() -> int:
        # From now on no file may grow beyond what the store is: as a full disk.
        size = (world.state / "store.db").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        return world.run()

    (world.state / "filler").write_bytes(b"")
    code = in_child(run)
    assert code in (3, 4)
    assert [each for each in world.processes() if "sleep" in each.command] == []
    assert in_child(world.reap) == 0
    assert open_resources(world) == []


def test_what_is_left_is_shown_and_ended_also_without_a_store(
    world: DurableWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(world.catalogue, world.environ, monkeypatch)
    kill_at(world, SECOND_SUITE_RUNS)
    run_id = last_run(world)["id"]
    assert osqual("runs") == 0
    assert "died" in capsys.readouterr().out
    assert osqual("reap", "--dry-run", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["run"], found["why"], found["ended"]) == (run_id, "its process has died", False)
    assert world.processes(), "a dry run ends nothing"
    for path in world.state.glob("store.db*"):
        path.unlink()
    assert osqual("reap", "--older-than", "1h") == 0
    assert world.processes(), "nothing is so old"
    assert osqual("reap") == 0
    assert run_id in capsys.readouterr().out
    assert world.processes() == []
    assert list(world.state.rglob("id_ed25519")) == []
    assert list(world.state.rglob("*.qcow2")) == []
    assert list(world.state.rglob("events.jsonl")), "evidence stays"


def test_what_was_kept_stays_until_it_is_destroyed(
    world: DurableWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from osqual.model import KeepPolicy

    stand_in(world.catalogue, world.environ, monkeypatch)
    assert in_child(lambda: world.run(keep=KeepPolicy.ALWAYS)) == 0
    machines = len(world.processes())
    assert machines
    assert osqual("reap") == 0
    assert len(world.processes()) == machines
    assert "is kept on purpose: `osqual destroy " in capsys.readouterr().err
    assert osqual("destroy", "latest") == 0
    assert world.processes() == []
    assert open_resources(world) == []
    capsys.readouterr()
    assert osqual("runs", "latest") == 0
    assert "kept: osqual" not in capsys.readouterr().out


def test_destroy_ends_what_a_killed_build_left(
    world: DurableWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(world.catalogue, world.environ, monkeypatch)
    kill_at(world, "after start sleep#1")
    assert list(world.state.rglob("seed"))
    assert osqual("destroy", "latest") == 0
    assert world.processes() == []
    assert list(world.state.rglob("seed")) == []
    assert list(world.state.rglob("*.qcow2")) == []
    assert last_run(world)["status"] == "ended"
