import random
import socket
import subprocess
import sys

import pytest

from osqual.errors import InfrastructureError
from osqual.qemu.ports import (
    PORT_RANGE,
    Group,
    can_listen,
    is_silent,
    reserved_group,
    reserved_ports,
)

HOLD = """
import random, sys
from osqual.qemu.ports import reserved_group, reserved_ports
with reserved_ports(3, random.Random(7)) as ports, reserved_group(random.Random(7)) as group:
    print(*ports, group, flush=True)
    sys.stdin.readline()
"""


def test_ports_are_different_free_and_out_of_the_way_of_outgoing_connections() -> None:
    with reserved_ports(20) as ports:
        assert len(set(ports)) == 20
        assert all(port in PORT_RANGE and can_listen(port) for port in ports)


def test_two_processes_with_the_same_luck_never_get_the_same() -> None:
    argv = [sys.executable, "-c", HOLD]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        *theirs, their_group = other.stdout.readline().split()
        with (
            reserved_ports(3, random.Random(7)) as ours,
            reserved_group(random.Random(7)) as group,
        ):
            assert {str(port) for port in ours}.isdisjoint(theirs)
            assert str(group) != their_group
        other.stdin.write("\n")
    with reserved_ports(3, random.Random(7)) as again, reserved_group(random.Random(7)) as group:
        assert [str(port) for port in again] == theirs
        assert str(group) == their_group


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_something_listens_on_is_passed_over(address: str) -> None:
    with reserved_ports(1, random.Random(1)) as (port,):
        pass
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        assert not can_listen(port)
        with reserved_ports(1, random.Random(1)) as (other,):
            assert other != port


def test_a_group_that_a_machine_listens_to_is_passed_over() -> None:
    with reserved_group(random.Random(1)) as group:
        assert is_silent(group)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as machine:
        machine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as QEMU opens it
        machine.bind((group.address, group.port))
        assert not is_silent(group)
        with reserved_group(random.Random(1)) as other:
            assert other != group


def test_when_nothing_is_free_that_is_said() -> None:
    class Stubborn(random.Random):
        def choice(self, seq: object) -> int:  # type: ignore[override]
            return 20000

    with (
        reserved_ports(1, Stubborn()),
        pytest.raises(InfrastructureError, match="No free port"),
        reserved_ports(1, Stubborn()),
    ):
        pass


def test_a_group_reads_like_an_address() -> None:
    assert str(Group(address="239.255.1.2", port=1)) == "239.255.1.2:1"
