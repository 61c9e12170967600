"""The cloud platform: a cluster that a Terraform module makes from an image.

Everything is planned with the base image standing in before an image is built; what is planned is
also what the checks of the account and the estimate are made from.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from osqual.aws import preflight
from osqual.aws.quota import check_quota
from osqual.aws.session import CloudError
from osqual.aws.tags import RUN, run_tags
from osqual.cancellation import Cancellation
from osqual.cluster_file import FILE_NAME as CLUSTER_FILE
from osqual.cluster_file import write_cluster
from osqual.effects.scope import RunScope
from osqual.errors import InvalidInput, ProvisionFailed
from osqual.model import Cluster, Image, SshIdentity
from osqual.platforms.base import ProvisionRequest, TerraformWish
from osqual.platforms.cluster_cost import HourlyCost, write_cost
from osqual.platforms.terraform_nodes import (
    Access,
    check_outputs,
    identity_of,
    nodes_of,
    wait_nodes,
)
from osqual.platforms.terraform_teardown import (
    KIND,
    TERRAFORM,
    elsewhere,
    workspace_directory,
)
from osqual.platforms.terraform_variables import (
    KEY_NAME,
    PUBLIC_KEY,
    Given,
    cluster_region,
    cluster_variables,
)
from osqual.processes.process import find_program
from osqual.room import Room
from osqual.settings import Settings
from osqual.ssh.keys import make_key_pair
from osqual.ssh.route import operator_cidr
from osqual.teardown import LOCAL_KINDS, end_resources
from osqual.terraform.database_state import schema_of
from osqual.terraform.failure import TerraformFailed
from osqual.terraform.module import Declared, read_declared
from osqual.terraform.planned import instance_types, on_demand_types
from osqual.terraform.program import WantedVersion, find_terraform
from osqual.terraform.workspace import Workspace

PROGRAMS = ("ssh", "ssh-keygen")
TERRAFORM_ROOM = Room(memory_mb=700, cores=0.5)
"""Terraform with the AWS provider, which works hard for seconds and then waits."""
# The AWS provider reads default tags from here, whatever the module says (5.62 and later).
_TAG_VARIABLE = "TF_AWS_DEFAULT_TAGS_"


class TerraformPlatform:
    """See `platforms.base.Platform`. Sizes and counts come from the cluster profile."""

    def validate(self, request: ProvisionRequest, scope: RunScope) -> None:
        """Init, validate, plan with the base image, then ask the account about what is planned."""
        wish = _wish(request)
        for program in PROGRAMS:
            find_program(program)
        region = cluster_region(_wanted(request, scope), wish)
        preflight.check_region(region)
        _check_image_region(region, wish.image_regions or (region,))
        workspace, declared = _prepare(wish, scope)
        check_outputs(declared.outputs, wish.module)
        scope.progress("terraform validate")
        workspace.validate(scope)
        _set_variables(request, wish, declared, workspace, wish.stand_in, scope)
        scope.progress("terraform plan")
        workspace.plan(scope)
        _check_planned(request, wish, declared, workspace, scope)

    def room(
        self, request: ProvisionRequest, settings: Settings, cancellation: Cancellation
    ) -> Room:
        """Terraform and one provider; its machines are elsewhere."""
        return TERRAFORM_ROOM

    def provision(self, request: ProvisionRequest, image: Image, scope: RunScope) -> Cluster:
        """Apply, and return when each node answers ssh. Raises ProvisionFailed."""
        wish = _wish(request)
        region = cluster_region(_wanted(request, scope), wish)
        _check_image_region(region, tuple(image.ids))
        workspace, declared = _prepare(wish, scope)
        variables = _set_variables(request, wish, declared, workspace, image.ids[region], scope)
        schema = schema_of(scope.settings.store, scope.run_id)
        row = scope.own(
            KIND,
            f"cluster in {region}",
            **elsewhere(workspace, wish, variables, schema),
            directory=str(workspace.directory),
            region=region,
            run=scope.run_id,
        )
        workspace = workspace.keep_state_in(schema, scope)
        scope.progress("terraform plan")
        workspace.plan(scope)
        try:
            workspace.apply(scope)
        except TerraformFailed as error:
            raise ProvisionFailed(
                error.brief, details=error.details, resolution=error.resolution
            ) from error
        finally:
            row.created(f"{RUN}={scope.run_id}")
        identity = _identity(declared, scope)
        access = Access(
            user=request.ssh_user,
            identity=identity,
            aws=scope.settings.aws,
            cancellation=scope.cancellation,
        )
        cluster = Cluster(nodes=nodes_of(workspace.outputs(scope), access), identity=identity)
        write_cluster(scope.directory / CLUSTER_FILE, cluster)
        wait_nodes(cluster, scope.settings.aws.boot_timeout_s, scope)
        return cluster

    def accelerator(self, scope: RunScope) -> str:
        """Not ours to choose."""
        return ""

    def destroy(self, scope: RunScope) -> None:
        """Destroy what the state knows, then whatever else carries the run's tag."""
        end_resources(scope, {KIND: TERRAFORM, **LOCAL_KINDS})
        (scope.directory / CLUSTER_FILE).unlink(missing_ok=True)


def _wish(request: ProvisionRequest) -> TerraformWish:
    assert request.terraform is not None  # noqa: S101 - steps set it for every run
    return request.terraform


def _check_image_region(region: str, known: tuple[str, ...]) -> None:
    if region not in known:
        raise InvalidInput(
            f"There is no image in {region}, where the cluster is to be made.",
            details=f"The image is in: {', '.join(known)}",
            resolution="add the region to ami_regions of the template, or correct aws_region in "
            "the profile",
        )


def _wanted(request: ProvisionRequest, scope: RunScope) -> Mapping[str, Any]:
    return {**scope.settings.terraform.variables, **request.variables}


def _prepare(wish: TerraformWish, scope: RunScope) -> tuple[Workspace, Declared]:
    """The run's workspace, with the module fetched: found again when it is there already."""
    directory = workspace_directory(scope.directory)
    workspace = Workspace.open(directory)
    if workspace is not None and workspace.is_initialised():
        return workspace, read_declared(workspace.module)
    settings = scope.settings.terraform
    wanted = WantedVersion(text=wish.version, source=wish.version_source) if wish.version else None
    terraform = find_terraform(settings.program, wanted, scope.cancellation)
    tags = run_tags(scope.run_id, time.time(), scope.settings.expire_after_s)
    environment = {f"{_TAG_VARIABLE}{name}": value for name, value in tags.items()}
    workspace = Workspace.create(directory, terraform, environment, settings.lock_timeout_s)
    scope.progress("terraform init")
    return workspace, workspace.init(wish.module, scope)


def _tags_of(workspace: Workspace) -> dict[str, str]:
    """The tags that were decided when the workspace was made: a later plan changes nothing."""
    return {
        name.removeprefix(_TAG_VARIABLE): value
        for name, value in workspace.environment.items()
        if name.startswith(_TAG_VARIABLE)
    }


def _set_variables(
    request: ProvisionRequest,
    wish: TerraformWish,
    declared: Declared,
    workspace: Workspace,
    image: str,
    scope: RunScope,
) -> Mapping[str, Any]:
    """What the module is given, with an image."""
    aws = scope.settings.aws
    given = Given(
        cluster_name=f"osqual-{scope.run_id}",
        ssh_public_key=_identity(declared, scope).public_key.read_text().strip()
        if PUBLIC_KEY in declared.variables
        else "",
        operator_cidr=operator_cidr(aws.operator_cidr)
        if "operator_cidr" in declared.variables
        else "",
        run_tags=_tags_of(workspace),
        image=image,
    )
    extra = scope.settings.terraform.variables
    variables = cluster_variables(request, wish, declared, given, extra)
    workspace.set_variables(variables)
    return variables


def _identity(declared: Declared, scope: RunScope) -> SshIdentity:
    """A key pair of the run where the module takes one, else the one that the settings name."""
    keys = workspace_directory(scope.directory).parent / "keys"
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    if PUBLIC_KEY in declared.variables:
        private = keys / "id_ed25519"
        if not private.exists():
            scope.own("key", "ssh keys", path=str(keys))
        make_key_pair(private, f"osqual-{scope.run_id}", scope.cancellation)
        return identity_of(keys, private)
    own = scope.settings.aws.ssh_private_key
    if own is None or not own.expanduser().is_file():
        raise InvalidInput(
            "The module starts nodes with a key pair of the account, and its private key is not "
            "known.",
            resolution="set aws.ssh_private_key in osqual.yaml to the file, or use the module "
            "aws-cluster, which makes a key pair for each run",
        )
    return identity_of(keys, own.expanduser())


def _check_planned(
    request: ProvisionRequest,
    wish: TerraformWish,
    declared: Declared,
    workspace: Workspace,
    scope: RunScope,
) -> None:
    """Types, key pair, quota and cost of what is planned."""
    wanted = _wanted(request, scope)
    region = cluster_region(wanted, wish)
    plan = workspace.planned(scope)
    types = instance_types(plan)
    if not plan:
        scope.warn("this Terraform does not tell its plan: types, quota and cost are not checked")
    elif not types and wish.max_cost_usd is not None:
        scope.warn("the plan names no instance of its own: what the cluster costs is not limited")
    preflight.check_types_offered(region, types)
    if PUBLIC_KEY not in declared.variables and wanted.get(KEY_NAME):
        preflight.check_key_pair(region, str(wanted[KEY_NAME]))
    _check_quota(region, on_demand_types(plan), scope)
    aws = scope.settings.aws
    cost = preflight.estimate(region, types, aws.cluster_hours, aws.prices)
    if wish.max_cost_usd is not None:
        preflight.check_cost(cost, wish.max_cost_usd, "the cluster")
    if aws.prices:
        hourly = preflight.estimate(region, types, 1.0, aws.prices)
        write_cost(scope.directory, HourlyCost(usd=hourly.usd, unknown=hourly.unknown))
        scope.progress(f"the cluster costs {cost} in {aws.cluster_hours:g} hours", usd=cost.usd)


def _check_quota(region: str, types: Sequence[str], scope: RunScope) -> None:
    """Refuse what the account may not run; one that does not tell is only warned of."""
    try:
        uses = check_quota(region, types)
    except CloudError as error:
        scope.warn(f"the quota for instances in {region} could not be asked: {error.brief}")
        return
    for use in uses:
        scope.progress(f"quota in {region}: {use}", needed=use.needed, free=use.limit - use.used)
