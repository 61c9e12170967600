"""A node over OpenSSH: one multiplexed connection, host keys always checked.

Made from values alone (node, keys, socket directory), so that any process of a run can have one.
"""

import re
import shlex
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from osqual.cancellation import Cancellation
from osqual.errors import (
    CommandFailed,
    InfrastructureError,
    OsqualError,
    TimeLimitExceeded,
    TransientError,
)
from osqual.model import Node, SshIdentity
from osqual.processes.process import Completed, run, tail
from osqual.ssh.banner import Watch, wait_banner

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT_S = 30.0
TRANSFER_TIMEOUT_S = 1800.0
POLL_S = 0.25
PROXY_POLL_S = 3.0
"""Behind another host each look is a login there, and servers count those."""
# OpenSSH's own exit status for a connection that failed (ssh(1), EXIT STATUS).
_SSH_FAILED = 255


class ConnectionLost(TransientError):
    """The connection to a node could not be made or broke: says nothing about the command."""


class HostKeyMismatch(InfrastructureError):
    """A node showed another host key than the one that was made for it."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long single things may take, in seconds; generous, for machines under emulation."""

    login_s: float = 60.0
    greeting_s: float = 4.0
    """A server that runs greets sooner than this."""
    shutdown_s: float = 60.0
    unsettled_s: float = 120.0
    """sshd may be up before the keys of a first boot are in place; longer is no transition."""


class Machine:
    """Runs commands on one node and moves files to and from it."""

    def __init__(
        self,
        node: Node,
        identity: SshIdentity,
        control_dir: Path,
        cancellation: Cancellation,
        *,
        user_config: bool = False,
        patience: Patience = Patience(),
    ) -> None:
        """`control_dir` must be short (UNIX sockets); `user_config` reads the user's ssh files."""
        self.node = node
        self._identity = identity
        self._socket = control_dir / f"{node.name}.ssh"
        self._lock = FileLock(control_dir / f"{node.name}.lock")
        self._cancellation = cancellation
        self._user_config = user_config
        self._patience = patience

    # Connection

    def options(self) -> list[str]:
        """The ssh options that every connection to this node shares."""
        identity = self._identity
        settings = {
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": _config_quote(identity.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": self.node.name,
            "IdentityFile": _config_quote(identity.private_key),
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ForwardAgent": "no",
            "ConnectTimeout": str(int(CONNECT_TIMEOUT_S)),
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "8",
            "LogLevel": "ERROR",
        }
        if not self._user_config:
            settings["IdentityAgent"] = "none"
        if self.node.ssh_host == LOOPBACK:
            # Nobody listens there whom a quantum computer would help, and on an emulated machine
            # OpenSSH's default costs a third of the login.
            settings["KexAlgorithms"] = "^curve25519-sha256"
        if self.node.ssh_proxy:
            settings["ProxyCommand"] = self.node.ssh_proxy
        config = [] if self._user_config else ["-F", "none"]
        return [*config, *(word for key in settings for word in ("-o", f"{key}={settings[key]}"))]

    def ssh_argv(self) -> list[str]:
        """A command for a person's terminal, without the shared connection."""
        return ["ssh", *self.options(), *self._target()]

    def _client(self, *extra: str) -> list[str]:
        return [
            "ssh",
            *self.options(),
            "-o",
            f"ControlPath={self._socket}",
            *extra,
            *self._target(),
        ]

    def _target(self) -> list[str]:
        node = self.node
        return ["-p", str(node.ssh_port), f"{node.ssh_user}@{node.ssh_host}"]

    def first_host_key(self, cancellation: Cancellation) -> str:
        """The host key that the node shows, as `type key`; empty while it shows none.

        Nobody is logged in for it.
        """
        known_hosts = self._identity.known_hosts.with_name(f"first-{self.node.name}")
        known_hosts.unlink(missing_ok=True)
        overriding = {  # of two settings, ssh takes the first
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": _config_quote(known_hosts),
            "PreferredAuthentications": "none",
            "HashKnownHosts": "no",
        }
        options = [word for key in overriding for word in ("-o", f"{key}={overriding[key]}")]
        argv = ["ssh", *options, *self.options(), *self._target(), "true"]
        try:
            run(argv, timeout_s=self._patience.login_s, cancellation=cancellation, check=False)
        except TimeLimitExceeded:
            cancellation.check()  # the caller's limit, or only that of this attempt
        if not known_hosts.exists():
            return ""
        found = known_hosts.read_text(encoding="utf-8").split(maxsplit=1)
        known_hosts.unlink()
        return found[1].strip() if len(found) == 2 else ""

    def is_connected(self) -> bool:
        """Whether the shared connection is open."""
        return self._control("check")

    def close(self) -> None:
        """End the shared connection: also after the machine was restored or has restarted."""
        self._control("exit")
        self._socket.unlink(missing_ok=True)

    def _control(self, command: str) -> bool:
        if not self._socket.exists():
            return False
        argv = self._client("-O", command)
        with suppress(OsqualError):
            return run(argv, timeout_s=10, check=False).exit_status == 0
        return False

    def connect(self, cancellation: Cancellation | None = None) -> None:
        """Open the shared connection unless it is open.

        Raises HostKeyMismatch, or ConnectionLost with ssh's own words.
        """
        if self.is_connected():
            return
        token = cancellation or self._cancellation
        with self._lock.acquire(timeout=CONNECT_TIMEOUT_S * 2):
            if self.is_connected():
                return
            self._socket.unlink(missing_ok=True)
            # ControlPersist bounds what a process that was killed leaves behind.
            argv = self._client("-fN", "-o", "ControlMaster=yes", "-o", "ControlPersist=600")
            try:
                done = run(argv, timeout_s=self._patience.login_s, cancellation=token, check=False)
            except TimeLimitExceeded as error:
                token.check()  # the caller's limit, or only that of this attempt
                raise self._connection_error(
                    "The server greeted, but did not log us in."
                ) from error
        if done.exit_status != 0:
            raise self._connection_error(done.stderr)

    def _connection_error(self, stderr: str) -> InfrastructureError:
        if re.search(r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED", stderr):
            return HostKeyMismatch(
                f"{self.node.name} shows another host key than the one made for it.",
                details=tail(stderr),
                resolution="something else answers on "
                f"{self.node.ssh_host}:{self.node.ssh_port}; start a new run",
            )
        return ConnectionLost(
            f"The connection to {self.node.name} failed.",
            details=tail(stderr),
            resolution="look at the node's console; `osqual logs` says where it is",
        )

    def wait_ready(self, timeout_s: float, watch: Watch = lambda: None) -> None:
        """Wait until commands can be run.

        What only means "not up yet" is tried again; raises TimeLimitExceeded with ssh's last words.
        """
        what = f"waiting for ssh on {self.node.name}"
        failures: list[InfrastructureError] = []
        try:
            self._connect_when_up(
                self._cancellation.limited(timeout_s, what),
                watch,
                failures,
            )
        except TimeLimitExceeded as error:
            details = failures[-1].details if failures else ""
            raise TimeLimitExceeded(
                error.brief, details=details, resolution=error.resolution
            ) from error

    def _connect_when_up(
        self,
        token: Cancellation,
        watch: Watch,
        failures: list[InfrastructureError],
    ) -> None:
        unsettled_since: float | None = None
        while True:
            if not self.node.ssh_proxy:  # behind it, only ssh itself can find out
                wait_banner(self.node.ssh_host, self.node.ssh_port, token, watch)
            try:
                self.connect(token)
                return
            except (ConnectionLost, HostKeyMismatch) as error:
                failures.append(error)
                refused = isinstance(error, HostKeyMismatch) or "Permission denied" in error.details
                unsettled_since = (unsettled_since or time.monotonic()) if refused else None
                if (
                    unsettled_since
                    and time.monotonic() - unsettled_since > self._patience.unsettled_s
                ):
                    raise
            watch()
            token.sleep(PROXY_POLL_S if self.node.ssh_proxy else POLL_S)

    # Commands

    def run(
        self,
        argv: Sequence[str],
        *,
        sudo: bool = False,
        env: Mapping[str, str] | None = None,
        stdin: str | Path | None = None,
        stdout: Path | None = None,
        timeout_s: float = 60.0,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> Completed:
        """Run a program on the node; arguments reach it as they are.

        Raises CommandFailed for its own exit status (when `check`), ConnectionLost when there is
        none, and what `process.run` raises. See there for `stdin`, `stdout` and `on_line`.
        """
        words = list(argv)
        if env:
            words = ["env", *(f"{name}={value}" for name, value in env.items()), *words]
        if sudo and self.node.ssh_user != "root":
            words = ["sudo", "-n", "--", *words]
        return self.run_shell(
            shlex.join(words),
            stdin=stdin,
            stdout=stdout,
            timeout_s=timeout_s,
            check=check,
            on_line=on_line,
            cancellation=cancellation,
        )

    def run_shell(
        self,
        command: str,
        *,
        stdin: str | Path | None = None,
        stdout: Path | None = None,
        timeout_s: float = 60.0,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> Completed:
        """Run a command line in the login shell of the node's user; otherwise like `run`."""
        token = cancellation or self._cancellation
        self.connect(token)
        done = run(
            [*self._client("-T", "-o", "ControlMaster=no"), "--", command],
            stdin=stdin,
            stdout=stdout,
            on_line=on_line,
            timeout_s=timeout_s,
            cancellation=token,
            check=False,
        )
        if done.exit_status == _SSH_FAILED and not self.is_connected():
            raise self._connection_error(done.stderr or done.stdout)
        if check and done.exit_status != 0:
            raise CommandFailed(
                f"A command on {self.node.name} failed with exit status {done.exit_status}.",
                exit_status=done.exit_status,
                details=f"{command}\n{tail(done.stderr or done.stdout)}",
            )
        return done

    def forward(self, local_socket: Path, remote: str) -> None:
        """Reach a socket of the node (a path, or address:port) through a local UNIX socket.

        It lasts as long as the shared connection: until `close`, a restart or the node's end.
        """
        self.connect()
        # The connection outlives processes: an earlier one may have asked for the same, and then
        # it believes that nothing is to do although that one's socket is gone.
        for command in ("cancel", "forward"):
            local_socket.unlink(missing_ok=True)
            done = run(
                self._client("-O", command, "-L", f"{local_socket}:{remote}"),
                timeout_s=CONNECT_TIMEOUT_S,
                cancellation=self._cancellation,
                check=False,
            )
        if done.exit_status != 0:
            raise self._connection_error(done.stderr)

    def boot_id(self) -> str:
        """What tells one boot of the node from the next."""
        return self.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()

    def reboot(self, timeout_s: float, watch: Watch = lambda: None) -> None:
        """Restart the node and wait until it answers from a new boot."""
        before = self.boot_id()
        token = self._cancellation.limited(timeout_s, f"rebooting {self.node.name}")
        # In the background: the network may go before the connection is closed, and then only a
        # timeout would end it.
        later = "(sleep 1; systemctl reboot) </dev/null >/dev/null 2>&1 &"
        self.run(["sh", "-c", later], sudo=True)
        self.close()
        self._wait_gone(token, watch)
        while True:
            self.close()
            self.wait_ready(token.remaining_s() or 0.0, watch)
            with suppress(ConnectionLost):
                if self.boot_id() != before:
                    return
            token.sleep(1.0)

    def _wait_gone(self, token: Cancellation, watch: Watch) -> None:
        """Wait until the server stops answering: one that shuts down may keep us hanging."""
        give_up = time.monotonic() + self._patience.shutdown_s
        while time.monotonic() < give_up:
            soon = token.limited(self._patience.greeting_s, f"a greeting of {self.node.name}")
            try:
                wait_banner(self.node.ssh_host, self.node.ssh_port, soon, watch)
            except TimeLimitExceeded:
                token.check()
                return
            token.sleep(1.0)

    # Files

    def put(self, local: Path, remote: str, *, mode: int = 0o644, sudo: bool = False) -> None:
        """Copy a file to the node, whole or not at all; missing directories are made."""
        temporary = f"{remote}.osqual-part"
        script = (
            'umask 077 && mkdir -p -- "$1" && cat > "$2" && chmod "$3" "$2" && mv -f -- "$2" "$4"'
        )
        parent = str(PurePosixPath(remote).parent)
        self.run(
            ["sh", "-c", script, "put", parent, temporary, f"{mode:o}", remote],
            sudo=sudo,
            stdin=local,
            timeout_s=TRANSFER_TIMEOUT_S,
        )

    def put_tree(self, local: Path, remote: str, *, sudo: bool = False) -> None:
        """Copy what is in a directory into a directory of the node, modes kept, owner the user."""
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                tar.add(local, arcname=".", filter=_without_owner)
            archive.flush()
            script = 'mkdir -p -- "$1" && tar -xof - -C "$1"'
            self.run(
                ["sh", "-c", script, "put-tree", remote],
                sudo=sudo,
                stdin=Path(archive.name),
                timeout_s=TRANSFER_TIMEOUT_S,
            )

    def get(self, remote: str, local: Path, *, sudo: bool = False) -> None:
        """Copy a file from the node; nothing is left at `local` when that fails."""
        local.parent.mkdir(parents=True, exist_ok=True)
        part = local.with_name(f".{local.name}.part")
        try:
            self.run(["cat", "--", remote], sudo=sudo, stdout=part, timeout_s=TRANSFER_TIMEOUT_S)
            part.replace(local)
        finally:
            part.unlink(missing_ok=True)


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _config_quote(path: Path) -> str:
    """A path as an ssh option value: spaces would separate files, and `%` begins a token."""
    return '"{}"'.format(str(path).replace("%", "%%"))


def close_connections(control_dir: Path) -> None:
    """End every shared connection in a socket directory, whichever process opened it."""
    for socket in control_dir.glob("*.ssh"):
        with suppress(OsqualError):
            argv = ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "node"]
            run(argv, timeout_s=10, check=False)
        socket.unlink(missing_ok=True)


def known_hosts_line(node_name: str, public_key: str) -> str:
    """The known_hosts line that pins a node's host key; `Machine` looks it up by the node's name.

    `public_key` is the content of the .pub file.
    """
    algorithm, key, *_ = public_key.split()
    return f"{node_name} {algorithm} {key}\n"
