"""A run's cluster from its image to its end: made, installed on, and ended to make another."""

from osqual.cluster_file import CLUSTER_DIRECTORY, FORKS_DIRECTORY
from osqual.effects.retry import retry
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.model import Cluster
from osqual.platforms.base import ProvisionRequest
from osqual.products.install import install_product, read_versions, run_setup_script
from osqual.run.cluster_wish import terraform_wish
from osqual.run.context import RunContext, need
from osqual.ssh.machine import Machine
from osqual.teardown import end_resources, set_aside


def make_cluster(context: RunContext) -> Cluster:
    """Have the platform make it, trying again what failed for infrastructure; reach every node."""
    platform, image = need(context.platform), need(context.image)
    cluster = retry(
        lambda: platform.provision(provision_request(context), image, context.scope),
        "provisioning the cluster",
        context.scope,
        before_again=lambda: end_cluster(context),
    )
    open_machines(context, cluster)
    context.node_facts = [
        node_facts(context.machines[node.name], context.scope) for node in cluster.nodes
    ]
    return cluster


def install_everything(context: RunContext) -> None:
    """Run `setup.sh` where there is one, then the product's scripts; note its versions."""
    inputs, cluster = need(context.inputs), need(context.cluster)
    if inputs.setup_script is not None:
        run_setup_script(
            inputs.setup_script,
            context.configuration,
            cluster,
            context.machines,
            context.scope,
            inputs.profile,
        )
    install_product(
        need(context.product),
        context.configuration,
        cluster,
        context.machines,
        context.scope,
        inputs.profile,
    )
    for facts in context.node_facts:
        machine = context.machines[facts["name"]]
        facts["versions"] = read_versions(need(context.product), machine, context.scope)


def open_machines(context: RunContext, cluster: Cluster) -> None:
    """Have a way to every node of the cluster; nothing is connected yet."""
    context.cluster = cluster
    for node in cluster.nodes:
        context.machines[node.name] = context.parts.open_machine(
            node,
            cluster.identity,
            socket_directory(context.scope),
            context.cancellation,
        )


def end_cluster(context: RunContext) -> None:
    """End the cluster so that another can be made; what it left as evidence is set aside."""
    scope = context.scope.shielded(
        context.scope.settings.time_limits.destroy, "ending the cluster to make another"
    )
    context.machines.clear()
    context.cluster = None
    context.used = False
    need(context.platform).destroy(scope)
    end_resources(scope, context.parts.kinds, steps=("provision", "install", "test"))
    for name in (CLUSTER_DIRECTORY, FORKS_DIRECTORY, "install"):
        set_aside(scope.directory / name)


def provision_request(context: RunContext) -> ProvisionRequest:
    """The platform's view of this run."""
    inputs = need(context.inputs)
    return ProvisionRequest(
        configuration=context.configuration,
        topology=inputs.topology,
        ssh_user=str(inputs.template.builder.get("ssh_username", "root")),
        variables=inputs.profile,
        terraform=terraform_wish(context),
    )


def node_facts(machine: Machine, scope: RunScope) -> dict[str, str]:
    """Kernel and OS of a node, as it says itself."""
    script = """. /etc/os-release; uname -r; echo "$PRETTY_NAME" """
    done = machine.run(["sh", "-c", script], timeout_s=120, cancellation=scope.cancellation)
    kernel, _, os_name = done.stdout.strip().partition("\n")
    node = machine.node
    return {"name": node.name, "role": node.role.value, "kernel": kernel, "os": os_name}
