"""Running provisioners in a machine the way Packer 1.6.6 does."""

import tarfile
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from osqual.builders.provisioners import (
    DISCONNECTED,
    FileProvisioner,
    Provisioner,
    ShellProvisioner,
)
from osqual.errors import BuildFailed, CommandFailed, OsqualError, TimeLimitExceeded
from osqual.events import EventKind
from osqual.machine import ConnectionLost, Machine
from osqual.process import run
from osqual.scope import RunScope

TAIL_LINES = 20
RETRY_EVERY_S = 1.0
# Scripts have the provisioner's limit and the step's; no other one.
UNLIMITED_S = 7 * 24 * 3600.0
TRANSFER_TIMEOUT_S = 1800.0

# What a shell, a package manager or tar says when the guest's disk is full (strerror ENOSPC).
NO_SPACE = "No space left on device"

# Writes standard input like scp's sink: a new file gets the mode, less the user's umask.
_RECEIVE_FILE = """
umask=$(umask)
case $1 in "~/"*) target=$HOME/${1#"~/"};; *) target=$1;; esac
if [ -e "$target" ]; then cat > "$target"; else
    cat > "$target" && chmod "$(printf %o $((0$2 & ~0$umask)))" "$target"; fi
"""

# A directory without a trailing slash goes below the target, or becomes it when there is none.
_RECEIVE_TREE = """
case $1 in "~/"*) target=$HOME/${1#"~/"};; *) target=$1;; esac
if [ ! -d "$target" ] && [ -n "$2" ]; then strip=1; mkdir "$target" || exit 1; fi
tar -x -f - -m --no-same-owner --no-same-permissions --no-overwrite-dir \
    ${strip:+--strip-components=1} -C "$target"
"""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """The machine that is being built, and what provisioners need around it."""

    machine: Machine
    check_alive: Callable[[], None]
    """Raises when the machine itself has ended."""
    find_file: Callable[[str], Path]
    directory: Path
    """Receives a log of each script, and downloads with a relative destination."""
    build_name: str
    secrets: tuple[str, ...] = ()
    """Values of sensitive variables, kept out of logs."""

    @property
    def packer_variables(self) -> Mapping[str, str]:
        """What Packer puts into the environment of every script."""
        return {
            "PACKER_BUILDER_TYPE": "qemu",
            "PACKER_BUILD_NAME": self.build_name,
            # No file server runs; Packer says so like this.
            "PACKER_HTTP_ADDR": "10.0.2.2:0",
            "PACKER_HTTP_IP": "10.0.2.2",
            "PACKER_HTTP_PORT": "0",
        }


def run_provisioner(provisioner: Provisioner, number: int, shop: Workshop, scope: RunScope) -> None:
    """Run one provisioner to its end, with its pause, time limit and retries.

    `number` counts from 1. Raises BuildFailed; Interrupted and the step's limit pass through.
    """
    if provisioner.pause_before:
        scope.progress(f"pausing {provisioner.pause_before:g} s before provisioner {number}")
        scope.cancellation.sleep(provisioner.pause_before)
    for tries_left in range(provisioner.max_retries, -1, -1):
        try:
            _run_limited(provisioner, number, shop, scope)
            return
        except BuildFailed as error:
            if not tries_left:
                raise
            scope.emit(
                EventKind.RETRY,
                f"provisioner {number} failed ({error.brief}); {tries_left} tries left",
            )


def _run_limited(provisioner: Provisioner, number: int, shop: Workshop, scope: RunScope) -> None:
    limited = scope
    if provisioner.timeout:
        what = f"provisioner {number}, which has {provisioner.timeout:g} s by its `timeout`"
        limited = scope.limited(provisioner.timeout, what)
    try:
        if isinstance(provisioner, ShellProvisioner):
            _run_shell(provisioner, number, shop, limited)
        else:
            _run_file(provisioner, number, shop, limited)
    except TimeLimitExceeded as error:
        scope.cancellation.check()  # the step's own limit is not the provisioner's fault
        raise BuildFailed(
            f"Provisioner {number} took longer than its timeout of {provisioner.timeout:g} s."
            if provisioner.timeout
            else f"Provisioner {number} had to wait too long for the machine.",
            details=error.details or error.brief,
            resolution="look at what it was doing: it may hang, or wait for an answer that nobody "
            "gives; otherwise raise `timeout` in the template",
        ) from error


# Scripts


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


def _run_shell(provisioner: ShellProvisioner, number: int, shop: Workshop, scope: RunScope) -> None:
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
        _again(provisioner, shop, scope, lambda: shop.machine.run(["rm", "-f", var_file]))
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
        _again(provisioner, shop, scope, lambda: _send(path, remote, 0o600, shop, scope))
    _again(provisioner, shop, scope, lambda: shop.machine.run(["chmod", "0600", remote]))
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
        _again(provisioner, shop, scope, lambda: shop.machine.run(["rm", "-f", remote]))


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
        _again(provisioner, shop, scope, lambda: _send(local, remote, 0o644, shop, scope))
    _again(provisioner, shop, scope, lambda: shop.machine.run(["chmod", "0755", remote]))


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


def _wait_settled(timeout_s: float, shop: Workshop, scope: RunScope) -> None:
    """Wait until the machine answers and is not on its way down."""
    token = scope.cancellation.limited(timeout_s, "waiting for the machine to come back")
    while True:
        shop.machine.wait_ready(token.remaining_s() or 0.0, shop.check_alive)
        try:
            state = shop.machine.run(["systemctl", "is-system-running"], check=False)
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
            raise _not_prepared(error) from error
        except ConnectionLost:
            shop.machine.close()
            shop.check_alive()
        token.sleep(RETRY_EVERY_S)
        shop.machine.wait_ready(token.remaining_s() or 0.0, shop.check_alive)


def _not_prepared(error: OsqualError) -> BuildFailed:
    full = NO_SPACE in error.details
    return BuildFailed(
        "The disk of the machine is full." if full else "A file cannot be put into the machine.",
        details=error.details,
        resolution="raise disk_size in the template"
        if full
        else "the directory must exist and the ssh user must be allowed to write there",
    )


# Files


def _run_file(provisioner: FileProvisioner, number: int, shop: Workshop, scope: RunScope) -> None:
    for source in provisioner.all_sources:
        arrow = f"{source} => {provisioner.destination}"
        scope.progress(f"provisioner {number}: {provisioner.direction} {arrow}")
        try:
            if provisioner.direction == "download":
                _download(source, provisioner.destination, shop, scope)
            else:
                _upload(source, provisioner.destination, shop, scope)
        except CommandFailed as error:
            raise _not_prepared(error) from error
        except ConnectionLost as error:
            raise BuildFailed(error.brief, details=error.details) from error


def _upload(source: str, destination: str, shop: Workshop, scope: RunScope) -> None:
    local = shop.find_file(source)
    if not local.is_dir():
        target = destination + local.name if destination.endswith("/") else destination
        _send(local, target, local.stat().st_mode & 0o777, shop, scope)
        return
    name = "" if source.endswith("/") else local.name
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
            for item in [local] if name else sorted(local.iterdir()):
                tar.add(item, arcname=name or item.name, filter=_anonymous)
        archive.flush()
        shop.machine.run(
            ["sh", "-c", _RECEIVE_TREE, "receive", destination, name],
            stdin=Path(archive.name),
            timeout_s=TRANSFER_TIMEOUT_S,
            cancellation=scope.cancellation,
        )


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _send(local: Path, remote: str, mode: int, shop: Workshop, scope: RunScope) -> None:
    shop.machine.run(
        ["sh", "-c", _RECEIVE_FILE, "receive", remote, f"{mode:o}"],
        stdin=local,
        timeout_s=TRANSFER_TIMEOUT_S,
        cancellation=scope.cancellation,
    )


def _download(source: str, destination: str, shop: Workshop, scope: RunScope) -> None:
    """A file, or what is in a directory when the source ends with a slash."""
    if any(character in source for character in "*?["):
        raise BuildFailed(
            f"{source}: the layered builder downloads no patterns.",
            resolution="name the directory with a trailing slash, or use --builder packer",
        )
    target = shop.directory / destination
    if not source.endswith("/"):
        if destination.endswith("/"):
            target = target / PurePosixPath(source).name
        shop.machine.get(source, target)
        target.chmod(0o644)
        return
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        argv = ["tar", "-c", "-h", "-f", "-", "-C", str(PurePosixPath(source).parent)]
        shop.machine.run(
            [*argv, PurePosixPath(source).name],
            stdout=Path(archive.name),
            timeout_s=TRANSFER_TIMEOUT_S,
            cancellation=scope.cancellation,
        )
        run(["tar", "-x", "-f", archive.name, "--no-same-owner", "-C", str(target)])
