"""What `osqual doctor` finds, on machines that lack one thing."""

import json
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from click.testing import CliRunner

from osqual.cancellation import Cancellation
from osqual.cli.main import cli
from osqual.diagnosis import Check, Level, check_directories, diagnose
from osqual.errors import InfrastructureError
from osqual.qemu.ports import PORT_RANGE
from osqual.room import measure_room
from osqual.settings import Directories, Qemu, Settings, Terraform

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
    def look(
        platforms: Collection[str] = ("qemu",), terraform: str = "terraform", **qemu: object
    ) -> dict[str, Check]:
        settings = settings_in(tmp_path, **{"acceleration": "tcg", "memory_mb": 128} | qemu)
        settings = settings.model_copy(update={"terraform": Terraform(program=terraform)})
        return {check.name: check for check in diagnose(settings, Cancellation(), platforms)}

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


def test_what_a_cloud_needs_counts_where_the_catalogue_has_one(
    doctor: Doctor, programs: Path
) -> None:
    assert not {"terraform", "tofu"} & doctor().keys()
    found = doctor(["aws", "qemu"], "tofu")
    assert found["packer"].level is Level.MISSING
    assert found["tofu"].level is Level.MISSING
    assert "opentofu.org" in found["tofu"].resolution
    (programs / "tofu").write_text("#!/bin/sh\necho OpenTofu v1.8.3\n")
    (programs / "tofu").chmod(0o755)
    assert doctor(["aws"], "tofu")["tofu"].found.startswith("1.8.3 ")


def test_the_program_itself_looks_at_the_catalogue(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("state", "cache", "data"):
        monkeypatch.setenv(f"OSQUAL_{name.upper()}_DIR", str(tmp_path / name))

    def named() -> set[str]:
        said = CliRunner().invoke(cli, ["doctor", "--json"]).stdout
        return {check["name"] for check in json.loads(said)}

    assert "terraform" not in named()
    leaf = tmp_path / "centos/7.6/aws/DCOS-2.0.0/docker-19.03.5"
    leaf.mkdir(parents=True)
    (leaf / "packer.json").write_text('{"builders": [{"type": "amazon-ebs"}]}')
    assert "terraform" in named()


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
