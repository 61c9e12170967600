"""The swarm under test, seen and filled through its engines' API.

By API, because starting the docker command line takes seconds on a machine without hardware
acceleration; what an operator types (update, rollback, drain) is typed all the same.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from osqual.model import Node
from osqual.suites.plugin import Machines
from osqual.suites.plugin_request import PluginRequest

API = "http://engine/v1.41"
LIMIT_S = 600.0
PREFIX = "qualify-"
PORT = 8080
SECOND_NS = 1_000_000_000

PAGE = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "node=$NODE"
echo "greeting=$(cat /etc/greeting)"
echo "password=$(cat /run/secrets/password)"
echo "password_on=$(awk '$2 == "/run/secrets/password" { print $3 }' /proc/mounts)"
"""
RELAY = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "asked_by=$NODE"
timeout 15 wget -q -O - "http://$QUERY_STRING/cgi-bin/page"
"""
NAMES = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
found=$(nslookup "$QUERY_STRING" | grep -oE '[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+' | grep -v '^127\\.')
echo "addresses=$(echo "$found" | sort -u | tr '\\n' ' ')"
"""
GREETING = "hello from a config"
PASSWORD = "hello from a secret"


def wait_for(what: str, condition: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Ask until the answer is true, and return it; who does not answer is asked again."""
    give_up = time.monotonic() + limit_s
    while True:
        try:
            if answer := condition():
                return answer
            last = "the answer was no"
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            last = str(error)
        assert time.monotonic() < give_up, f"waited {limit_s:.0f} s in vain for {what}: {last}"
        time.sleep(0.5)


def version_matches(version: str, wanted: str) -> bool:
    """Whether a version is the wanted one, or one of its patch releases: 20.10.24 is a 20.10."""
    return version == wanted or version.startswith((f"{wanted}.", f"{wanted}+", f"{wanted}-"))


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

    # Connections

    def _client(self, node: Node, name: str, target: str) -> httpx.Client:
        """HTTP to a socket (path, or address:port) as the node itself reaches it."""
        key = f"{node.name}.{name}"
        if key not in self._clients:
            socket = self._request.control_dir / f"{key}.sock"
            self._machine(node).forward(socket, target)
            transport = httpx.HTTPTransport(uds=str(socket), retries=2)
            self._clients[key] = httpx.Client(transport=transport, timeout=LIMIT_S)
        return self._clients[key]

    def engine(self, node: Node | None = None) -> httpx.Client:
        """A node's engine (the first master's)."""
        return self._client(node or self.master, "engine", "/run/docker.sock")

    def entrance(self, node: Node) -> httpx.Client:
        """The port that the swarm publishes, at the node's own address."""
        return self._client(node, "port", f"{node.private_address}:{PORT}")

    def forget(self, node: Node) -> None:
        """The node restarts: what led to it is gone."""
        for key in [key for key in self._clients if key.startswith(f"{node.name}.")]:
            self._clients.pop(key).close()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    # Questions

    def ask(
        self, path: str, filters: Mapping[str, str] | None = None, node: Node | None = None
    ) -> Any:
        """A question to a node's engine (the first master's)."""
        values = {name: [value] for name, value in (filters or {}).items()}
        answer = self.engine(node).get(f"{API}{path}", params={"filters": json.dumps(values)})
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

    def hostname(self, node: Node) -> str:
        """What a node calls itself."""
        return str(self.members()[node.name]["Description"]["Hostname"])

    def node_of(self, task: Mapping[str, Any]) -> Node:
        """The node that a task runs on."""
        names = {member["ID"]: name for name, member in self.members().items()}
        name = names[task["NodeID"]]
        return next(node for node in self.nodes if node.name == name)

    def service(self, name: str) -> Any:
        return self.ask(f"/services/{PREFIX}{name}")

    def running(self, service: str) -> list[Mapping[str, Any]]:
        """A service's tasks that run and are meant to."""
        filters = {"service": f"{PREFIX}{service}", "desired-state": "running"}
        tasks = self.ask("/tasks", filters)
        return [task for task in tasks if task["Status"]["State"] == "running"]

    def wait_running(self, service: str, count: int) -> list[Mapping[str, Any]]:
        """Wait until exactly as many tasks run."""

        def enough() -> list[Mapping[str, Any]] | None:
            tasks = self.running(service)
            return tasks if len(tasks) == count else None

        tasks: list[Mapping[str, Any]] = wait_for(f"{count} tasks of {service}", enough)
        return tasks

    def image(self, version: str) -> str:
        """The id of a version of the tests' image. Asked for by id, nobody looks for a registry."""
        return str(self.ask(f"/images/osqual/busybox:{version}/json")["Id"])

    # Changes

    def create(self, kind: str, document: Mapping[str, Any]) -> str:
        """Create a config, secret, network or service; returns its id."""
        answer = self.engine().post(f"{API}/{kind}/create", json=document)
        assert answer.is_success, f"{kind}: {answer.text}"
        made = answer.json()
        return str(made.get("ID") or made["Id"])

    def create_text(self, kind: str, name: str, text: str) -> dict[str, str]:
        """Create a config or secret; returns how a service refers to it."""
        title = kind.removesuffix("s").capitalize()
        data = base64.b64encode(text.encode()).decode()
        number = self.create(kind, {"Name": f"{PREFIX}{name}", "Data": data})
        return {f"{title}ID": number, f"{title}Name": f"{PREFIX}{name}"}

    def remove_all(self) -> None:
        """Remove what the tests have made, and wait until it is gone."""

        def left() -> list[str]:
            found = []
            for kind in ("services", "configs", "secrets", "networks"):
                # The engine's own filter by name wants whole names of networks.
                for item in self.ask(f"/{kind}"):
                    name = item.get("Name") or item["Spec"]["Name"]
                    if name.startswith(PREFIX):
                        path = f"/{kind}/{item.get('ID') or item['Id']}"
                        self.engine().delete(f"{API}{path}")
                        found.append(path)
            return found

        wait_for("the removal of what the tests made", lambda: not left())


def file_at(path: str, reference: Mapping[str, str], mode: int = 0o444) -> dict[str, Any]:
    """A config or secret as a file of a task."""
    return {**reference, "File": {"Name": path, "UID": "0", "GID": "0", "Mode": mode}}


def service_spec(
    name: str,
    *,
    image: str,
    command: Sequence[str],
    replicas: int = 1,
    constraint: str = "",
    network: str = "",
    **container: Any,
) -> dict[str, Any]:
    """A service whose tasks stop and start at once."""
    pace = {"Delay": 0, "Monitor": SECOND_NS, "FailureAction": "pause"}
    return {
        "Name": f"{PREFIX}{name}",
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": image,
                "Args": list(command),
                "StopSignal": "SIGKILL",
                **container,
            },
            "RestartPolicy": {"Condition": "any", "Delay": 0},
            "Placement": {"Constraints": [constraint] if constraint else []},
            "Networks": [{"Target": network}] if network else [],
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {**pace, "Parallelism": 1},
        "RollbackConfig": {**pace, "Parallelism": 0},
    }


def visit(client: httpx.Client, path: str) -> dict[str, str]:
    """A page of the web service, asked for until it answers; `name=value` lines."""

    def page() -> dict[str, str] | None:
        answer = client.get(f"http://web{path}", timeout=20)
        pairs = [line.partition("=") for line in answer.text.splitlines()]
        return {name: value for name, _, value in pairs} if answer.is_success else None

    found: dict[str, str] = wait_for(f"an answer to {path}", page)
    return found
