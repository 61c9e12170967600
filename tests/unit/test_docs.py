"""Every command that the documentation and the help show: it is understood, and where it only needs
a catalogue it does what it is shown for.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from osqual.cli.main import COMMANDS, cli
from tests.fixtures.catalogue_small import leaf_files, publish, write
from tests.fixtures.shell import Shell

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
HOW_TO = sorted(path for path in (ROOT / "docs" / "how-to").glob("*.md") if path.stem != "README")
# Machines and clouds are no matter of a unit test: these are only parsed.
LIFE = {"resume", "cancel", "reap", "resources", "submit", "worker", "queue", "schedule"}
CLOUD = {"images", "base"}
ELSEWHERE = (
    {
        "run",
        "runs",
        "why",
        "rerun",
        "report",
        "publish",
        "verify",
        "keys",
        "ci",
        "promote",
        "bundle",
        "logs",
        "ssh",
        "destroy",
        "doctor",
        "cache",
    }
    | LIFE
    | CLOUD
)

NEWEST = "centos/7.8/aws/DCOS-2.1.1/docker-19.03.5-ce/selinux_enforcing"
FINAL = "centos/7.8/aws/DCOS-2.0.1/docker-19.03.5-ce/selinux_enforcing"
CANDIDATE = "centos/7.8/aws/DCOS-2.1.0-rc2/docker-19.03.5-ce"
RHEL = "rhel/7.7/aws/DCOS-1.12.1/docker-19.03.5-ce"
FLATCAR = "flatcar-linux/2345.3.1/aws/DCOS-2.1.1/docker-18.06.3"
HELLO = "debian/12/qemu/hello-1.0/docker-20.10"
BASE = "ami-0123456789abcdef0"
FEED = {"amis": [{"name": "us-west-2", "hvm": "ami-0a2605600000000aa"}]}
PROFILE = """\
aws_master_instance_type = "m5.xlarge"
aws_availability_zone = "us-west-2a"
expiration = "2h"
custom_dcos_download_path = "https://downloads.dcos.io/dcos/testing/{}/dcos_generate_config.sh"
"""


def documented_catalogue(root: Path) -> None:
    """What the pages speak of."""
    for path in (NEWEST, FINAL, CANDIDATE, RHEL, FLATCAR):
        release = path.split("DCOS-")[1].partition("/")[0]
        write(root, leaf_files(path, instance_type="m5.xlarge"))
        write(root, {f"{path}/cluster_profile.tfvars": PROFILE.format(release)})
        bases = "/".join(path.split("/")[:3])
        write(root, {f"{bases}/base_images.json": {"us-west-2": BASE}})
    (root / RHEL / "cluster_profile.tfvars").rename(root / RHEL / "desired_cluster_profile.tfvars")
    write(root, {f"{RHEL}/publish_and_test_config.yaml": "tests_to_run: [-k 'not test_gpu']\n"})
    publish(root, RHEL, {"us-west-2": "ami-0c"})
    write(root, leaf_files(HELLO))
    write(root, {"channels/stable.yaml": f"{HELLO}: {{images: {{local: 'sha256:{'0' * 64}'}}}}\n"})
    for name in ("centos-7.9.json", "flatcar.json"):
        write(root, {name: FEED})
    write(root, {"coreos/2512.3.0/aws/coreos_production_ami_all.json": FEED})
    write(root, {"collected.txt": "test_gpu.py::test_gpu\n"})


@pytest.fixture
def documented(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A catalogue with all that the pages speak of, in which an image was built twice."""
    root = shell.root.parent / "documented"
    documented_catalogue(root)
    monkeypatch.chdir(root)
    shell.root = root
    shell.git("init", "-q")
    for image, script in (("ami-0a", "set -e\n"), ("ami-0b", "set -e\necho newer\n")):
        publish(root, NEWEST, {"us-west-2": image})
        write(root, {f"{NEWEST}/install.sh": script})
        shell.commit()
    return shell


def shown(text: str) -> Iterator[str]:
    """Commands in fenced blocks; a line that ends in a backslash goes on."""
    for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("osqual "):
                yield line


def arguments_of(line: str) -> list[str]:
    return [NEWEST if word == "LEAF" else word for word in shlex.split(line, comments=True)[1:]]


def parse(arguments: list[str]) -> None:
    """Have a command line understood, and do nothing. Raises click's errors."""
    command = cli.get_command(click.Context(cli), arguments[0])
    assert command is not None, arguments
    command.make_context(arguments[0], arguments[1:]).close()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_page_is_understood(page: Path, documented: Shell) -> None:
    for line in shown(page.read_text()):
        parse(arguments_of(line))


@pytest.mark.parametrize("page", HOW_TO, ids=lambda path: path.stem)
def test_the_commands_of_a_page_do_their_job(page: Path, documented: Shell) -> None:
    lines = list(shown(page.read_text()))
    assert lines
    for line in lines:
        arguments = arguments_of(line)
        if arguments[0] not in ELSEWHERE:
            found_errors = arguments[0] == "lint" and "--fix" not in arguments
            code = documented.osqual(*arguments)
            assert code == 0 or (found_errors and code == 1), f"{line}\n{documented.err}"
            assert documented.out or documented.err, line
            documented.commit()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_of_the_help_is_understood(name: str, documented: Shell) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    examples = (command.epilog or "").replace("\\\n", " ").splitlines()
    for line in examples:
        if line.strip().startswith(f"osqual {name}"):
            line = re.split(r" [|>]+ ", line.replace("…", "x"))[0]
            parse(arguments_of(line))
