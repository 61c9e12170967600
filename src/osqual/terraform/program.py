"""Which Terraform or OpenTofu a run uses, and whether its version is the one that is wanted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from osqual.cancellation import Cancellation
from osqual.errors import InvalidInput
from osqual.processes.process import find_program, run

_VERSION_FILE = ".terraform-version"
_TOFU_VERSION_FILE = ".opentofu-version"
_PLAIN_VERSION = re.compile(r"v?(\d+\.\d+\.\d+\S*)")
_SAYS = re.compile(r"(Terraform|OpenTofu) v(\S+)")


def version_files(program: str) -> tuple[str, ...]:
    """The files by which tfenv and tofuenv know the version, those that count first."""
    own = (_TOFU_VERSION_FILE,) if Path(program).name.startswith("tofu") else ()
    return (*own, _VERSION_FILE)


class TerraformMismatch(InvalidInput):
    """The program that was found is not of the version that was asked for."""


@dataclass(frozen=True, kw_only=True)
class WantedVersion:
    """A version or range (`1.5.7`, `>= 1.5, < 2`, `~> 1.5`), and who asks for it."""

    text: str
    source: str

    @property
    def exact(self) -> str:
        """The one version that is asked for; empty for a range."""
        match = _PLAIN_VERSION.fullmatch(self.text.strip())
        return match[1] if match else ""

    def allows(self, version: Version) -> bool:
        """Whether a version will do. Raises InvalidInput for what is neither."""
        text = self.text.strip()
        if text.startswith("latest") or text == "min-required":  # words of tfenv
            return True
        if self.exact:
            return version == Version(self.exact)
        try:
            return version in SpecifierSet(text.replace("~>", "~="), prereleases=True)
        except InvalidSpecifier as error:
            raise InvalidInput(
                f"{self.source}: {text!r} is not a version or a range of versions.",
                resolution="write it like 1.5.7 or like '>= 1.5, < 2'",
            ) from error


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """A program that was found: `terraform`, `tofu`, or a path."""

    program: str
    version: Version
    environment: Mapping[str, str]
    """What makes version managers choose the same version again."""


def find_terraform(
    program: str, wanted: WantedVersion | None, cancellation: Cancellation
) -> Terraform:
    """The program with its version. Raises MissingProgram or TerraformMismatch."""
    find_program(program)
    environment = {"CHECKPOINT_DISABLE": "1"}
    if wanted is not None and wanted.exact:
        environment["TFENV_TERRAFORM_VERSION"] = wanted.exact
        environment["TOFUENV_TOFU_VERSION"] = wanted.exact
    said = run([program, "version"], env=environment, cancellation=cancellation).stdout
    version = _version_in(said, program)
    if wanted is not None and not wanted.allows(version):
        raise TerraformMismatch(
            f"{program} is version {version}, and {wanted.text} is wanted.",
            details=f"Wanted by {wanted.source}.",
            resolution=f"install {wanted.text} (tfenv does so), set `terraform.program` in "
            "osqual.yaml to a program of that version, or change what is wanted",
        )
    return Terraform(program=program, version=version, environment=environment)


def _version_in(said: str, program: str) -> Version:
    match = _SAYS.search(said)
    try:
        return Version(match[2]) if match else Version("")
    except InvalidVersion as error:
        raise InvalidInput(
            f"{program} does not say which version of Terraform or OpenTofu it is.",
            details=said.strip(),
            resolution="set `terraform.program` in osqual.yaml to terraform or tofu",
        ) from error
