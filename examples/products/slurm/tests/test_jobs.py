"""What users of a batch scheduler rely on."""

from collections.abc import Mapping

import pytest
from slurm import Slurm, wait_for

from osqual.model import Node, Role
from osqual.suites.plugin import Machines


@pytest.fixture
def worker(agents: tuple[Node, ...]) -> Node:
    """A node that jobs of the partition `batch` run on."""
    workers = [node for node in agents if node.role is Role.PRIVATE_AGENT]
    if not workers:
        pytest.skip("this cluster has no private agent")
    return workers[0]


def test_a_command_runs_on_every_agent_at_once(slurm: Slurm, agents: tuple[Node, ...]) -> None:
    for partition, role in (("batch", Role.PRIVATE_AGENT), ("interactive", Role.PUBLIC_AGENT)):
        names = {node.name for node in agents if node.role is role}
        if names:
            argv = ["srun", f"--partition={partition}", f"--nodes={len(names)}", "hostname"]
            assert set(slurm.run(*argv).stdout.split()) == names


def test_a_job_leaves_its_output_where_it_ran(
    slurm: Slurm, worker: Node, machine: Machines
) -> None:
    job = slurm.submit('echo "job $SLURM_JOB_ID on $(hostname)"', "--partition=batch")
    assert slurm.ends(job) == "COMPLETED"
    ran_on = slurm.field(job, "NodeList")
    said = machine(ran_on).run(["cat", f"/tmp/job-{job}.out"]).stdout
    assert said == f"job {job} on {ran_on}\n"


def test_a_job_that_fails_is_known_to_have_failed(slurm: Slurm, worker: Node) -> None:
    job = slurm.submit("exit 7", "--partition=batch")
    assert slurm.ends(job) == "FAILED"
    assert slurm.field(job, "ExitCode") == "7:0"


def test_a_job_begins_when_the_one_it_depends_on_has_ended(slurm: Slurm, worker: Node) -> None:
    first = slurm.submit("sleep 3", "--partition=batch")
    second = slurm.submit("true", "--partition=batch", f"--dependency=afterok:{first}")
    assert slurm.state(second) == "PENDING"
    assert slurm.ends(second) == "COMPLETED"
    assert slurm.state(first) == "COMPLETED"


def test_a_job_is_not_begun_when_the_one_it_depends_on_has_failed(
    slurm: Slurm, worker: Node
) -> None:
    first = slurm.submit("false", "--partition=batch")
    second = slurm.submit("true", "--partition=batch", f"--dependency=afterok:{first}")
    assert slurm.ends(first) == "FAILED"
    wait_for(
        "the reason",
        lambda: slurm.field(second, "Reason") == "DependencyNeverSatisfied",
    )


def test_each_task_of_an_array_runs(slurm: Slurm, worker: Node, machine: Machines) -> None:
    job = slurm.submit("echo task $SLURM_ARRAY_TASK_ID", "--partition=batch", "--array=1-3")
    for task in ("1", "2", "3"):
        assert slurm.ends(f"{job}_{task}") == "COMPLETED"
        ran_on = slurm.field(f"{job}_{task}", "NodeList")
        said = machine(ran_on).run(["cat", f"/tmp/job-{job}_{task}.out"]).stdout
        assert said == f"task {task}\n"


def test_a_cancelled_job_is_gone_from_its_node(
    slurm: Slurm, worker: Node, machine: Machines
) -> None:
    job = slurm.submit("exec sleep 98765", "--partition=batch")
    wait_for("the job to run", lambda: slurm.state(job) == "RUNNING")
    host = machine(slurm.field(job, "NodeList"))
    wait_for("its process", lambda: "98765" in host.run(["ps", "-eo", "args"]).stdout)
    slurm.run("scancel", job)
    assert slurm.ends(job) == "CANCELLED"
    wait_for("its end", lambda: "98765" not in host.run(["ps", "-eo", "args"]).stdout)


def test_a_drained_node_gets_no_job_until_it_is_resumed(slurm: Slurm, worker: Node) -> None:
    name = f"NodeName={worker.name}"
    slurm.administer("scontrol", "update", name, "State=DRAIN", "Reason=qualification")
    job = slurm.submit("true", "--partition=batch", f"--nodelist={worker.name}")
    wait_for("a drained node", lambda: slurm.node_states()[worker.name] == "drained")
    assert slurm.state(job) == "PENDING"
    slurm.administer("scontrol", "update", name, "State=RESUME")
    assert slurm.ends(job) == "COMPLETED"


def test_jobs_survive_a_restart_of_the_controller(
    slurm: Slurm, worker: Node, nodes: tuple[Node, ...], machine: Machines
) -> None:
    job = slurm.submit("sleep 10", "--partition=batch")
    wait_for("the job to run", lambda: slurm.state(job) == "RUNNING")
    machine(nodes[0]).run(["systemctl", "restart", "slurmctld"], sudo=True, timeout_s=300)
    wait_for("the controller", lambda: slurm.state(job))
    assert slurm.ends(job) == "COMPLETED"


def test_jobs_run_as_the_user_who_submitted_them(
    slurm: Slurm, worker: Node, dimensions: Mapping[str, str]
) -> None:
    me = slurm.run("id", "-un").stdout
    assert slurm.run("srun", "--partition=batch", "id", "-un").stdout == me
