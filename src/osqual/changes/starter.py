"""The files of a new catalogue: its settings, explained, and one small working configuration."""

from collections.abc import Mapping

LEAF = "debian/12/qemu/hello-1.0/docker-20.10"
"""The configuration that a new catalogue begins with."""

_SETTINGS = """\
# Settings of this catalogue. Everything has a default; `osqual schema osqual` lists it all.

# How a configuration's directory names its dimensions: {names}, literal text, [optional parts].
layout: "{os}/{os_version}/{platform}/{product}-{release}/docker-{docker}[/{variant}]"

# The region that `osqual find` answers for when none is asked for. QEMU's is `local`.
default_region: local

# Where product definitions are: products/NAME/product.yaml for the dimension `product`.
products: products

# Values that mean the same as another one of their dimension.
# aliases:
#   variant:
#     selinux_enabled_enforcing: selinux_enforcing

# Other names for a configuration's files.
# files:
#   profile: cluster_profile.tfvars

# The embedded platform; sizes are per node.
# qemu:
#   memory_mb: 1024
#   cpus: 2              # default: 2, fewer under emulation
#   disk_gb: 10

# Seconds that a step may take.
# time_limits:
#   build: 3600
#   test: 7200
"""

_IGNORED = """\
# What tools leave behind. Of what osqual makes, only what it publishes lies in the catalogue.
.terraform/
*.tfstate*
packer_cache/
output-*/
crash.log
"""

_TEMPLATE = """\
{
  "builders": [
    {
      "type": "qemu",
      "iso_url": "debian-12.qcow2",
      "iso_checksum": "none",
      "disk_image": true,
      "disk_size": "4096M",
      "format": "qcow2",
      "memory": 1024,
      "cpus": 2,
      "headless": true,
      "ssh_username": "debian",
      "ssh_timeout": "15m",
      "shutdown_command": "sudo -n systemctl poweroff"
    }
  ],
  "provisioners": [
    {
      "type": "shell",
      "script": "install_docker.sh",
      "environment_vars": ["DOCKER_VERSION=20.10"],
      "execute_command": "chmod +x {{.Path}}; sudo -n env {{.Vars}} {{.Path}}"
    }
  ],
  "post-processors": [
    {
      "type": "manifest",
      "output": "packer_build_history.json",
      "strip_path": true
    }
  ]
}
"""

_INSTALL_DOCKER = """\
#!/bin/sh
# What every node of the cluster has before the product is installed: it goes into the image.
set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y install --no-install-recommends "docker.io=$DOCKER_VERSION.*"
apt-get clean
"""

_PROFILE = """\
# How many nodes of each role the cluster has.
num_of_masters        = "1"
num_of_private_agents = "1"
num_of_public_agents  = "1"
"""

_CONFIG = """\
# Publish after: packer_build, dcos_installation, integration_tests or never.
publish_dcos_images_after: integration_tests
run_integration_tests: true
run_framework_tests: false
"""

_PRODUCT = """\
description: "The smallest product there is: a greeting on every node."

# Scripts of the installation, in order, and the nodes that each runs on.
install:
  - name: configure
    script: install/configure.sh
    nodes: all

# What it has to pass.
suites:
  - name: integration
    stage: integration
    kind: pytest
    path: tests
"""

_CONFIGURE = """\
#!/bin/sh
# Runs as root on every node. OSQUAL_RELEASE and the other dimensions, the nodes' addresses and the
# profile's variables are in the environment.
set -eu

echo "hello $OSQUAL_RELEASE" >/etc/hello
"""

_TESTS = """\
# Runs on this machine; `nodes` and `machine` give the cluster under test.
import pytest


def test_every_node_says_hello(nodes, machine):
    for node in nodes:
        assert machine(node).run(["cat", "/etc/hello"]).stdout.startswith("hello ")


@pytest.mark.parametrize("role", ["master", "private_agent", "public_agent"])
def test_docker_is_installed(nodes, machine, role):
    for node in (node for node in nodes if node.role == role):
        assert "20.10" in machine(node).run(["docker", "--version"]).stdout
"""

BARE: Mapping[str, str] = {"osqual.yaml": _SETTINGS, ".gitignore": _IGNORED}
"""What a catalogue has that brings its own configurations."""

EXAMPLE: Mapping[str, str] = {
    **BARE,
    "debian/12/qemu/base_images.json": '{\n  "local": "debian:bookworm"\n}\n',
    f"{LEAF}/packer.json": _TEMPLATE,
    f"{LEAF}/install_docker.sh": _INSTALL_DOCKER,
    f"{LEAF}/cluster_profile.tfvars": _PROFILE,
    f"{LEAF}/publish_and_test_config.yaml": _CONFIG,
    "products/hello/product.yaml": _PRODUCT,
    "products/hello/install/configure.sh": _CONFIGURE,
    "products/hello/tests/test_hello.py": _TESTS,
}
"""A whole catalogue that this machine can qualify."""
