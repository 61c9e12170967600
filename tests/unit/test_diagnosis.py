"""What `osqual doctor` finds, on machines that lack one thing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.diagnosis import Check, Level, check_directories, diagnose
from osqual.errors import InfrastructureError
from osqual.qemu.ports import PORT_RANGE
from osqual.room import measure_room
from osqual.settings import Directories, Qemu, Settings

Doctor = Callable[..., dict[str, Check]]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of which single programs can be taken away."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("qemu-system-x86_64", "qemu-img", "ssh", "ssh-keygen", "git", "mmdebstrap"):
        program = directory / name
        program.write_text(f"#!/bin/sh\necho {name} version 1.2.3\n")
        program.chmod(0o755)
    for name in ("unshare", "newuidmap"):
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    (directory / "mv").symlink_to("/bin/mv")
    monkeypatch.setenv("PATH", str(directory))
    return directory


@pytest.fixture
def doctor(programs: Path, tmp_path: Path) -> Doctor:
    def look(**qemu: object) -> dict[str, Check]:
        settings = settings_in(tmp_path, **{"acceleration": "tcg", "memory_mb": 128} | qemu)
        return {check.name: check for check in diagnose(settings, Cancellation())}

    return look


def settings_in(directory: Path, **qemu: object) -> Settings:
    places = {name: directory / name for name in ("state", "cache", "data")}
    return Settings(directories=Directories(**places), qemu=Qemu.model_validate(qemu))


def test_everything_that_is_there_is_named_with_its_version(doctor: Doctor) -> None:
    found = doctor()
    assert found["git"].level is Level.OK
    assert "1.2.3" in found["git"].found
    assert [name for name, check in found.items() if check.level is Level.MISSING] == []
    assert str(PORT_RANGE.start) in found["ports"].found


def test_a_program_that_is_missing_comes_with_its_package(doctor: Doctor, programs: Path) -> None:
    (programs / "qemu-img").unlink()
    found = doctor()["qemu-img"]
    assert found.level is Level.MISSING
    assert found.resolution == "apt-get install qemu-utils"
    assert doctor()["packer"].level is Level.NOTE, "only --builder packer needs it"


def test_memory_is_counted_as_a_run_counts_it(doctor: Doctor, tmp_path: Path) -> None:
    """Including what QEMU takes beside its guest."""
    available_mb = measure_room(tmp_path).memory_mb
    found = doctor(memory_mb=max(128, available_mb // 3 - 100))["memory"]
    assert found.level is Level.MISSING
    assert "qemu.memory_mb" in found.resolution


def test_acceleration_that_was_asked_for_and_does_not_work_is_missing(
    doctor: Doctor, tmp_path: Path
) -> None:
    kernel = tmp_path / "cache" / "bases" / "abc.kernel"
    kernel.parent.mkdir(parents=True)
    kernel.write_bytes(b"no kernel comes up in this QEMU")
    found = doctor(acceleration="kvm")["acceleration"]
    assert found.level is Level.MISSING
    assert "auto" in found.resolution


def test_a_place_that_is_a_file_is_no_directory(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    check_directories(settings)
    (tmp_path / "data").write_text("")
    with pytest.raises(InfrastructureError, match="data directory") as caught:
        check_directories(settings)
    assert "not a directory" in caught.value.details
    assert "OSQUAL_DATA_DIR" in caught.value.resolution


def test_user_namespaces_that_are_not_allowed_are_a_note(doctor: Doctor, programs: Path) -> None:
    (programs / "unshare").write_text("#!/bin/sh\necho 'not permitted' >&2; exit 1\n")
    found = doctor()["making bases"]
    assert found.level is Level.NOTE
    assert "not permitted" in found.found
    assert "sysctl" in found.resolution
