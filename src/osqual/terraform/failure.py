"""Terraform's words turned into named errors with a way out."""

from dataclasses import dataclass

from osqual.errors import InfrastructureError, InvalidInput, OsqualError, TransientError


class TerraformFailed(InfrastructureError):
    """A Terraform command did not succeed."""


class NoCapacity(TransientError):
    """The cloud has no machine of that kind to give now."""


class ModuleUnavailable(InvalidInput):
    """The module, or a provider that it needs, cannot be fetched."""


class VariablesRefused(InvalidInput):
    """The module does not take the variables as they are."""


@dataclass(frozen=True, kw_only=True)
class _Cause:
    phrases: tuple[str, ...]
    brief: str
    resolution: str
    kind: type[OsqualError]


_CAUSES = (
    _Cause(
        phrases=("InsufficientInstanceCapacity", "InstanceLimitExceeded", "VcpuLimitExceeded"),
        brief="The cloud gives no further instance of this type now.",
        resolution="try again later, use another type or zone in the profile, or ask for quota",
        kind=NoCapacity,
    ),
    _Cause(
        phrases=("Failed to download module", "Could not download module", "Module not found",
                 "error downloading", "Failed to query available provider packages",
                 "Failed to install provider", "no available releases match"),
        brief="Terraform cannot fetch the module or one of its providers.",
        resolution="look at the source in `terraform.module` of osqual.yaml, and at the network",
        kind=ModuleUnavailable,
    ),
    _Cause(
        phrases=("No value for required variable", "Invalid value for", "Unsupported argument",
                 "Invalid value for input variable", "variable not declared"),
        brief="The module does not take the variables of the profile.",
        resolution="correct the cluster profile",
        kind=VariablesRefused,
    ),
    _Cause(
        phrases=("Unsupported Terraform Core version",),
        brief="The module does not run with this version of Terraform.",
        resolution="set `terraform.program` in osqual.yaml to a program of a version it accepts",
        kind=ModuleUnavailable,
    ),
    _Cause(
        phrases=("state lock", "state is already locked"),
        brief="Another process holds the Terraform state.",
        resolution="wait for it; `terraform.lock_timeout_s` in osqual.yaml says for how long",
        kind=TerraformFailed,
    ),
)  # fmt: skip


def explain(command: str, words: str) -> OsqualError:
    """The error for what a Terraform command printed."""
    for cause in _CAUSES:
        if any(phrase in words for phrase in cause.phrases):
            return cause.kind(cause.brief, details=words, resolution=cause.resolution)
    return TerraformFailed(
        f"terraform {command} failed.",
        details=words,
        resolution="Terraform's own words are above",
    )
