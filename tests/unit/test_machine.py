"""Nodes over a stand-in for ssh: it keeps the rules of multiplexing and runs commands here."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osqual.cancellation import Cancellation
from osqual.errors import (
    CommandFailed,
    InfrastructureError,
    Interrupted,
    TimeLimitExceeded,
)
from osqual.model import Node, Role, SshIdentity
from osqual.ssh.banner import wait_banner
from osqual.ssh.machine import (
    ConnectionLost,
    HostKeyMismatch,
    Machine,
    Patience,
    close_connections,
    known_hosts_line,
)

FAKE_SSH = r"""#!/bin/sh
# Options as osqual gives them; `state` says how the node behaves.
echo "$*" >> "$FAKE_SSH/log"
mode=run control=
while [ $# -gt 0 ]; do
  case $1 in
    -O) mode=$2; shift ;;
    -fN) mode=master ;;
    -T) ;;
    -o) case $2 in ControlPath=*) socket=${2#ControlPath=} ;; esac; shift ;;
    -F|-p) shift ;;
    --) shift; break ;;
    *) ;;
  esac
  shift
done
state=$(cat "$FAKE_SSH/state" 2>/dev/null)
case $mode in
  check) [ -e "$socket" ] && [ "$state" != lost ] ;;
  exit) rm -f "$socket" ;;
  master)
    case $state in
      hanging) sleep 60 ;;
      refused) echo "Connection refused" >&2; exit 255 ;;
      denied) echo "Permission denied (publickey)." >&2; exit 255 ;;
      mismatch) echo "Host key verification failed." >&2; exit 255 ;;
    esac
    : > "$socket" ;;
  run)
    if [ "$state" = lost ]; then echo "Connection closed by remote host" >&2; exit 255; fi
    exec sh -c "$1" ;;
esac
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "fake"
    directory.mkdir()
    (directory / "ssh").write_text(FAKE_SSH)
    (directory / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SSH", str(directory))
    return directory


class Greeter(threading.Thread):
    """Greets like an ssh server from its `after`-th connection on; earlier ones are hung up on."""

    def __init__(self, after: int = 0) -> None:
        super().__init__(daemon=True)
        self.after = after
        self.seen = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.seen += 1
                if self.seen > self.after:
                    connection.sendall(b"SSH-2.0-Test\r\n")

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join(5)


@pytest.fixture
def greeter() -> Iterator[Greeter]:
    served = Greeter(after=2)
    served.start()
    yield served
    served.close()


@pytest.fixture
def machine(fake: Path, tmp_path: Path, greeter: Greeter) -> Machine:
    return make_machine(tmp_path, greeter.port)


def make_machine(
    tmp_path: Path, port: int = 1, *, user_config: bool = False, patience: Patience | None = None
) -> Machine:
    node = Node(
        name="master-1",
        role=Role.MASTER,
        ssh_host="127.0.0.1",
        ssh_port=port,
        ssh_user="admin",
        private_address="10.0.0.1",
        public_address="10.0.0.1",
    )
    identity = SshIdentity(
        private_key=tmp_path / "a key",
        public_key=tmp_path / "a key.pub",
        known_hosts=tmp_path / "known_hosts",
    )
    return Machine(
        node,
        identity,
        tmp_path,
        Cancellation(),
        user_config=user_config,
        patience=patience or Patience(),
    )


def log(fake: Path) -> list[str]:
    return (fake / "log").read_text().splitlines()


def test_every_connection_checks_the_pinned_host_key(machine: Machine, fake: Path) -> None:
    machine.run(["true"])
    assert len(log(fake)) == 2  # the shared connection, then the command
    for line in log(fake):
        assert "StrictHostKeyChecking=yes" in line
        assert "HostKeyAlias=master-1" in line
        assert 'UserKnownHostsFile="' in line
        assert "IdentitiesOnly=yes" in line
        assert line.startswith("-F none ")


def test_the_users_own_ssh_configuration_is_read_when_asked_for(tmp_path: Path) -> None:
    argv = make_machine(tmp_path, user_config=True).ssh_argv()
    assert "-F" not in argv
    assert argv[-3:] == ["-p", "1", "admin@127.0.0.1"]


def test_arguments_reach_the_node_as_they_are(machine: Machine) -> None:
    odd = ["a b", "$HOME", "'", '"', "*", ";echo", "ü", ""]
    done = machine.run(["printf", "<%s>", *odd])
    assert done.stdout == "".join(f"<{word}>" for word in odd)


def test_environment_input_and_streaming(machine: Machine) -> None:
    seen: list[str] = []
    script = 'cat; echo "$NAME" >&2'
    machine.run(["sh", "-c", script], env={"NAME": "a b"}, stdin="given\n", on_line=seen.append)
    assert seen == ["given", "a b"]


def test_sudo_is_for_ordinary_users(machine: Machine, fake: Path) -> None:
    (fake / "sudo").write_text('#!/bin/sh\nshift 2; echo "as root: $*"\n')
    (fake / "sudo").chmod(0o755)
    assert machine.run(["id", "-u"], sudo=True).stdout == "as root: id -u\n"


def test_a_failing_command_is_told_from_a_lost_connection(machine: Machine, fake: Path) -> None:
    with pytest.raises(CommandFailed, match="exit status 3") as failed:
        machine.run(["sh", "-c", "echo reason >&2; exit 3"])
    assert failed.value.exit_status == 3
    assert "reason" in failed.value.details
    assert machine.run(["sh", "-c", "exit 255"], check=False).exit_status == 255
    (fake / "state").write_text("lost")
    with pytest.raises(ConnectionLost, match="master-1") as lost:
        machine.run(["true"], check=False)
    assert "Connection closed" in lost.value.details


def test_files_go_there_and_back_whole(machine: Machine, tmp_path: Path) -> None:
    local, there = tmp_path / "in", tmp_path / "node" / "deep dir" / "file"
    local.write_bytes(bytes(range(256)) * 100)
    machine.put(local, str(there), mode=0o750)
    assert there.read_bytes() == local.read_bytes()
    assert there.stat().st_mode & 0o777 == 0o750
    assert [path.name for path in there.parent.iterdir()] == ["file"]
    machine.get(str(there), tmp_path / "back" / "file")
    assert (tmp_path / "back" / "file").read_bytes() == local.read_bytes()


def test_a_download_that_fails_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        machine.get(str(tmp_path / "missing"), tmp_path / "back" / "file")
    assert list((tmp_path / "back").iterdir()) == []


def test_a_tree_keeps_its_modes(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "script").write_text("x")
    (tmp_path / "tree" / "sub" / "script").chmod(0o755)
    machine.put_tree(tmp_path / "tree", str(tmp_path / "there"))
    assert (tmp_path / "there" / "sub" / "script").stat().st_mode & 0o777 == 0o755


def test_waiting_ends_when_the_server_greets(machine: Machine, greeter: Greeter) -> None:
    machine.wait_ready(30)
    assert greeter.seen >= 3
    assert machine.is_connected()


def test_waiting_ends_at_once_when_the_machine_is_dead(machine: Machine) -> None:
    def dead() -> None:
        raise InfrastructureError("it is dead")

    with pytest.raises(InfrastructureError, match="it is dead"):
        machine.wait_ready(30, dead)


def test_a_login_that_is_not_possible_yet_is_tried_again(machine: Machine, fake: Path) -> None:
    (fake / "state").write_text("denied")
    threading.Timer(1.0, lambda: (fake / "state").write_text("")).start()
    machine.wait_ready(60)


@pytest.mark.parametrize(
    ("state", "said"), [("denied", "Permission denied"), ("refused", "refused")]
)
def test_a_limit_tells_what_ssh_said_last(
    machine: Machine, fake: Path, state: str, said: str
) -> None:
    (fake / "state").write_text(state)
    details, limit_s = "", 1.5
    while not details and limit_s < 100:  # a starved machine may not get ssh to speak in time
        with pytest.raises(TimeLimitExceeded, match="ssh on master-1") as limit:
            machine.wait_ready(limit_s)
        details, limit_s = limit.value.details, limit_s * 4
    assert said in details


def test_a_login_that_hangs_is_given_up_and_tried_again(
    fake: Path, tmp_path: Path, greeter: Greeter
) -> None:
    machine = make_machine(tmp_path, greeter.port, patience=Patience(login_s=0.5))
    (fake / "state").write_text("hanging")
    with pytest.raises(ConnectionLost, match="master-1"):
        machine.connect()
    threading.Timer(1.0, lambda: (fake / "state").write_text("")).start()
    machine.wait_ready(60)


def test_a_reboot_ends_with_a_new_boot(fake: Path, tmp_path: Path, greeter: Greeter) -> None:
    machine = make_machine(tmp_path, greeter.port, patience=Patience(greeting_s=0.3))
    (fake / "sudo").write_text('#!/bin/sh\nshift 2; exec "$@"\n')
    (fake / "systemctl").write_text(f'#!/bin/sh\necho "$1" > {fake}/rebooted\n')
    (fake / "cat").write_text(
        f"""#!/bin/sh
case $1 in
  /proc/sys/kernel/random/boot_id) [ -e {fake}/rebooted ] && echo two || echo one ;;
  *) exec /bin/cat "$@" ;;
esac
"""
    )
    for name in ("sudo", "systemctl", "cat"):
        (fake / name).chmod(0o755)
    assert machine.boot_id() == "one"
    greeter.after = greeter.seen + 4  # it goes away for a while
    machine.reboot(60)
    assert machine.boot_id() == "two"
    assert (fake / "rebooted").read_text() == "reboot\n"


def test_another_host_key_is_a_named_error(machine: Machine, fake: Path) -> None:
    (fake / "state").write_text("mismatch")
    with pytest.raises(HostKeyMismatch, match="another host key"):
        machine.run(["true"])


def test_one_connection_serves_several_machines_objects(
    machine: Machine, fake: Path, tmp_path: Path, greeter: Greeter
) -> None:
    machine.run(["true"])
    make_machine(tmp_path, greeter.port).run(["true"])
    assert sum("-fN" in line for line in log(fake)) == 1
    machine.close()
    assert not machine.is_connected()
    machine.close()


def test_a_later_process_ends_all_connections(machine: Machine, tmp_path: Path) -> None:
    machine.run(["true"])
    close_connections(tmp_path)
    assert list(tmp_path.glob("*.ssh")) == []


def test_waiting_for_a_greeting_can_be_cancelled() -> None:
    token = Cancellation()
    threading.Timer(0.3, token.cancel).start()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(Interrupted):
            wait_banner("127.0.0.1", silent.getsockname()[1], token, lambda: None)
    assert time.monotonic() - started < 10


def test_a_server_that_never_greets_does_not_block_one_that_comes_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            first, _ = server.accept()  # accepted and left without an answer
            second, _ = server.accept()
            second.sendall(b"SSH-2.0-Test\r\n")
            time.sleep(0.5)
            first.close()
            second.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        token = Cancellation().limited(20, "test")
        wait_banner("127.0.0.1", server.getsockname()[1], token, lambda: True)
        thread.join()


def test_nobody_connects_before_the_machines_network_is_up() -> None:
    """What connects earlier reaches a booting server all at once, as soon as it is up."""
    seen: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        up_at = time.monotonic() + 1.5

        def serve() -> None:
            client, _ = server.accept()
            seen.append(time.monotonic())
            client.sendall(b"SSH-2.0-Test\r\n")
            client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        token = Cancellation().limited(60, "test")
        wait_banner("127.0.0.1", server.getsockname()[1], token, lambda: time.monotonic() >= up_at)
        thread.join()
    assert seen[0] >= up_at


def test_a_host_key_is_pinned_under_the_nodes_name() -> None:
    assert known_hosts_line("master-1", "ssh-ed25519 AAAA root@x\n") == (
        "master-1 ssh-ed25519 AAAA\n"
    )
