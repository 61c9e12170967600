"""The swarm under test, seen through its engines' API and changed as its users do.

Changes go through the docker command line, questions through the API: a question by API costs
nothing, while starting the client takes seconds on a machine without hardware acceleration.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from osqual.model import Node
from osqual.suites.plugin import Machines, PluginRequest

API = "http://engine/v1.41"
LIMIT_S = 300.0
STACK = "qualify"
PORT = 8080
MOBILE_PORT = 8081


def wait_for(what: str, condition: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Ask until the answer is true, and return it."""
    give_up = time.monotonic() + limit_s
    while not (answer := condition()):
        assert time.monotonic() < give_up, f"waited {limit_s:.0f} s in vain for {what}"
        time.sleep(0.5)
    return answer


class Swarm:
    """The swarm of the cluster under test."""

    def __init__(self, nodes: tuple[Node, ...], machine: Machines, request: PluginRequest) -> None:
        self.nodes = nodes
        self.master = nodes[0]
        self._machine = machine
        self._request = request
        self._clients: dict[str, httpx.Client] = {}

    def docker(self, *arguments: str) -> str:
        """The docker command line on the first master."""
        argv = ["docker", *arguments]
        return self._machine(self.master).run(argv, sudo=True, timeout_s=LIMIT_S).stdout

    def on(self, node: Node, target: str = "/run/docker.sock") -> httpx.Client:
        """HTTP to a socket (path, or address:port) as the node itself reaches it."""
        key = f"{node.name}-{target.rpartition(':')[2].strip('/').replace('/', '-')}"
        if key not in self._clients:
            socket = self._request.control_dir / f"{key}.sock"
            self._machine(node).forward(socket, target)
            transport = httpx.HTTPTransport(uds=str(socket), retries=2)
            self._clients[key] = httpx.Client(transport=transport, timeout=LIMIT_S)
        return self._clients[key]

    def entrance(self, node: Node, port: int = PORT) -> httpx.Client:
        """HTTP to a port that the swarm publishes, by the node's own address."""
        return self.on(node, f"{node.private_address}:{port}")

    def forget(self, node: Node) -> None:
        """The node restarts, and what led to it is gone."""
        for key in [key for key in self._clients if key.startswith(f"{node.name}-")]:
            self._clients.pop(key).close()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def ask(
        self, path: str, filters: Mapping[str, str] | None = None, node: Node | None = None
    ) -> Any:
        """A question to a node's engine (the first master's)."""
        values = {name: [value] for name, value in (filters or {}).items()}
        client = self.on(node or self.master)
        answer = client.get(f"{API}{path}", params={"filters": json.dumps(values)})
        answer.raise_for_status()
        return answer.json()

    def members(self) -> dict[str, Mapping[str, Any]]:
        """What the manager knows of each node of the cluster, by the node's name."""
        found = {}
        for member in self.ask("/nodes"):
            manager = member.get("ManagerStatus", {}).get("Addr", "").rpartition(":")[0]
            address = manager or member["Status"]["Addr"]
            names = [node.name for node in self.nodes if node.private_address == address]
            found.update(dict.fromkeys(names, member))
        return found

    def node_of(self, task: Mapping[str, Any]) -> Node:
        """The node that a task runs on."""
        names = {member["ID"]: name for name, member in self.members().items()}
        name = names[task["NodeID"]]
        return next(node for node in self.nodes if node.name == name)

    def service(self, name: str) -> Any:
        return self.ask(f"/services/{STACK}_{name}")

    def running(self, service: str) -> list[Mapping[str, Any]]:
        """A service's tasks that run and are meant to."""
        filters = {"service": f"{STACK}_{service}", "desired-state": "running"}
        tasks = self.ask("/tasks", filters)
        return [task for task in tasks if task["Status"]["State"] == "running"]

    def wait_running(self, service: str, count: int) -> list[Mapping[str, Any]]:
        """Wait until exactly as many tasks run."""

        def enough() -> list[Mapping[str, Any]] | None:
            tasks = self.running(service)
            return tasks if len(tasks) == count else None

        tasks: list[Mapping[str, Any]] = wait_for(f"{count} tasks of {service}", enough)
        return tasks


def version_matches(version: str, wanted: str) -> bool:
    """Whether a version is the wanted one, or one of its patch releases: 20.10.24 is a 20.10."""
    return version == wanted or version.startswith((f"{wanted}.", f"{wanted}+", f"{wanted}-"))


def visit(client: httpx.Client, path: str) -> dict[str, str]:
    """A page of the web service, asked for until it answers; `name=value` lines."""

    def page() -> dict[str, str] | None:
        try:
            answer = client.get(f"http://web{path}", timeout=20)
        except httpx.TransportError:
            return None
        pairs = [line.partition("=") for line in answer.text.splitlines()]
        return {name: value for name, _, value in pairs} if answer.is_success else None

    found: dict[str, str] = wait_for(f"an answer to {path}", page)
    return found


PAGE = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "node=$NODE"
echo "task=$(hostname)"
echo "config=$(cat /etc/greeting)"
echo "secret=$(cat /run/secrets/password)"
echo "secret_on=$(awk '$2 == "/run/secrets/password" { print $3 }' /proc/mounts)"
"""
RELAY = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "asked_by=$NODE"
wget -q -T 15 -O - "http://$QUERY_STRING/cgi-bin/page"
"""
GREETING = "hello from a config"
PASSWORD = "hello from a secret"


def stack_file(nodes: int, agents: int) -> dict[str, Any]:
    """The services that the tests look at, as a compose file.

    `web` has one task on every node; `mobile` one task on some agent; `pinned` two tasks on
    private agents.
    """

    def service(*command: str, **deploy: Any) -> dict[str, Any]:
        return {
            "image": "osqual/busybox:1",
            "command": list(command),
            "stop_signal": "SIGKILL",
            "deploy": {"restart_policy": {"condition": "any", "delay": "0s"}, **deploy},
        }

    serve = ("httpd", "-f", "-p", "80", "-h", "/var/www")
    web = service(*serve, replicas=nodes, placement={"max_replicas_per_node": 1}) | {
        "environment": {"NODE": "{{.Node.Hostname}}"},
        "networks": ["mesh"],
        "ports": [f"{PORT}:80"],
        "secrets": ["password"],
        "configs": [
            {"source": "page", "target": "/var/www/cgi-bin/page", "mode": 0o755},
            {"source": "relay", "target": "/var/www/cgi-bin/relay", "mode": 0o755},
            {"source": "greeting", "target": "/etc/greeting"},
        ],
    }
    mobile = service(*serve, placement={"constraints": ["node.role == worker"]}) | {
        "ports": [f"{MOBILE_PORT}:80"]
    }
    pinned = service(
        "sleep",
        "100000",
        replicas=2,
        placement={"constraints": ["node.labels.role == private_agent"]},
        update_config={"parallelism": 1, "delay": "0s", "monitor": "1s"},
        rollback_config={"parallelism": 0, "delay": "0s", "monitor": "1s"},
    )
    services = {"web": web} | ({"mobile": mobile, "pinned": pinned} if agents else {})
    return {
        "version": "3.8",
        "services": services,
        "networks": {"mesh": {}},
        "configs": {name: {"file": f"./{name}"} for name in ("page", "relay", "greeting")},
        "secrets": {"password": {"file": "./password"}},
    }
