"""A cloud for tests: moto's server behind a proxy, an ssh server for all its nodes, a catalogue.

Terraform, its AWS provider, Packer, ssh and osqual are the real ones. Only the cloud's API is not.
"""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.aws.provider import REATTACH, running_provider
from tests.integration.aws.proxy import FaultyCloud, faulty_cloud

REGION, OTHER_REGION = "us-west-2", "us-east-1"
BASE = "ami-0977d7933110e9633"
NEWER = "ami-0aaaaaaaaaaaaaaaa"
LEAF = "centos/7.6/aws/thing-1.0/docker-19.03.5"
LIMIT_S = 900
PUBLISHED = ("dcos_images.yaml", "packer_build_history.json", "qualification.json")
PROFILE = """\
aws_region = "us-west-2"
aws_master_instance_type = "m5.large"
aws_agent_instance_type = "m5.large"
aws_public_agent_instance_type = "m5.large"
num_of_masters = "1"
num_of_private_agents = "1"
num_of_public_agents = "0"
root_volume_gb = 20
owner = "tests"
thing_url = "{url}"
"""
PRODUCT = """\
description: a thing
profile: {variables: [thing_url], installer: thing_url}
install:
  - {name: prepare, script: prepare.sh, user: ssh, parallel: false}
suites:
  - {name: integration, stage: integration, kind: command, path: integration.sh}
  - {name: framework, stage: framework, kind: command, path: framework.sh}
"""
SUITE = '#!/bin/sh\nssh -F "$OSQUAL_SSH_CONFIG" master-1 true && exit {status}\n'
OUTPUTS = (
    "master_public_ips",
    "master_private_ips",
    "private_agent_private_ips",
    "public_agent_private_ips",
)
NO_CLUSTER_VARIABLES = (
    *("aws_ami", "aws_region", "owner", "ssh_public_key", "root_volume_gb"),
    *(f"aws_{kind}_instance_type" for kind in ("master", "agent", "public_agent")),
    *(f"num_of_{role}" for role in ("masters", "private_agents", "public_agents")),
)
NO_CLUSTER = "".join(
    [
        *(f'variable "{name}" {{\n  default = ""\n}}\n' for name in NO_CLUSTER_VARIABLES),
        *(f'output "{name}" {{\n  value = []\n}}\n' for name in OUTPUTS),
    ]
)

NETWORK = """
provider "aws" {
  region = var.aws_region
}

resource "aws_vpc" "it" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_security_group" "it" {
  name   = "it"
  vpc_id = aws_vpc.it.id
}
"""
"""What a module without machines may still make: quick, and something to be left behind."""


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """Skip, or fail where everything is required, when a program is missing."""
    missing = [name for name in ("terraform", "packer", "ssh") if shutil.which(name) is None]
    missing += [] if sshd_program() else ["sshd"]
    if missing:
        text = f"not installed: {', '.join(missing)}"
        if os.environ.get("OSQUAL_TEST_REQUIRE_ALL"):
            pytest.fail(text)
        pytest.skip(text)


def sshd_program() -> str | None:
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_port(port: int) -> None:
    give_up = time.monotonic() + 300
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < give_up, f"nothing listens on {port}"
        time.sleep(0.1)


def vendor_image(image_id: str, name: str, created: str = "2020-01-01") -> dict[str, Any]:
    """An image of a vendor, as MOTO_AMIS_PATH wants it."""
    return {
        "ami_id": image_id,
        "name": name,
        "description": name,
        "owner_id": "125523088429",
        "public": True,
        "virtualization_type": "hvm",
        "architecture": "x86_64",
        "state": "available",
        "platform": None,
        "image_type": "machine",
        "hypervisor": "xen",
        "root_device_type": "ebs",
        "root_device_name": "/dev/sda1",
        "sriov": "simple",
        "creation_date": f"{created}T00:00:00.000Z",
    }


@dataclass(frozen=True)
class Cloud:
    """The emulated cloud, directly and through the proxy."""

    direct: str
    proxy: FaultyCloud

    def client(self, service: str = "ec2", region: str = REGION) -> Any:
        import boto3

        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.direct,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def reset(self) -> None:
        """An empty cloud, and no faults."""
        httpx.post(f"{self.direct}/moto-api/reset", timeout=30)
        self.proxy.reset()

    def own_images(self, region: str = REGION) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client(region=region).describe_images(Owners=["self"])[
            "Images"
        ]
        return found

    def is_public(self, region: str, image_id: str) -> bool:
        answer = self.client(region=region).describe_image_attribute(
            ImageId=image_id, Attribute="launchPermission"
        )
        return {"Group": "all"} in answer["LaunchPermissions"]

    def left(self) -> dict[str, list[str]]:
        """Everything that costs money or is in the way, beside images."""
        found: dict[str, list[str]] = {}
        for region in (REGION, OTHER_REGION):
            ec2 = self.client(region=region)
            found[f"{region} instances"] = [
                instance["InstanceId"]
                for reservation in ec2.describe_instances()["Reservations"]
                for instance in reservation["Instances"]
                if instance["State"]["Name"] != "terminated"
            ]
            found[f"{region} keys"] = [
                pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"]
            ]
            found[f"{region} networks"] = [
                vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]
            ]
            found[f"{region} groups"] = [
                group["GroupId"]
                for group in ec2.describe_security_groups()["SecurityGroups"]
                if group["GroupName"] != "default"
            ]
        return {name: values for name, values in found.items() if values}


@pytest.fixture(scope="session")
def room() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="osqual-aws-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def cloud_server(room: Path) -> Iterator[Cloud]:
    amis = room / "amis.json"
    amis.write_text(json.dumps(known_images()))
    port = free_port()
    program = Path(sys.executable).with_name("moto_server")
    with (room / "moto.log").open("wb") as log:
        server = subprocess.Popen(
            [str(program), "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "MOTO_AMIS_PATH": str(amis)},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for_port(port)
        with faulty_cloud("127.0.0.1", port) as proxy:
            yield Cloud(f"http://127.0.0.1:{port}", proxy)
    finally:
        server.terminate()
        server.wait(30)


def known_images() -> list[dict[str, Any]]:
    """The base images of the test's own catalogue."""
    found = {BASE: vendor_image(BASE, "CentOS Linux 7 x86_64 HVM EBS ENA 1901")}
    found[NEWER] = vendor_image(NEWER, "CentOS Linux 7.6 x86_64 HVM EBS ENA 2002", "2020-06-01")
    return list(found.values())


@pytest.fixture
def cloud(cloud_server: Cloud) -> Cloud:
    cloud_server.reset()
    return cloud_server


@pytest.fixture(scope="session")
def ssh_server(room: Path) -> Iterator[int]:
    """One ssh server that stands for every machine; it accepts the keys of all runs."""
    place = room / "ssh"
    place.mkdir()
    for name, kind in (("host", "ed25519"), ("builder", "rsa")):
        argv = ["ssh-keygen", "-q", "-t", kind, "-m", "PEM", "-N", "", "-f", str(place / name)]
        subprocess.run(argv, check=True)
    port = free_port()
    authorized = place / "authorized_keys"
    authorized.write_text((place / "builder.pub").read_text())
    (place / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nPidFile none\n"
        f"AuthorizedKeysFile {authorized}\nUsePAM no\nStrictModes no\n"
        "PasswordAuthentication no\nMaxStartups 50\nMaxSessions 50\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    program = sshd_program()
    assert program is not None
    with (place / "log").open("wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", str(place / "config")], stderr=log)
    stop = threading.Event()

    def authorise() -> None:
        """A cloud puts the key pair of a run on its instances; here it is this thread."""
        known: set[Path] = set()
        while not stop.wait(0.2):
            for key in set(room.glob("*/state/runs/*/cluster/keys/*.pub")) - known:
                known.add(key)
                with authorized.open("a") as stream:
                    stream.write(key.read_text())

    thread = threading.Thread(target=authorise, daemon=True)
    thread.start()
    try:
        wait_for_port(port)
        yield port
    finally:
        stop.set()
        thread.join()
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="session")
def terraform_config(room: Path, cloud_server: Cloud) -> Iterator[dict[str, str]]:
    """Where providers come from: a local mirror, if one is named; else as the user has it.

    A mirror's provider is started once for all; Terraform would do so for each command. For tests
    with one of their own it is overridden: its checksum is not computed before each command then.
    """
    mirror = os.environ.get("OSQUAL_TEST_TERRAFORM_MIRROR")
    if not mirror:
        yield {}
        return
    binaries = Path(mirror).glob("registry.terraform.io/hashicorp/aws/*/linux_amd64/terraform-*")
    unpacked = [path for path in binaries if path.suffix != ".zip"]
    config = room / "terraform.rc"
    override = f'"hashicorp/aws" = "{unpacked[0].parent}"\n' if unpacked else ""
    config.write_text(
        f"provider_installation {{\ndev_overrides {{\n{override}}}\n"
        f'filesystem_mirror {{\npath = "{mirror}"\n}}\n}}\n'
    )
    found = {"TF_CLI_CONFIG_FILE": str(config)}
    if not unpacked:
        yield found
        return
    with running_provider(unpacked[0], of_cloud(room, cloud_server), room / "provider.log") as more:
        yield {**found, **more}


@dataclass(frozen=True)
class World:
    """A catalogue of one configuration, and the real program in it."""

    root: Path
    cloud: Cloud
    env: dict[str, str]

    @property
    def catalogue(self) -> Path:
        return self.root / "catalogue"

    @property
    def leaf(self) -> Path:
        return self.catalogue / LEAF

    @property
    def product(self) -> Path:
        return self.catalogue / "products" / "thing"

    def start(self, *arguments: str, **extra: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "osqual", *arguments],
            cwd=self.catalogue,
            env={**self.env, **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def osqual(self, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """Run the program to its end; what hangs is interrupted and shown, and fails the test."""
        child = self.start(*arguments, **extra)
        try:
            stdout, stderr = child.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
            stdout, stderr = child.communicate(timeout=300)
            pytest.fail(f"osqual {' '.join(arguments)} hung:\n{stdout}{stderr}")
        print(f"$ osqual {' '.join(arguments)} -> {child.returncode}\n{stdout}{stderr}")
        return subprocess.CompletedProcess(arguments, child.returncode, stdout, stderr)

    def run(self, *arguments: str, code: int = 0, **extra: str) -> dict[str, Any]:
        done = self.osqual("run", LEAF, "--json", *arguments, **extra)
        assert done.returncode == code, done.stderr
        (result,) = json.loads(done.stdout)
        assert isinstance(result, dict)
        return result

    def refusal(self, *arguments: str, **extra: str) -> str:
        """What a run that must not even start says."""
        result = self.run(*arguments, code=2, **extra)
        assert self.cloud.left() == {}
        assert self.cloud.own_images() == []
        return json.dumps(result)

    def published(self) -> set[str]:
        return {name for name in PUBLISHED if (self.leaf / name).exists()}

    def forget_published(self) -> None:
        """As if nothing had been published yet."""
        for name in PUBLISHED:
            (self.leaf / name).unlink(missing_ok=True)

    def settings(self, text: str) -> None:
        (self.catalogue / "osqual.yaml").write_text(text)

    def without_cluster(self, resources: str = "") -> None:
        """For what is about images: a module that makes no machine, and suites that need none."""
        module = self.catalogue / "module"
        module.mkdir()
        (module / "main.tf").write_text(NO_CLUSTER + resources)
        self.settings("terraform: {module: ./module}\n")
        for name in ("integration.sh", "framework.sh"):
            (self.product / name).write_text("#!/bin/sh\n")

    def own_provider(self) -> None:
        """Have Terraform start the provider for each command, as it does for a person.

        For what interrupts a provider, or has its cloud fail: the shared one serves others too.
        """
        self.env.pop(REATTACH, None)

    def edit_template(self, **builder: Any) -> None:
        path = self.leaf / "packer.json"
        document = json.loads(path.read_text())
        document["builders"][0] |= builder
        path.write_text(json.dumps(document))


@pytest.fixture
def world(
    room: Path,
    cloud: Cloud,
    ssh_server: int,
    terraform_config: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> World:
    root = Path(tempfile.mkdtemp(prefix="world-", dir=room))
    found = World(root, cloud, environment(root, room, cloud, ssh_server, terraform_config))
    write_catalogue(found, room, ssh_server)
    return found


def environment(
    root: Path, room: Path, cloud: Cloud, port: int, extra: dict[str, str]
) -> dict[str, str]:
    config = room / "nodes.ssh"
    config.write_text(f"Host *\n  HostName 127.0.0.1\n  Port {port}\n")
    own = {f"OSQUAL_{name.upper()}_DIR": str(root / name) for name in ("state", "cache", "data")}
    return {
        **of_cloud(room, cloud),
        **own,
        "OSQUAL_AWS_SSH_CONFIG": str(config),
        "OSQUAL_AWS_OPERATOR_CIDR": "127.0.0.1/32",
        "COLUMNS": "120",
        "GOGC": "400",  # Terraform and Packer compute less, and there is memory enough
        **extra,
    }


def of_cloud(room: Path, cloud: Cloud) -> dict[str, str]:
    """An environment that says where the cloud is and who asks it, whatever else it said."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_"))}
    return {
        **inherited,
        "AWS_ENDPOINT_URL": cloud.proxy.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(room / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(room / "no-credentials"),
        "AWS_POLL_DELAY_SECONDS": "1",
    }


def write_catalogue(world: World, room: Path, port: int) -> None:
    world.leaf.mkdir(parents=True)
    template = {
        "variables": {"region": REGION, "key": "{{env `AWS_SECRET_ACCESS_KEY`}}"},
        "builders": [
            {
                "type": "amazon-ebs",
                "region": "{{user `region`}}",
                "secret_key": "{{user `key`}}",
                "instance_type": "m4.xlarge",
                "source_ami": "ami-00000000",
                "ami_name": "thing-{{timestamp}}",
                "ami_regions": [OTHER_REGION, REGION],
                "ami_groups": "all",
                "ssh_username": getpass.getuser(),
                "ssh_host": "127.0.0.1",
                "ssh_port": port,
                "ssh_private_key_file": str(room / "ssh" / "builder"),
            }
        ],
        "provisioners": [
            {"type": "file", "source": "greeting", "destination": f"{world.root}/uploaded"},
            {"type": "shell", "script": "provision.sh"},
        ],
        "post-processors": [[{"type": "manifest", "output": "packer_build_history.json"}]],
    }
    (world.leaf / "packer.json").write_text(json.dumps(template))
    (world.leaf / "greeting").write_text("hello\n")
    (world.leaf / "provision.sh").write_text(f"#!/bin/sh\ndate > {world.root}/provisioned\n")
    (world.leaf / "cluster_profile.tfvars").write_text(PROFILE.format(url=world.cloud.direct))
    (world.leaf / "publish_and_test_config.yaml").write_text(
        "publish_dcos_images_after: integration_tests\n"
    )
    base = world.catalogue / "centos" / "7.6" / "aws" / "base_images.json"
    base.write_text(json.dumps({REGION: BASE}))
    world.product.mkdir(parents=True)
    (world.product / "product.yaml").write_text(PRODUCT)
    (world.product / "prepare.sh").write_text("#!/bin/sh\necho installed\n")
    for name in ("integration.sh", "framework.sh"):
        (world.product / name).write_text(SUITE.format(status=0))
        (world.product / name).chmod(0o755)
    world.settings("products: products\n")
