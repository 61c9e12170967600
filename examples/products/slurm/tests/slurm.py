"""The cluster under test as its users know it: by Slurm's command line on the controller."""

import time
from collections.abc import Callable
from typing import Any

from osqual.processes.process import Completed
from osqual.ssh.machine import Machine

LIMIT_S = 600.0


def wait_for(what: str, condition: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Ask until the answer is true, and return it."""
    give_up = time.monotonic() + limit_s
    while not (answer := condition()):
        assert time.monotonic() < give_up, f"waited {limit_s:.0f} s in vain for {what}"
        time.sleep(0.5)
    return answer


def version_matches(version: str, wanted: str) -> bool:
    """Whether a version is the wanted one, or one of its patch releases: 22.05.8 is a 22.05."""
    return version == wanted or version.startswith((f"{wanted}.", f"{wanted}+", f"{wanted}-"))


class Slurm:
    """The controller's command line, as the user who logs in there."""

    def __init__(self, controller: Machine) -> None:
        self._controller = controller

    def run(self, *argv: str, check: bool = True) -> Completed:
        """A command of Slurm's, in a directory that exists on every node."""
        words = ["env", "--chdir=/tmp", *argv]
        return self._controller.run(words, check=check, timeout_s=LIMIT_S)

    def administer(self, *argv: str) -> None:
        """The same as root, who may change nodes."""
        self._controller.run(list(argv), sudo=True, timeout_s=LIMIT_S)

    def submit(self, command: str, *options: str) -> str:
        """Have a shell command run as a job; its number."""
        name = "%A_%a" if any(option.startswith("--array") for option in options) else "%j"
        output = f"--output=/tmp/job-{name}.out"
        done = self.run("sbatch", "--parsable", output, *options, f"--wrap={command}")
        return done.stdout.strip().partition(";")[0]

    def state(self, job: str) -> str:
        """The state of a job, such as RUNNING; empty when the controller has forgotten it."""
        done = self.run("scontrol", "--oneliner", "show", "job", job, check=False)
        words = dict(word.partition("=")[::2] for word in done.stdout.split())
        return words.get("JobState", "")

    def field(self, job: str, name: str) -> str:
        """One field of what the controller knows of a job."""
        done = self.run("scontrol", "--oneliner", "show", "job", job)
        words = dict(word.partition("=")[::2] for word in done.stdout.split())
        return words.get(name, "")

    def ends(self, job: str) -> str:
        """The state in which a job ends."""
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
        return str(
            wait_for(
                f"the end of job {job}",
                lambda: state if (state := self.state(job)) in over else "",
            )
        )

    def node_states(self) -> dict[str, str]:
        """Node to state, such as idle."""
        lines = self.run("sinfo", "--noheader", "--Node", "--format=%N %T").stdout.splitlines()
        return dict(line.split() for line in lines)
