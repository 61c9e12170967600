"""Waiting for a whole QEMU cluster: every node answers ssh and reaches every other."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.errors import Interrupted, OsqualError, ProvisionFailed, TimeLimitExceeded
from osqual.model import Cluster, Node
from osqual.qemu.vm import Vm
from osqual.ssh.machine import Machine

POLL_S = 0.1
CONSOLE_LINES = 30
NETWORK_TIMEOUT_S = 120.0
# bash opens /dev/tcp itself, so that nothing has to be installed. A closed port answers as well
# as an open one: what counts is that something does.
_REACH_SCRIPT = """
for address in "$@"; do
  for attempt in 1 2 3 4 5; do
    said=$(timeout 10 bash -c "exec 3<>/dev/tcp/$address/22" 2>&1) && continue 2
    case $said in *refused*) continue 2 ;; esac
    sleep 1
  done
  echo "$address"
done
"""


def wait_cluster(cluster: Cluster, vms: Sequence[Vm], scope: RunScope) -> None:
    """Return once every node is ready; the first that fails ends the wait for all.

    Raises ProvisionFailed naming the node, with the end of its console.
    """
    control_dir = socket_directory(scope)
    stop = threading.Event()
    token = Cancellation(event=stop, what="waiting for the cluster's machines")
    machines = {
        node.name: Machine(node, cluster.identity, control_dir, token) for node in cluster.nodes
    }
    boot_timeout_s = scope.settings.qemu.boot_timeout_s
    checks = {vm.name: vm.check for vm in vms}

    def boot(node: Node) -> None:
        machines[node.name].wait_ready(boot_timeout_s, checks[node.name])

    def reach(node: Node) -> None:
        others = [each.private_address for each in cluster.nodes if each.name != node.name]
        _check_reach(machines[node.name], others)

    _on_all(cluster.nodes, boot, "answers ssh", stop, scope)
    if len(cluster.nodes) > 1:
        _on_all(cluster.nodes, reach, "reaches the others", stop, scope)


def _check_reach(machine: Machine, others: Sequence[str]) -> None:
    argv = ["sh", "-c", _REACH_SCRIPT, "reach", *others]
    missing = machine.run(argv, timeout_s=NETWORK_TIMEOUT_S).stdout.split()
    if missing:
        raise ProvisionFailed(f"It does not reach {', '.join(missing)} on the private network.")


def _on_all(
    nodes: Sequence[Node],
    action: Callable[[Node], None],
    success: str,
    stop: threading.Event,
    scope: RunScope,
) -> None:
    """Do it on every node side by side, and speak and stop from this thread alone."""
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        waiting: dict[Future[None], Node] = {pool.submit(action, node): node for node in nodes}
        try:
            while waiting:
                _check_time(scope.cancellation, list(waiting.values()))
                for future in wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED).done:
                    node = waiting.pop(future)
                    _raise_failure(node, future, scope)
                    done = len(nodes) - len(waiting)
                    scope.progress(success, node=node.name, done=done, total=len(nodes))
        except BaseException:
            stop.set()
            raise


def _check_time(cancellation: Cancellation, waiting: Sequence[Node]) -> None:
    """Like `Cancellation.check`, but a limit names the nodes that were still waited for."""
    try:
        cancellation.check()
    except TimeLimitExceeded as error:
        consoles = [f"{node.name}: {node.console}\n{_console_tail(node)}" for node in waiting]
        raise TimeLimitExceeded(
            error.brief,
            details="Still waiting for these nodes, with the ends of their consoles:\n"
            + "\n".join(consoles),
            resolution=error.resolution,
        ) from error


def _raise_failure(node: Node, future: Future[None], scope: RunScope) -> None:
    error = future.exception()
    if error is None:
        return
    if not isinstance(error, OsqualError) or isinstance(error, Interrupted):
        raise error
    parts = [error.brief, error.details]
    console = _console_tail(node)
    if console and console not in error.details:
        parts.append(f"Last lines of its console:\n{console}")
    raise ProvisionFailed(
        f"The node {node.name} did not come up.",
        details="\n".join(part for part in parts if part),
        resolution=f"its whole console is in {node.console}; a slow machine may need a larger "
        "qemu.boot_timeout_s in osqual.yaml",
    ) from error


def _console_tail(node: Node) -> str:
    if node.console is None or not node.console.exists():
        return ""
    lines = node.console.read_text(errors="replace").rstrip().splitlines()
    return "\n".join(lines[-CONSOLE_LINES:])
