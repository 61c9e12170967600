"""Ending a cluster that Terraform made: from the run directory, the journal and tags alone.

Terraform goes first, because it knows the order. Whatever it leaves, or never knew of because it
was killed, is found by the tag of the run. Where the store's database keeps the state, another
machine can do the same.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osqual.aws.reaper import left_of_run, reap_run
from osqual.cluster_file import CLUSTER_DIRECTORY
from osqual.effects.scope import RunScope
from osqual.errors import InfrastructureError, InvalidInput
from osqual.platforms.base import TerraformWish
from osqual.store.database import Row
from osqual.teardown import ResourceKind, place_of
from osqual.terraform.module import BUILT_IN_MODULES, module_source
from osqual.terraform.program import find_terraform
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
    workspace = _workspace(row, scope)
    if workspace is not None:
        _destroy_by_terraform(workspace, scope)
    found = reap_run(row["details"]["region"], row["details"]["run"], scope.cancellation)
    if found:
        scope.warn(f"found by the run's tag and ended: {', '.join(found)}")


def elsewhere(
    workspace: Workspace, wish: TerraformWish, variables: Mapping[str, Any], schema: str
) -> dict[str, Any]:
    """What another machine needs for destroying, as details of the row; empty where it cannot."""
    if not schema or workspace.old:
        return {}
    source = Path(wish.module)
    return {
        "schema": schema,
        "module": source.name if source.parent == BUILT_IN_MODULES else wish.module,
        "environment": dict(workspace.environment),
        "variables": dict(variables),
    }


def _workspace(row: Row, scope: RunScope) -> Workspace | None:
    """The run's, or another made like it when it is on another machine."""
    found = Workspace.open(place_of(row))
    details = row["details"]
    if found is not None or "schema" not in details:
        return found
    runs = scope.settings.directories.state / "runs"
    try:
        settings = scope.settings.terraform
        terraform = find_terraform(settings.program, None, scope.cancellation)
        directory = workspace_directory(runs / details["run"])
        workspace = Workspace.create(
            directory, terraform, details["environment"], settings.lock_timeout_s
        )
        workspace.init(module_source(details["module"], BUILT_IN_MODULES), scope)
        workspace.set_variables(details["variables"])
        return workspace.keep_state_in(details["schema"], scope)
    except (InvalidInput, InfrastructureError) as error:
        schema = details["schema"]
        scope.warn(f"Terraform's state stays in the store's database, schema {schema}: {error}")
        return None


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
            break
    workspace.bring_state_home(limited)


TERRAFORM = ResourceKind(is_there=_is_there, end=_end, anywhere=True)
