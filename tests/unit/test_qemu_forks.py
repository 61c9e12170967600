"""What forks of a QEMU cluster are started from, without starting any."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from osqual.effects.sockets import remove_socket_directory, socket_directory
from osqual.errors import InfrastructureError
from osqual.platforms.qemu_forks import at_once, fork_cluster, is_saved
from osqual.platforms.qemu_node import NodeMachine, read_machines
from osqual.qemu.acceleration import Acceleration
from osqual.qemu.ports import Group
from osqual.qemu.seed import Seed
from osqual.qemu.vm import vm_argv
from tests.scopes import Surroundings, make_cluster

GROUP = Group(address="239.255.1.2", port=30123)


def machine(directory: Path) -> NodeMachine:
    return NodeMachine(
        name="master-1",
        directory=directory,
        memory_mb=512,
        cpus=1,
        acceleration=Acceleration(accelerator="tcg", cpu_model="max", reason="a test"),
        outside_mac="52:54:00:00:00:0b",
        inside_mac="52:54:00:d6:00:0b",
        seed=Seed(iso=directory / "seed" / "seed.iso", fw_cfg={"opt/x": directory / "seed" / "x"}),
        disk=directory / "disk.qcow2",
    )


def test_facts_are_read_as_they_were_written(tmp_path: Path) -> None:
    node = tmp_path / "cluster" / "master-1"
    node.mkdir(parents=True)
    machine(node).write()
    assert read_machines(tmp_path) == (machine(node),)
    json.dumps(machine(node).document())


def test_a_fork_differs_from_its_original_in_nothing_that_memory_depends_on(
    tmp_path: Path,
) -> None:
    original = machine(tmp_path / "a")
    fork = replace(original, directory=tmp_path / "b", disk=tmp_path / "b" / "disk.qcow2")
    other = Group(address="239.255.9.9", port=30123)
    first = vm_argv(original.spec(20001, GROUP, incoming=False), tmp_path / "vm", tmp_path / "q")
    second = vm_argv(fork.spec(20002, other, incoming=True), tmp_path / "vm", tmp_path / "q")
    assert second[-4:-2] == ["-incoming", "defer"]
    rest = [word for word in second if word not in ("-incoming", "defer")]
    different = [(a, b) for a, b in zip(first, rest, strict=True) if a != b]
    for before, after in different:
        assert any(word in before for word in ("hostfwd", "mcast", "disk.qcow2", "console.log"))
        assert before.split(",")[0] == after.split(",")[0] or before.startswith("{")
    assert len(different) == 4, "port, group, disk and console are its own"


@pytest.mark.parametrize("text", ["", "[]", '{"name": "x"}'])
def test_broken_facts_are_named(tmp_path: Path, text: str) -> None:
    node = tmp_path / "cluster" / "master-1"
    node.mkdir(parents=True)
    (node / "machine.json").write_text(text)
    with pytest.raises(InfrastructureError, match="does not describe machines"):
        read_machines(tmp_path)


def test_what_was_not_saved_cannot_be_forked(tmp_path: Path) -> None:
    from osqual.cluster_file import write_cluster
    from osqual.model import Topology

    around = Surroundings(tmp_path / "run")
    write_cluster(tmp_path / "cluster.json", make_cluster(Topology()))
    assert not is_saved(tmp_path)
    with pytest.raises(InfrastructureError, match="No cluster was saved"):
        fork_cluster(tmp_path, around.scope)


def test_machines_that_start_side_by_side_share_one_socket_directory(tmp_path: Path) -> None:
    for number in range(20):
        scope = Surroundings(tmp_path / f"run-{number}").scope
        found = at_once(socket_directory, [scope] * 4)
        assert len(set(found)) == 1
        assert len(scope.journal.unended()) == 1
        remove_socket_directory(scope)


def test_all_are_waited_for_before_the_first_failure_is_raised() -> None:
    done: list[int] = []

    def act(number: int) -> int:
        if number == 1:
            raise InfrastructureError("the first")
        done.append(number)
        return number

    with pytest.raises(InfrastructureError, match="the first"):
        at_once(act, [1, 2, 3])
    assert sorted(done) == [2, 3]
    assert at_once(act, [5, 4]) == [5, 4]
