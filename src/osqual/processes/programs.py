"""The external programs osqual works with: what each is for, its version, how to install it."""

import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from osqual.errors import OsqualError
from osqual.processes.process import INSTALL_COMMANDS, run

_VERSION = re.compile(r"\d+(?:\.\d+)+\S*|(?<=[ v])\d+\b")


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program by its name on PATH; `version_argv` prints its version."""

    name: str
    purpose: str
    version_argv: tuple[str, ...]
    platform: str = ""
    """The only platform that needs it; empty: every machine does."""


def terraform_program(name: str) -> Program:
    """Terraform, OpenTofu, or whatever program the settings name in their place."""
    return Program(
        name=name,
        purpose="clusters in a cloud",
        version_argv=(name, "version"),
        platform="aws",
    )


TERRAFORM = terraform_program("terraform")
PROGRAMS: tuple[Program, ...] = (
    Program(
        name="qemu-system-x86_64",
        purpose="virtual machines",
        version_argv=("qemu-system-x86_64", "--version"),
    ),
    Program(name="qemu-img", purpose="disk images", version_argv=("qemu-img", "--version")),
    Program(name="ssh", purpose="reaching nodes", version_argv=("ssh", "-V")),
    Program(name="ssh-keygen", purpose="one-run keys", version_argv=()),
    Program(name="git", purpose="catalogues", version_argv=("git", "--version")),
    Program(
        name="mmdebstrap",
        purpose="`debian:` base images",
        version_argv=("mmdebstrap", "--version"),
    ),
    Program(
        name="packer",
        purpose="images in a cloud, --builder packer",
        version_argv=("packer", "version"),
        platform="aws",
    ),
    TERRAFORM,
)


@dataclass(frozen=True, kw_only=True)
class FoundProgram:
    """What is known of a program on this machine; `path` is empty when it is missing."""

    program: Program
    path: str
    version: str

    @property
    def install(self) -> str:
        """The command that installs it on Debian and Ubuntu."""
        return INSTALL_COMMANDS.get(self.program.name, "put it there, or correct its name")


def inspect_programs(programs: Sequence[Program] = PROGRAMS) -> list[FoundProgram]:
    """Look for each program and ask it for its version, all of them at once."""

    def inspect(program: Program) -> FoundProgram:
        return FoundProgram(
            program=program,
            path=shutil.which(program.name) or "",
            version=program_version(program.version_argv),
        )

    with ThreadPoolExecutor(max_workers=max(1, len(programs))) as pool:
        return list(pool.map(inspect, programs))


def program_version(argv: Sequence[str]) -> str:
    """The first version number a command prints; empty when it does not say or does not run."""
    if not argv:
        return ""
    try:
        done = run(argv, check=False, timeout_s=20, env={"CHECKPOINT_DISABLE": "1"})
    except OsqualError:
        return ""
    match = _VERSION.search(done.stdout + done.stderr)
    return match[0].rstrip(",)") if match else ""
