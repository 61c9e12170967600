"""Nothing faked but the cloud's API: Packer provisions a real machine, suites run on real nodes.

A QEMU cluster that osqual keeps stands for the cloud's machines. Packer is pointed at its master;
an ssh configuration, written as instances appear, maps their addresses to its nodes.
"""

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from osqual.cancellation import Cancellation
from osqual.cluster_file import FILE_NAME, read_cluster
from osqual.model import Cluster
from osqual.ssh.machine import Machine
from tests.integration.aws.conftest import LEAF, PROFILE, World
from tests.integration.conftest import TINY, Workshop

pytestmark = [
    pytest.mark.aws,
    pytest.mark.qemu,
    pytest.mark.minutes(12),
    pytest.mark.timeout(3600),
]

DCOS_LEAF = "centos/7.6/aws/DCOS-2.0.0/docker-19.03.5"
TWO_NODES = 'num_of_masters = "1"\nnum_of_private_agents = "1"\nnum_of_public_agents = "0"\n'
# What makes a machine look as DC/OS leaves it: its environment, and its check of itself.
DCOS_LAYOUT = """\
#!/bin/sh
set -eu
sudo=; [ "$(id -u)" = 0 ] || sudo="sudo -n"
$sudo mkdir -p /opt/mesosphere/bin
printf '#!/bin/sh\\nexit 0\\n' | $sudo tee /opt/mesosphere/bin/dcos-diagnostics >/dev/null
$sudo chmod 755 /opt/mesosphere/bin/dcos-diagnostics
echo 'export PATH=/opt/mesosphere/bin:$PATH' |
  $sudo tee /opt/mesosphere/environment.export >/dev/null
"""
# On the master also a suite, and the Python that DC/OS brings along.
DCOS_SUITE = """\
$sudo tar -C /opt/mesosphere -xzf /tmp/python.tar.gz
tests=/opt/mesosphere/active/dcos-integration-test-1
$sudo mkdir -p "$tests"
$sudo tee /opt/mesosphere/bin/py.test >/dev/null <<'PYTEST'
#!/bin/sh
export PYTHONHOME=/opt/mesosphere/usr
export LD_LIBRARY_PATH=/opt/mesosphere/usr/lib/x86_64-linux-gnu:/opt/mesosphere/lib/x86_64-linux-gnu
exec /opt/mesosphere/usr/bin/python3.11 -m pytest -p no:cacheprovider "$@"
PYTEST
$sudo chmod 755 /opt/mesosphere/bin/py.test
$sudo tee "$tests/test_hosts.py" >/dev/null <<'TESTS'
import os

def test_hosts():
    assert os.environ["MASTER_HOSTS"].count(".") == 3
    assert os.environ["SLAVE_HOSTS"].count(".") == 3

def test_muted():
    raise AssertionError("tests_to_run leaves this one out")
TESTS
"""


# Of Debian's packages what a Python with pytest needs, on a machine that has its own libc.
PYTHON_FILES = re.compile(
    r"\./(usr/bin/python3\.11$|usr/lib/python3|usr/lib/x86_64-linux-gnu/lib(ffi|ssl|crypto)\."
    r"|lib/x86_64-linux-gnu/lib(expat|z|bz2|lzma)\.)"
)


def make_python(archive: Path) -> None:
    """A Python with pytest from Debian's packages, unpacked here: emulated, it takes minutes."""
    packages = archive.with_name("packages.tar")
    argv = ["mmdebstrap", "--quiet", "--variant=extract", "--include=python3-pytest"]
    subprocess.run([*argv, "bookworm", str(packages)], check=True, stdin=subprocess.DEVNULL)
    with tarfile.open(packages) as source, tarfile.open(archive, "w:gz", compresslevel=1) as target:
        for member in source:
            if PYTHON_FILES.match(member.name) and not member.isdir():
                target.addfile(member, source.extractfile(member) if member.isreg() else None)
    packages.unlink()


@dataclass(frozen=True)
class Machines:
    """The kept cluster, and a shell to its nodes."""

    cluster: Cluster
    control: Path

    def port(self, name: str) -> int:
        node = self.cluster.node(name)
        assert node is not None
        return node.ssh_port

    def machine(self, name: str) -> Machine:
        node = self.cluster.node(name)
        assert node is not None
        return Machine(node, self.cluster.identity, self.control, Cancellation())

    def authorise(self, key: str) -> None:
        """Let a key in everywhere, as a cloud does with the key pair of an instance."""
        script = 'mkdir -p .ssh && printf "%s\\n" "$1" >> .ssh/authorized_keys'
        for node in self.cluster.nodes:
            self.machine(node.name).run(["sh", "-c", script, "authorise", key])


@pytest.fixture(scope="module")
def machines(workshop: Workshop) -> Iterator[Machines]:
    workshop.reset_catalogue()
    (workshop.tiny / "cluster_profile.tfvars").write_text(TWO_NODES)
    kept = workshop.run("--keep", "always", "--publish", "none", leaf=TINY)
    control = Path(tempfile.mkdtemp(prefix="oqa-"))
    try:
        found = Machines(read_cluster(Path(kept["directory"]) / FILE_NAME), control)
        yield found
        for node in found.cluster.nodes:
            found.machine(node.name).close()
    finally:
        shutil.rmtree(control, ignore_errors=True)
        workshop.reset_catalogue()
        assert workshop.osqual("destroy", kept["run"]).returncode == 0


@contextmanager
def cloud_of(machines: Machines, world: World) -> Iterator[None]:
    """What a real cloud does: instances are reachable, and let the run's key in."""
    config = Path(world.env["OSQUAL_AWS_SSH_CONFIG"])
    config.write_text("")
    stop = threading.Event()
    known: set[str] = set()

    def follow() -> None:
        while not stop.wait(0.3):
            for path in world.root.glob("state/runs/*/cluster/keys/*.pub"):
                if str(path) not in known:
                    known.add(str(path))
                    machines.authorise(path.read_text().strip())
            for instance in instances(world):
                address = instance.get("PublicIpAddress", "")
                name = next(
                    (tag["Value"] for tag in instance.get("Tags", []) if tag["Key"] == "Name"), ""
                )
                for node in machines.cluster.nodes:
                    if name.endswith(node.name) and address and address not in known:
                        known.add(address)
                        with config.open("a") as stream:
                            stream.write(
                                f"Host {address}\n  HostName 127.0.0.1\n  Port {node.ssh_port}\n"
                            )

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def instances(world: World) -> list[dict[str, Any]]:
    found = world.cloud.client().describe_instances()
    return [item for reservation in found["Reservations"] for item in reservation["Instances"]]


def point_packer_at(machines: Machines, world: World) -> None:
    master = machines.cluster.node("master-1")
    assert master is not None
    world.edit_template(
        ssh_username=master.ssh_user,
        ssh_port=master.ssh_port,
        ssh_private_key_file=str(machines.cluster.identity.private_key),
    )


def test_a_whole_run_with_only_the_clouds_api_emulated(world: World, machines: Machines) -> None:
    point_packer_at(machines, world)
    (world.leaf / "provision.sh").write_text("#!/bin/sh\nuname -r > made-by-packer\n")
    path = world.leaf / "packer.json"
    document = json.loads(path.read_text())
    document["provisioners"] = [{"type": "shell", "script": "provision.sh"}]
    path.write_text(json.dumps(document))
    suite = '#!/bin/sh\nssh -F "$OSQUAL_SSH_CONFIG" {} test -s {}\n'
    (world.product / "integration.sh").write_text(suite.format("master-1", "made-by-packer"))
    (world.product / "framework.sh").write_text(suite.format("private-agent-1", "/etc/os-release"))
    with cloud_of(machines, world):
        result = world.run()
    assert result["verdict"] == "qualified"
    assert all(world.cloud.is_public(*item) for item in result["images"].items())
    assert len(world.published()) == 3
    assert world.cloud.left() == {}


def test_the_same_with_the_product_dcos(world: World, machines: Machines) -> None:
    leaf = world.catalogue / DCOS_LEAF
    leaf.parent.mkdir(parents=True)
    point_packer_at(machines, world)
    shutil.move(str(world.leaf), str(leaf))
    path = leaf / "packer.json"
    document = json.loads(path.read_text())
    document["provisioners"] = [
        {"type": "file", "source": "python.tar.gz", "destination": "/tmp/python.tar.gz"},
        {"type": "shell", "script": "provision.sh"},
    ]
    path.write_text(json.dumps(document))
    make_python(leaf / "python.tar.gz")
    (leaf / "provision.sh").write_text(DCOS_LAYOUT + DCOS_SUITE)
    profile = PROFILE.format(url=world.cloud.direct).replace(
        "thing_url", "custom_dcos_download_path"
    )
    (leaf / "cluster_profile.tfvars").write_text(profile)
    (leaf / "publish_and_test_config.yaml").write_text(
        "publish_dcos_images_after: integration_tests\n"
        "run_framework_tests: false\n"
        "tests_to_run: [\"-k 'not test_muted'\"]\n"
    )
    # The agent is not made from the image that Packer provisioned, so it gets the same by hand.
    subprocess.run(
        [*machines.machine("private-agent-1").ssh_argv(), "sh", "-s"],
        input=DCOS_LAYOUT,
        text=True,
        check=True,
    )
    with cloud_of(machines, world):
        done = world.osqual("run", DCOS_LEAF, "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["verdict"] == "qualified"
    assert result["totals"]["pass"] == 1
    assert world.cloud.left() == {}
    assert LEAF not in done.stdout
