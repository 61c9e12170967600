"""The variables of a cluster: the profile's, with those that osqual gives itself. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from osqual.errors import InvalidInput
from osqual.platforms.base import ProvisionRequest, TerraformWish
from osqual.terraform.module import Declared

IMAGE = "aws_ami"
REGION = "aws_region"
SSH_USER = "ssh_user"
PUBLIC_KEY = "ssh_public_key"
KEY_NAME = "ssh_key_name"


class UnknownVariable(InvalidInput):
    """The profile sets a variable that neither the module nor the product knows."""


class MissingVariable(InvalidInput):
    """The module needs a variable that nothing sets."""


class UnsuitableModule(InvalidInput):
    """The module cannot be told the image, or does not tell its nodes' addresses."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What osqual knows and gives to every module that asks for it."""

    cluster_name: str
    ssh_public_key: str
    operator_cidr: str
    run_tags: Mapping[str, str]
    image: str

    def of(self, request: ProvisionRequest, region: str) -> dict[str, Any]:
        """By the names that modules ask for it."""
        return {
            IMAGE: self.image,
            REGION: region,
            SSH_USER: request.ssh_user,
            PUBLIC_KEY: self.ssh_public_key,
            "operator_cidr": self.operator_cidr,
            "cluster_name": self.cluster_name,
            "run_tags": dict(self.run_tags),
        }


def cluster_region(variables: Mapping[str, Any], wish: TerraformWish) -> str:
    """Where the cluster is made: the profile decides, else it is where the image is built."""
    return str(variables.get(REGION) or wish.region)


def cluster_variables(
    request: ProvisionRequest,
    wish: TerraformWish,
    declared: Declared,
    given: Given,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """What the module is given: settings, then the profile, then what only the run knows.

    Raises UnknownVariable, MissingVariable or UnsuitableModule.
    """
    check_unknown(request.variables, declared, wish.product_variables)
    if IMAGE not in declared.variables:
        raise UnsuitableModule(
            f"The Terraform module {wish.module} has no variable {IMAGE!r}.",
            resolution="choose a module that can be told which image its nodes start from",
        )
    wanted = {**extra, **request.variables}
    region = cluster_region(wanted, wish)
    variables = {
        name: value
        for name, value in {**wanted, **given.of(request, region)}.items()
        if name in declared.variables
    }
    missing = sorted(
        name for name, needed in declared.variables.items() if needed and name not in variables
    )
    if missing:
        raise MissingVariable(
            f"The Terraform module {wish.module} needs {', '.join(missing)}.",
            resolution="set it in the cluster profile, or under terraform.variables in osqual.yaml",
        )
    return variables


def check_unknown(
    variables: Mapping[str, Any], declared: Declared, product_variables: tuple[str, ...]
) -> None:
    """Refuse a profile that sets what nobody reads: most often it is misspelt."""
    known = {*declared.variables, *product_variables}
    unknown = sorted(set(variables) - known)
    if not unknown:
        return
    lines = []
    for name in unknown:
        near = get_close_matches(name, known, n=1)
        lines.append(f"{name}{f' (did you mean {near[0]}?)' if near else ''}")
    raise UnknownVariable(
        "The cluster profile sets variables that neither the module nor the product knows.",
        details="\n".join(lines),
        resolution="correct or remove them",
    )
