"""The greeting is there, on an image with everything that was built into it."""

from osqual.model import Node
from osqual.suites.plugin import Machines


def test_greeting(nodes: tuple[Node, ...], machine: Machines) -> None:
    for node in nodes:
        assert machine(node).run(["cat", "/etc/greeting"]).stdout == f"hello from {node.name}\n"


def test_image(nodes: tuple[Node, ...], machine: Machines) -> None:
    found = machine(nodes[0]).run(["cat", "/etc/first", "/etc/last"]).stdout
    assert found == "first\nlast\n"
