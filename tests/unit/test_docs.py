"""Every command that the documentation and the help show: it is run, and prints what is shown.

Where it needs a machine, a cloud or a forge, the page says so, and it is at least understood.
"""

import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import click
import pytest

from osqual.cli.main import COMMANDS, cli, main
from tests.console_blocks import Command, commands_in, fenced_lines, matches, pages
from tests.fixtures.catalogue_small import leaf_files, publish, write
from tests.fixtures.recorded_runs import put_published, put_runs

ROOT = Path(__file__).parents[2]
PAGES = [page for page in pages(ROOT) if page.name != "CHANGELOG.md"]
EXAMPLE = "debian/12/qemu/swarm-20.10/docker-20.10"
NEWEST = "centos/7.8/aws/DCOS-2.1.1/docker-19.03.5-ce/selinux_enforcing"
FINAL = "centos/7.8/aws/DCOS-2.0.1/docker-19.03.5-ce/selinux_enforcing"
CANDIDATE = "centos/7.8/aws/DCOS-2.1.0-rc2/docker-19.03.5-ce"
RHEL = "rhel/7.7/aws/DCOS-1.12.1/docker-19.03.5-ce"
FLATCAR = "flatcar-linux/2345.3.1/aws/DCOS-2.1.1/docker-18.06.3"
HELLO = "debian/12/qemu/hello-1.0/docker-20.10"
BASE = "ami-0123456789abcdef0"
OLDER, NEWER = "ami-0a17c39d5be2f4086", "ami-0b51d7a3f0c2e4d68"
NEEDED = ("centos-7.9.json", "coreos/2512.3.0/aws/coreos_production_ami_all.json", "flatcar.json")
FEED = {"amis": [{"name": "us-west-2", "hvm": "ami-0a2605600000000aa"}]}
PROFILE = """\
aws_master_instance_type = "m5.xlarge"
aws_availability_zone = "us-west-2a"
expiration = "2h"
custom_dcos_download_path = "https://downloads.dcos.io/dcos/testing/{}/dcos_generate_config.sh"
"""


ACTING = {"cancel", "destroy", "reap", "rerun", "resume", "run", "ssh", "submit", "worker"}
"""Commands that start machines, or end some that may be somebody else's: never run by this test."""


@dataclass
class Terminal:
    """A directory in which commands are typed, with the state and caches of nobody else."""

    home: Path
    patch: pytest.MonkeyPatch
    leaf: str = EXAMPLE
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.home / "examples"
        for name in ("cache", "state", "data"):
            self.patch.setenv(f"OSQUAL_{name.upper()}_DIR", str(self.home / name))
        self.patch.setenv("COLUMNS", "100")
        for role in ("AUTHOR", "COMMITTER"):
            self.patch.setenv(f"GIT_{role}_NAME", "somebody")
            self.patch.setenv(f"GIT_{role}_EMAIL", "somebody@example.org")

    def type(self, command: Command) -> tuple[int, str]:
        """Exit code, and what is seen: standard output and standard error as they come."""
        words = [self.leaf if word == "LEAF" else word for word in command.words]
        target = words[-1] if len(words) > 2 and words[-2] == ">" else None
        program, *arguments = words[:-2] if target else words
        if program == "cd":
            self.patch.chdir(arguments[0])
            return 0, ""
        code, seen = TYPED.get(program, run_program)(program, arguments)
        if target:
            Path(target).write_text(seen)
            return code, ""
        return code, seen

    def commit(self) -> None:
        """Commit whatever there is, so that each command finds a clean work tree."""
        if (self.root / ".git").exists():
            git("add", "-A")
            git("commit", "-qm", "more", "--allow-empty")


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def run_osqual(_program: str, arguments: list[str]) -> tuple[int, str]:
    written = io.BytesIO()
    seen = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", seen)
        patch.setattr(sys, "stderr", seen)
        patch.setattr(sys, "argv", ["osqual", *arguments])
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    return int(ended.value.code or 0), written.getvalue().decode()


def run_program(program: str, arguments: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        [program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


TYPED: Mapping[str, Callable[[str, list[str]], tuple[int, str]]] = {"osqual": run_osqual}


def write_named(root: Path) -> None:
    """Files that commands name."""
    write(root, {"collected.txt": "test_gpu.py::test_gpu\n", **dict.fromkeys(NEEDED, FEED)})


def dcos_images(terminal: Terminal) -> None:
    """What the how-tos speak of: a small catalogue of the kind of dcos/dcos-images."""
    root, terminal.leaf = terminal.root, NEWEST
    for path in (NEWEST, FINAL, CANDIDATE, RHEL, FLATCAR):
        release = path.split("DCOS-")[1].partition("/")[0]
        write(root, leaf_files(path, instance_type="m5.xlarge"))
        write(root, {f"{path}/cluster_profile.tfvars": PROFILE.format(release)})
        bases = "/".join(path.split("/")[:3])
        write(root, {f"{bases}/base_images.json": {"us-west-2": BASE}})
    (root / RHEL / "cluster_profile.tfvars").rename(root / RHEL / "desired_cluster_profile.tfvars")
    write(root, {f"{RHEL}/publish_and_test_config.yaml": "tests_to_run: [-k 'not test_gpu']\n"})
    publish(root, RHEL, {"us-west-2": "ami-0c8e2f7419b3d5a60"})
    write(root, leaf_files(HELLO))
    write(root, {"channels/stable.yaml": f"{HELLO}: {{images: {{local: 'sha256:{'0' * 64}'}}}}\n"})
    write_named(root)
    terminal.patch.chdir(root)
    git("init", "-q")
    for image, script in ((OLDER, "set -e\n"), (NEWER, "set -e\necho newer\n")):
        publish(root, NEWEST, {"us-west-2": image})
        write(root, {f"{NEWEST}/install.sh": script})
        terminal.commit()


def examples(terminal: Terminal) -> None:
    """The example catalogue as it is before anything was run."""
    shutil.copytree(ROOT / "examples", terminal.root)
    terminal.patch.chdir(terminal.root)
    git("init", "-q", "-b", "main")
    terminal.commit()


def examples_with_runs(terminal: Terminal) -> None:
    """The example catalogue, with runs that took place and what they have published."""
    examples(terminal)
    put_published(terminal.root)
    put_runs(terminal.home / "state")
    write(terminal.root, {"policy.yaml": "max_muted: 0\n"})
    terminal.commit()


def empty(terminal: Terminal) -> None:
    """An empty directory."""
    terminal.root.mkdir()
    terminal.patch.chdir(terminal.root)


SCENES = {
    "dcos-images": dcos_images,
    "empty": empty,
    "examples": examples,
    "examples, with runs": examples_with_runs,
}


def parse(arguments: list[str]) -> None:
    """Have a command line understood, and do nothing. Raises click's errors."""
    arguments = [NEWEST if word == "LEAF" else word for word in arguments]
    command: click.Command | None = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and arguments[:1] != ["--help"]:
        name = arguments.pop(0)
        command = command.get_command(context, name)
        assert command is not None, name
        context = click.Context(command, parent=context, info_name=name)
    assert command is not None
    if "--help" not in arguments:
        command.make_context(command.name, arguments).close()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_a_page_print_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page.read_text()
    commits_itself = "git init" in text or "git commit" in text
    for number, (scene, commands) in enumerate(groupby(commands_in(text), lambda c: c.scene)):
        home = tmp_path / str(number)
        home.mkdir()
        terminal = Terminal(home=home, patch=monkeypatch)
        SCENES[scene](terminal)
        for command in commands:
            where = f"{page.relative_to(ROOT)}:{command.line}: {command.text}"
            check(command, terminal, where)
            if not commits_itself:
                terminal.commit()


def check(command: Command, terminal: Terminal, where: str) -> None:
    """It is understood; it can be run, or the page says why not; it prints what is shown."""
    if command.words[0] == "osqual" and ">" not in command.words:
        parse(command.words[1:])
    if not command.not_run:
        acts = ACTING & {*command.words[1:2]} and "--dry-run" not in command.words
        assert not acts, f"{where}: say why no test runs it"
        code, seen = terminal.type(command)
        assert code == command.exit_code, f"{where}\n{seen}"
        assert not command.output or matches(command.output, seen), f"{where}\n{seen}"


def test_every_command_is_in_a_block_that_is_tested() -> None:
    for page in PAGES:
        for kind, line in fenced_lines(page.read_text()):
            if kind != "console" and line.startswith(("osqual ", "$ ")):
                how = "put it after `$ ` into a block of the kind console: tests/console_blocks.py"
                pytest.fail(f"{page.relative_to(ROOT)}: {line}: {how}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_of_the_help_is_understood(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_named(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    examples = (command.epilog or "").replace("\\\n", " ").splitlines()
    for line in examples:
        if line.strip().startswith(f"osqual {name}"):
            line = re.split(r" [|>]+ ", line.replace("…", "x"))[0]
            parse(shlex.split(line, comments=True)[1:])
