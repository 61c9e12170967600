"""Who may begin: what was let in counts, and so does what others take of the machine."""

from pathlib import Path

import pytest

from osqual.room import Admission, Room, container_mb, measure_room


def fixed(free: Room) -> Admission:
    return Admission(lambda: free)


def test_what_was_let_in_counts_before_it_takes_anything() -> None:
    admission = fixed(Room(memory_mb=4000, cores=8))
    assert admission.enter(Room(memory_mb=3000, cores=1)) == ()
    assert admission.enter(Room(memory_mb=3000, cores=1)) == ("memory",)
    assert admission.enter(Room(memory_mb=1000, cores=7)) == ()
    assert admission.enter(Room(cores=0.5)) == ("cores",)


def test_what_others_take_meanwhile_counts() -> None:
    free = [Room(memory_mb=4000, disk_mb=9000, cores=4)]
    admission = Admission(lambda: free[-1])
    assert admission.enter(Room(memory_mb=1000)) == ()
    free.append(Room(memory_mb=500, disk_mb=100, cores=4))
    assert admission.enter(Room(memory_mb=1000, disk_mb=200)) == ("memory", "disk")
    free.append(Room(memory_mb=2000, disk_mb=300, cores=4))
    assert admission.enter(Room(memory_mb=1000, disk_mb=200)) == ()


def test_who_comes_alone_may_enter_however_much_it_wants() -> None:
    admission = fixed(Room(memory_mb=100, cores=2))
    large = Room(memory_mb=3000, cores=3)
    assert admission.enter(large) == ()
    assert admission.enter(large) == ("memory", "cores")
    admission.leave(large)
    assert admission.enter(large) == ()


@pytest.mark.parametrize("missing", [".", "not/there/yet"])
def test_room_is_measured_where_a_directory_is_or_will_be(tmp_path: Path, missing: str) -> None:
    found = measure_room(tmp_path / missing)
    assert found.memory_mb > 0
    assert found.disk_mb > 0
    assert found.cores >= 1


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    assert container_mb(tmp_path) == []
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1048576\n")
    assert container_mb(tmp_path) == []
    (tmp_path / "memory.max").write_text(f"{9 << 20}\n")
    assert container_mb(tmp_path) == [8]
