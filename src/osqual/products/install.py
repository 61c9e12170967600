"""Installing a product: its scripts, in order, over ssh, on the nodes that each is for.

A script is uploaded as a file and gets its parameters as environment variables from another file,
so that neither is ever parsed as a command line and no secret stands in one.
"""

import queue
import re
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import InstallFailed, Interrupted, OsqualError, TimeLimitExceeded
from osqual.events import EventKind
from osqual.model import Cluster, Configuration, Node
from osqual.processes.process import Completed, tail
from osqual.products.definition import InstallStep, Product, cluster_environment
from osqual.secrecy import Secrecy

SETUP_TIMEOUT_S = 1800.0
TAIL_LINES = 15
VERSION_TIMEOUT_S = 60.0
REDACTED = "[secret]"
_DRAIN_S = 0.1

# Constant, and everything that varies reaches it as arguments. A relative path keeps it inside the
# home directory of the ssh user, whatever that is called; the script is handed to its interpreter,
# because a home directory may be mounted noexec.
_RUNNER = """
directory=$PWD/$1; shift
set -a
. "$directory/environment"
OSQUAL_OUTPUT=$directory/output
set +a
: > "$OSQUAL_OUTPUT"
exec "$@"
"""

Say = Callable[[str], None]


class Shell(Protocol):
    """What an installation needs of a node; `Machine` has it."""

    def run(
        self,
        argv: Sequence[str],
        *,
        sudo: bool = False,
        timeout_s: float = 60.0,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> Completed:
        """Run a program on the node."""

    def put_tree(self, local: Path, remote: str, *, sudo: bool = False) -> None:
        """Copy what is in a directory into a directory of the node."""


def install_product(
    product: Product,
    configuration: Configuration,
    cluster: Cluster,
    machines: Mapping[str, Shell],
    scope: RunScope,
    parameters: Mapping[str, Any],
) -> None:
    """Run the product's scripts; `machines` by node name, `parameters` as the profile has them.

    Each script's output goes to `install/<node>-<step>.log` of the run directory. Raises
    InstallFailed with the last lines of what failed, for every node on which it did.
    """
    environment = {
        **cluster_environment(configuration, cluster, parameters),
        "OSQUAL_PRODUCT": product.name,
        **product.environment,
    }
    installation = _Installation(
        cluster=cluster, machines=machines, scope=scope, environment=environment
    )
    for step in product.install:
        installation = installation.after(step)


def run_setup_script(
    script: Path,
    configuration: Configuration,
    cluster: Cluster,
    machines: Mapping[str, Shell],
    scope: RunScope,
    parameters: Mapping[str, Any],
) -> None:
    """Run a configuration's deprecated setup script on every node, as root."""
    scope.warn(
        f"{script.name} is deprecated: what it does belongs into the image's template, "
        "or into the product definition."
    )
    _Installation(
        cluster=cluster,
        machines=machines,
        scope=scope,
        environment=cluster_environment(configuration, cluster, parameters),
    ).after(InstallStep(name="setup", script=script, timeout_s=SETUP_TIMEOUT_S))


def read_versions(product: Product, machine: Shell, scope: RunScope) -> dict[str, str]:
    """What a node answers about the product's versions; a command that fails is left out."""
    found = {}
    for name, argv in product.versions.items():
        done = machine.run(
            argv,
            sudo=True,
            timeout_s=VERSION_TIMEOUT_S,
            check=False,
            cancellation=scope.cancellation,
        )
        answer = done.stdout.strip().partition("\n")[0]
        if done.exit_status == 0 and answer:
            found[name] = answer
    return found


@dataclass(frozen=True, kw_only=True)
class _Installation:
    """Where an installation stands: what the scripts so far have handed on."""

    cluster: Cluster
    machines: Mapping[str, Shell]
    scope: RunScope
    environment: Mapping[str, str]
    secrets: tuple[str, ...] = ()

    def after(self, step: InstallStep) -> "_Installation":
        """Run a step on its nodes and take the values that it hands on."""
        nodes = step.nodes.of(self.cluster)
        if not nodes:
            return self
        self.scope.progress(
            f"{step.name} on {nodes[0].name if len(nodes) == 1 else f'{len(nodes)} nodes'}",
            script=step.name,
        )
        values = self._run_everywhere(step, nodes)
        return replace(
            self,
            environment={**self.environment, **values},
            secrets=(*self.secrets, *(values[name] for name in step.secrets if values[name])),
        )

    def _run_everywhere(self, step: InstallStep, nodes: Sequence[Node]) -> dict[str, str]:
        """One thread a node; events are passed on by this thread, in the order they come in."""
        lines: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

        def start(node: Node) -> Future[dict[str, str]]:
            def say(line: str) -> None:
                lines.put((node.name, line))

            return pool.submit(_ScriptRun(installation=self, step=step, node=node, say=say).run)

        with ThreadPoolExecutor(max_workers=len(nodes) if step.in_parallel else 1) as pool:
            futures = [start(node) for node in nodes]
            pending = set(futures)
            while pending:
                pending = wait(pending, timeout=_DRAIN_S).not_done
                self._pass_on(step, lines)
        self._pass_on(step, lines)
        _raise_failures(step, [future.exception() for future in futures])
        return {name: value for future in futures for name, value in future.result().items()}

    def _pass_on(self, step: InstallStep, lines: "queue.SimpleQueue[tuple[str, str]]") -> None:
        with suppress(queue.Empty):
            while True:
                node, line = lines.get_nowait()
                self.scope.emit(EventKind.OUTPUT, line, source=f"{node} {step.name}", node=node)


@dataclass(frozen=True, kw_only=True)
class _ScriptRun:
    """One script on one node."""

    installation: _Installation
    step: InstallStep
    node: Node
    say: Say

    def run(self) -> dict[str, str]:
        """Upload, run until it succeeds or may not be tried again, fetch the values, clean up."""
        log = _Log(
            self._log_path,
            self.installation.secrets,
            self.installation.scope.secrecy,
            withheld=bool(self.step.secrets),
        )
        try:
            self._upload()
            status = self._run_until_done(log)
            values = self._fetch_values()
            log.reveal([values.get(name, "") for name in self.step.secrets], self.say)
            if status != 0:
                raise self._failed(f"ended with exit status {status}", log)
            self._check_values(values)
            return values
        except TimeLimitExceeded as error:
            log.reveal((), self.say)
            raise self._failed(f"was not done after {self.step.timeout_s:.0f} s", log) from error
        finally:
            log.close()
            with suppress(OsqualError):
                self._machine.run(["rm", "-rf", self._remote], sudo=self.step.as_root, timeout_s=30)

    @property
    def _machine(self) -> Shell:
        return self.installation.machines[self.node.name]

    @property
    def _remote(self) -> str:
        return f".osqual-{'root' if self.step.as_root else 'ssh'}-{self.step.name}"

    @property
    def _log_path(self) -> Path:
        directory = self.installation.scope.directory / "install"
        return directory / f"{self.node.name}-{self.step.name}.log"

    def _upload(self) -> None:
        environment = {
            **self.installation.environment,
            "OSQUAL_NODE_NAME": self.node.name,
            "OSQUAL_NODE_ROLE": self.node.role.value,
            "OSQUAL_NODE_ADDRESS": self.node.private_address,
        }
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
        with tempfile.TemporaryDirectory(prefix="osqual-") as directory:
            local = Path(directory)
            for name, content in (
                ("script", self.step.script.read_bytes()),
                ("environment", text.encode()),
            ):
                (local / name).touch(mode=0o600)
                (local / name).write_bytes(content)
            self._machine.put_tree(local, self._remote, sudo=self.step.as_root)

    def _run_until_done(self, log: "_Log") -> int:
        """The exit status; a step that polls is tried until it succeeds or its time is over."""
        step = self.step
        what = f"{step.name} on {self.node.name}"
        token = self.installation.scope.cancellation.limited(step.timeout_s, what)
        argv = [*interpreter(step.script), f"{self._remote}/script"]
        while True:
            log.start_attempt()
            done = self._machine.run(
                ["sh", "-c", _RUNNER, "osqual", self._remote, *argv],
                sudo=step.as_root,
                timeout_s=step.timeout_s,
                check=False,
                on_line=lambda line: log.add(line, self.say),
                cancellation=token,
            )
            if done.exit_status == 0 or step.poll_s is None:
                return done.exit_status
            token.sleep(step.poll_s)

    def _fetch_values(self) -> dict[str, str]:
        """What the script wrote to `$OSQUAL_OUTPUT`, one NAME=value a line."""
        if not self.step.outputs and not self.step.secrets:
            return {}
        path = f"{self._remote}/output"
        text = self._machine.run(["cat", path], sudo=self.step.as_root).stdout
        pairs = [line.partition("=") for line in text.splitlines()]
        return {name.strip(): value for name, equals, value in pairs if equals}

    def _check_values(self, values: Mapping[str, str]) -> None:
        declared = {*self.step.outputs, *self.step.secrets}
        if values.keys() != declared:
            undeclared = ", ".join(sorted(values.keys() - declared)) or "none"
            missing = ", ".join(sorted(declared - values.keys())) or "none"
            raise InstallFailed(
                f"{self.step.name} on {self.node.name} did not hand on the values it declares.",
                details=f"Missing: {missing}. Not declared: {undeclared}.",
                resolution="write one NAME=value line for each to the file $OSQUAL_OUTPUT, "
                "and list the names under `outputs` or `secrets`",
            )

    def _failed(self, how: str, log: "_Log") -> InstallFailed:
        return InstallFailed(
            f"{self.step.name} on {self.node.name} {how}.",
            details=log.tail(),
            resolution=f"the whole output is in {self._log_path}",
        )


class _Log:
    """A script's output on disk, and its last lines; secrets are blanked on the way.

    The output of a script that makes secrets is held back until they are known.
    """

    def __init__(
        self, path: Path, secrets: Sequence[str], hide: Secrecy, *, withheld: bool
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("w", encoding="utf-8")
        self._secrets = list(secrets)
        self._hide = hide
        self._held: list[str] | None = [] if withheld else None
        self._attempt: list[str] = []
        self._before: list[str] = []

    def start_attempt(self) -> None:
        """What comes now is from another attempt; it is only told when it is not the same."""
        self._before, self._attempt = self._attempt, []

    def add(self, line: str, say: Say) -> None:
        if self._held is not None:
            self._held.append(line)
            return
        line = self._hide(redact(line, self._secrets))
        self._stream.write(f"{line}\n")
        self._stream.flush()
        place = len(self._attempt)
        self._attempt.append(line)
        if self._before[place : place + 1] != [line]:
            say(line)

    def reveal(self, secrets: Sequence[str], say: Say) -> None:
        """Write what was held back, now that it is known what must not be seen.

        Of a script that failed, that is what it handed over before; the rest is needed to find
        out why it failed.
        """
        held, self._held = self._held, None
        self._secrets += [secret for secret in secrets if secret]
        self._hide.learn(secrets)
        for line in held or ():
            self.add(line, say)

    def tail(self) -> str:
        """What was said last: by the attempt before, when this one had no time to say anything."""
        said = self._attempt or self._before
        return tail("\n".join(said), TAIL_LINES) or "(it printed nothing)"

    def close(self) -> None:
        self._stream.close()


def redact(line: str, secrets: Sequence[str]) -> str:
    """The line without the secrets, longest first, as one may be part of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        line = line.replace(secret, REDACTED)
    return line


def interpreter(script: Path) -> list[str]:
    """The words of a script's `#!` line; the POSIX shell without one."""
    with script.open("rb") as stream:
        first = stream.readline(512)
    match = re.match(rb"#!\s*(\S+)(?:[ \t]+(.*\S))?", first)
    if match is None:
        return ["/bin/sh"]
    return [word.decode(errors="replace") for word in match.groups() if word]


def _raise_failures(step: InstallStep, errors: Sequence[BaseException | None]) -> None:
    """Raise what went wrong; several failures of one step become one error that tells of all."""
    found = [error for error in errors if error is not None]
    if not found:
        return
    for error in found:
        if isinstance(error, Interrupted) or not isinstance(error, OsqualError):
            raise error
    if len(found) == 1:
        raise found[0]
    failures = [error for error in found if isinstance(error, OsqualError)]
    raise InstallFailed(
        f"{step.name} failed on {len(failures)} nodes.",
        details="\n\n".join(f"{error.brief}\n{error.details}" for error in failures),
        resolution=failures[0].resolution,
    )
