"""Scripts of `shell` provisioners: uploaded, run, judged and removed as Packer 1.6.6 does."""

import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from osqual.builders.provisioners import DISCONNECTED, ShellProvisioner
from osqual.builders.transfers import send_file
from osqual.builders.workshop import NO_SPACE, Workshop, not_prepared
from osqual.effects.scope import RunScope
from osqual.errors import BuildFailed, CommandFailed, TimeLimitExceeded
from osqual.events import EventKind
from osqual.ssh.machine import ConnectionLost

TAIL_LINES = 20
RETRY_EVERY_S = 1.0
COMMAND_TIMEOUT_S = 300.0
# Scripts have the provisioner's limit and the step's; no other one.
UNLIMITED_S = 7 * 24 * 3600.0


@dataclass(kw_only=True)
class _ScriptLog:
    """Takes the lines of a script: into its log, to the subscribers, and the last ones kept."""

    name: str
    stream: IO[str]
    secrets: tuple[str, ...]
    scope: RunScope
    last: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    disk_full: bool = False

    def line(self, text: str) -> None:
        for secret in self.secrets:
            text = text.replace(secret, "<sensitive>")
        self.disk_full = self.disk_full or NO_SPACE in text
        self.last.append(text)
        self.stream.write(text + "\n")
        self.stream.flush()
        self.scope.emit(EventKind.OUTPUT, text, source=self.name)


def run_scripts(
    provisioner: ShellProvisioner, number: int, shop: Workshop, scope: RunScope
) -> None:
    """Run every script of a provisioner. Raises BuildFailed."""
    var_file = _upload_var_file(provisioner, number, shop, scope)
    if provisioner.inline:
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
            script.write(provisioner.inline_script)
            script.flush()
            _run_script("inline", Path(script.name), provisioner, number, var_file, shop, scope)
    for name in provisioner.files:
        path = shop.find_file(name)
        _run_script(PurePosixPath(name).name, path, provisioner, number, var_file, shop, scope)
    if var_file and not provisioner.skip_clean:
        _again(provisioner, shop, scope, lambda: _remove(var_file, shop))
    if provisioner.pause_after:
        scope.progress(f"pausing {provisioner.pause_after:g} s after provisioner {number}")
        scope.cancellation.sleep(provisioner.pause_after)


def _upload_var_file(
    provisioner: ShellProvisioner, number: int, shop: Workshop, scope: RunScope
) -> str:
    if not provisioner.use_env_var_file:
        return ""
    remote = f"{provisioner.remote_folder}/varfile_{number}.sh"
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as stream:
        stream.write(provisioner.variables(shop.packer_variables))
        stream.flush()
        path = Path(stream.name)
        _again(
            provisioner,
            shop,
            scope,
            lambda: send_file(path, remote, 0o600, shop, scope, exact=True),
        )
    return remote


def _run_script(
    name: str,
    path: Path,
    provisioner: ShellProvisioner,
    number: int,
    var_file: str,
    shop: Workshop,
    scope: RunScope,
) -> None:
    scope.progress(f"provisioner {number}: {name}", source=name)
    remote = provisioner.remote_path or (
        f"{provisioner.remote_folder}/{provisioner.remote_file or f'script_{number}.sh'}"
    )
    _upload_script(path, remote, provisioner, shop, scope)
    command = provisioner.command(
        variables=provisioner.variables(shop.packer_variables), path=remote, var_file=var_file
    )
    shop.directory.mkdir(parents=True, exist_ok=True)
    log_path = shop.directory / f"{number:02}-{name}.log"
    with log_path.open("a", encoding="utf-8") as stream:
        log = _ScriptLog(name=name, stream=stream, secrets=shop.secrets, scope=scope)
        status = _execute(command, log, provisioner, shop, scope)
    _judge(status, log, log_path, number, provisioner)
    if status == DISCONNECTED or provisioner.expect_disconnect:
        _wait_settled(provisioner.start_retry_timeout, shop, scope)
    if not provisioner.skip_clean:
        _again(provisioner, shop, scope, lambda: _remove(remote, shop))


def _upload_script(
    path: Path, remote: str, provisioner: ShellProvisioner, shop: Workshop, scope: RunScope
) -> None:
    content = path.read_bytes()
    if not provisioner.binary:
        content = content.replace(b"\r\n", b"\n")
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(content)
        stream.flush()
        local = Path(stream.name)
        _again(
            provisioner,
            shop,
            scope,
            lambda: send_file(local, remote, 0o755, shop, scope, exact=True),
        )


def _execute(
    command: str,
    log: _ScriptLog,
    provisioner: ShellProvisioner,
    shop: Workshop,
    scope: RunScope,
) -> int:
    """The exit status, or Packer's number for a lost connection."""
    try:
        done = shop.machine.run_shell(
            command,
            check=False,
            on_line=log.line,
            timeout_s=UNLIMITED_S,
            cancellation=scope.cancellation,
        )
    except ConnectionLost as error:
        shop.machine.close()
        shop.watch()
        scope.progress(f"{log.name}: the connection ended", reason=error.details)
        return DISCONNECTED
    except TimeLimitExceeded as error:
        raise TimeLimitExceeded(
            f"{log.name} was ended: {error.brief}",
            details="\n".join(["Its last lines:", *log.last]),
            resolution=error.resolution,
        ) from error
    return done.exit_status


def _judge(
    status: int, log: _ScriptLog, path: Path, number: int, provisioner: ShellProvisioner
) -> None:
    if status in provisioner.valid_exit_codes:
        return
    if status == DISCONNECTED and provisioner.expect_disconnect:
        return
    details = "\n".join([*log.last, f"(all of it: {path})"])
    if log.disk_full:
        raise BuildFailed(
            f"{log.name} (provisioner {number}) filled the disk of the machine.",
            details=details,
            resolution="raise disk_size in the template, or let the script need less space",
        )
    if status == DISCONNECTED:
        raise BuildFailed(
            f"{log.name} (provisioner {number}) lost the connection to the machine.",
            details=details,
            resolution="if the script restarts the machine or its network, add "
            '"expect_disconnect": true to the provisioner',
        )
    raise BuildFailed(
        f"{log.name} (provisioner {number}) failed with exit status {status}.",
        details=details,
        resolution="correct the script; --keep on-failure keeps the machine to look around in",
    )


def _remove(remote: str, shop: Workshop) -> None:
    shop.machine.run(["rm", "-f", remote], timeout_s=COMMAND_TIMEOUT_S)


def _wait_settled(timeout_s: float, shop: Workshop, scope: RunScope) -> None:
    """Wait until the machine answers and is not on its way down."""
    token = scope.cancellation.limited(timeout_s, "waiting for the machine to come back")
    while True:
        shop.machine.wait_ready(token.remaining_s() or 0.0, shop.watch)
        try:
            state = shop.machine.run(
                ["systemctl", "is-system-running"], check=False, timeout_s=COMMAND_TIMEOUT_S
            )
        except ConnectionLost:
            shop.machine.close()
            continue
        if state.stdout.strip() != "stopping":
            return
        token.sleep(RETRY_EVERY_S)


def _again(
    provisioner: ShellProvisioner, shop: Workshop, scope: RunScope, action: Callable[[], object]
) -> None:
    """Try until `start_retry_timeout`: the machine may be restarting."""
    token = scope.cancellation.limited(
        provisioner.start_retry_timeout, "waiting for the machine (start_retry_timeout)"
    )
    while True:
        try:
            action()
            return
        except CommandFailed as error:
            raise not_prepared(error) from error
        except ConnectionLost:
            shop.machine.close()
            shop.watch()
        token.sleep(RETRY_EVERY_S)
        shop.machine.wait_ready(token.remaining_s() or 0.0, shop.watch)
