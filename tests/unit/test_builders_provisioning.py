"""Provisioners against a machine that is this one: a shell in a directory of the test."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from osqual.builders.provisioners import (
    DISCONNECTED,
    FileProvisioner,
    Provisioner,
    ShellProvisioner,
)
from osqual.builders.provisioning import run_provisioner
from osqual.builders.workshop import Workshop
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import BuildFailed, CommandFailed, InfrastructureError, Interrupted
from osqual.events import Event, EventBus, EventKind
from osqual.processes.process import Completed, run
from osqual.settings import Settings
from osqual.ssh.banner import Watch
from osqual.ssh.machine import ConnectionLost


@dataclass
class LocalMachine:
    """Runs everything here, in `home`; `losses` says which shell commands lose the connection."""

    home: Path
    losses: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    ready: int = 0

    def run(self, argv: Sequence[str], *, check: bool = True, **options: Any) -> Completed:
        if argv[0] == "systemctl":
            return Completed(argv=tuple(argv), exit_status=0, stdout="running\n", stderr="")
        options.pop("sudo", None)
        return self._run(argv, check=check, **options)

    def run_shell(self, command: str, **options: Any) -> Completed:
        self.ran.append(command)
        if any(word in command for word in self.losses):
            raise ConnectionLost("The connection failed.")
        return self._run(["sh", "-c", command], **options)

    def _run(self, argv: Sequence[str], **options: Any) -> Completed:
        environment = {"HOME": str(self.home)}
        return run(argv, cwd=self.home, env=environment, **options)

    def get(self, remote: str, local: Path) -> None:
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes((self.home / remote).read_bytes())

    def wait_ready(self, timeout_s: float, watch: Watch) -> None:
        self.ready += 1

    def close(self) -> None:
        pass


@dataclass
class Site:
    """A machine, a catalogue directory and a run directory."""

    machine: LocalMachine
    leaf: Path
    directory: Path
    events: list[Event] = field(default_factory=list)
    cancellation: Cancellation = field(default_factory=Cancellation)
    secrets: tuple[str, ...] = ()
    dies: bool = False

    def check_alive(self) -> None:
        if self.dies:
            raise InfrastructureError("QEMU ended.")

    def provision(self, provisioner: Provisioner) -> None:
        machine: Any = self.machine
        journal: Any = None
        shop = Workshop(
            machine=machine,
            watch=self.check_alive,
            find_file=lambda name: self.leaf / name,
            directory=self.directory,
            build_name="qemu",
            secrets=self.secrets,
        )
        scope = RunScope(
            run_id="r",
            directory=self.directory,
            settings=Settings(),
            journal=journal,
            bus=EventBus(self.events.append),
            cancellation=self.cancellation,
        )
        run_provisioner(provisioner, 1, shop, scope)

    def shell(self, *lines: str, **options: Any) -> None:
        values = {"inline": lines, **options} if lines else options
        self.provision(ShellProvisioner(remote_folder=str(self.machine.home), **values))

    def upload(self, source: str, destination: str) -> None:
        self.provision(FileProvisioner(source=source, destination=destination))

    def failure(self, *lines: str, **options: Any) -> str:
        with pytest.raises(BuildFailed) as caught:
            self.shell(*lines, **options)
        return str(caught.value)

    def output(self) -> list[str]:
        return [event.message for event in self.events if event.kind is EventKind.OUTPUT]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for name in ("home", "leaf", "run"):
        (tmp_path / name).mkdir()
    return Site(
        machine=LocalMachine(tmp_path / "home"), leaf=tmp_path / "leaf", directory=tmp_path / "run"
    )


def test_a_script_runs_with_its_variables_and_is_removed(site: Site) -> None:
    (site.leaf / "a.sh").write_bytes(b'#!/bin/sh\r\necho "$A $PACKER_BUILD_NAME"\r\n')
    site.shell(script="a.sh", environment_vars=["A=it's"])
    assert site.output() == ["it's qemu"]
    assert (site.directory / "01-a.sh.log").read_text() == "it's qemu\n"
    assert list(site.machine.home.iterdir()) == []


def test_scripts_run_one_after_the_other_and_stay_when_asked(site: Site) -> None:
    for name in ("a.sh", "b.sh"):
        (site.leaf / name).write_text(f"echo {name}\n")
    site.shell(scripts=["a.sh", "b.sh"], execute_command="", skip_clean=True)
    assert site.output() == ["a.sh", "b.sh"]
    (left,) = site.machine.home.iterdir()
    assert left.name == "script_1.sh"
    assert left.stat().st_mode & 0o777 == 0o755


def test_variables_can_come_from_a_file(site: Site) -> None:
    site.shell("echo $A", environment_vars=["A=b c"], use_env_var_file=True)
    assert site.output() == ["b c"]
    assert list(site.machine.home.iterdir()) == []


def test_inline_stops_at_the_first_failure(site: Site) -> None:
    message = site.failure("echo one", "false", "echo two")
    assert "inline (provisioner 1) failed with exit status 1" in message
    assert site.output() == ["one"]


def test_other_exit_codes_can_be_valid(site: Site) -> None:
    site.shell("exit 3", valid_exit_codes=[0, 3])
    assert "exit status 4" in site.failure("exit 4", valid_exit_codes=[0, 3])


def test_a_full_disk_is_recognised_whatever_the_exit_code(site: Site) -> None:
    message = site.failure("echo 'tar: write error: No space left on device'", "exit 2")
    assert "filled the disk" in message
    assert "raise disk_size" in message


def test_secrets_reach_neither_log_nor_message(site: Site) -> None:
    site.secrets = ("hunter2",)
    message = site.failure("echo pass=hunter2; exit 1")
    assert "pass=<sensitive>" in message
    assert "hunter2" not in message + (site.directory / "01-inline.log").read_text()


def test_a_provisioner_is_tried_again(site: Site) -> None:
    site.shell("test -e tried || { touch tried; exit 1; }", max_retries=2)
    assert [event.kind for event in site.events].count(EventKind.RETRY) == 1
    site.failure("exit 1", max_retries=1)


def test_a_timeout_ends_a_script_with_its_last_lines(site: Site) -> None:
    message = site.failure("echo waiting", "sleep 60", timeout="1s")
    assert "longer than its timeout of 1 s" in message
    assert "waiting" in message


def test_a_stop_of_the_run_is_no_failure_of_the_script(site: Site) -> None:
    site.cancellation.cancel()
    with pytest.raises(Interrupted):
        site.shell("sleep 60", timeout="5s")


def test_a_lost_connection_must_be_expected(site: Site) -> None:
    site.machine.losses = ["script_1"]
    assert '"expect_disconnect": true' in site.failure("reboot")
    site.shell("reboot", expect_disconnect=True)
    site.shell("reboot", valid_exit_codes=[0, DISCONNECTED])
    assert site.machine.ready >= 2


def test_a_machine_that_ended_is_named_instead(site: Site) -> None:
    site.machine.losses = ["script_1"]
    site.dies = True
    with pytest.raises(InfrastructureError, match="QEMU ended"):
        site.shell("poweroff", expect_disconnect=True)


def test_an_uploaded_file_gets_its_permissions_less_the_umask(site: Site) -> None:
    before = os.umask(0o027)
    try:
        (site.leaf / "f").write_text("new")
        (site.leaf / "f").chmod(0o775)
        old = site.machine.home / "old"
        old.write_text("old")
        old.chmod(0o600)
        site.upload("f", "fresh")
        site.upload("f", "old")
        site.upload("f", "~/")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in site.machine.home.iterdir()}
    assert modes == {"fresh": 0o750, "old": 0o600, "f": 0o750}
    assert old.read_text() == "new"


def test_a_trailing_slash_decides_about_a_directory(site: Site) -> None:
    (site.leaf / "d" / "sub").mkdir(parents=True)
    (site.leaf / "d" / "sub" / "x").write_text("1")
    (site.leaf / "d" / "link").symlink_to("sub/x")
    for name in ("into", "content"):
        (site.machine.home / name).mkdir()
    site.upload("d", "into")
    site.upload("d/", "content")
    site.upload("d", "made")
    home = site.machine.home
    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    tree = ("link", "sub/x")
    assert found == {f"{top}/{name}" for top in ("into/d", "content", "made") for name in tree}
    assert not (home / "content" / "link").is_symlink()


def test_a_place_that_is_not_there_is_named(site: Site) -> None:
    (site.leaf / "f").write_text("x")
    with pytest.raises(BuildFailed, match="cannot be put into the machine"):
        site.upload("f", "no/such/place")


def test_downloads_land_in_the_run_directory(site: Site) -> None:
    (site.machine.home / "log").mkdir()
    (site.machine.home / "log" / "a").write_text("1")
    for source, destination in (("log/a", "one"), ("log/a", "dir/"), ("log/", "tree")):
        site.provision(
            FileProvisioner(source=source, destination=destination, direction="download")
        )
    found = {str(p.relative_to(site.directory)) for p in site.directory.rglob("*") if p.is_file()}
    assert found == {"one", "dir/a", "tree/log/a"}
    with pytest.raises(BuildFailed, match="no patterns"):
        site.provision(FileProvisioner(source="l*", destination="x", direction="download"))


def test_the_local_machine_reports_failures_as_a_real_one_does(site: Site) -> None:
    with pytest.raises(CommandFailed):
        site.machine.run(["false"])
