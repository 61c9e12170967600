"""Ending a cluster that Terraform made: from the run directory, the journal and tags alone.

Terraform goes first, because it knows the order. Whatever it leaves, or never knew of because it
was killed, is found by the tag of the run.
"""

from pathlib import Path

from osqual.aws.reaper import left_of_run, reap_run
from osqual.cluster_file import CLUSTER_DIRECTORY
from osqual.errors import InfrastructureError
from osqual.scope import RunScope
from osqual.teardown import ResourceKind, Row, place_of
from osqual.terraform.workspace import Workspace

KIND = "terraform"
ATTEMPTS = 2
# Of the time for teardown, what stays for the reaper when Terraform does not come to an end.
TERRAFORM_SHARE = 0.6


def workspace_directory(run_directory: Path) -> Path:
    """Where a run's Terraform works."""
    return run_directory / CLUSTER_DIRECTORY / "terraform"


def _is_there(row: Row) -> bool:
    return bool(left_of_run(row["details"]["region"], row["details"]["run"]))


def _end(row: Row, scope: RunScope) -> None:
    """Destroy, then end by its tag whatever is left. The state stays where it is."""
    workspace = Workspace.open(place_of(row))
    if workspace is not None:
        _destroy_by_terraform(workspace, scope)
    found = reap_run(row["details"]["region"], row["details"]["run"], scope.cancellation)
    if found:
        scope.warn(f"found by the run's tag and ended: {', '.join(found)}")


def _destroy_by_terraform(workspace: Workspace, scope: RunScope) -> None:
    """Destroy, twice if need be, within its share of the time; a failure is only told here."""
    remaining = scope.cancellation.remaining_s()
    limit_s = TERRAFORM_SHARE * (remaining or scope.settings.time_limits.destroy)
    limited = scope.limited(limit_s, "terraform destroy")
    for _ in range(ATTEMPTS):
        try:
            workspace.end_jobs(scope.cancellation)
            workspace.destroy(limited)
        except InfrastructureError as error:
            scope.warn(f"terraform destroy failed: {error.brief} {error.details}".strip())
        else:
            return


TERRAFORM = ResourceKind(is_there=_is_there, end=_end, anywhere=True)
