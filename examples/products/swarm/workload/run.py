#!/usr/bin/env python3
"""A small real workload: a replicated web service keeps its customers through a rolling update.

Everything is done with the docker command line on the first master, over ssh. Leaves a JUnit
report; the exit status says whether every check passed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
FILES = ("stack.yml", "page.sh", "greeting.txt", "visit.sh")
REMOTE = "/var/tmp/osqual-workload"
LOG = f"{REMOTE}/log"
STACK = "shopping"
LIMIT_S = 600.0
VISITS = 15
"""How many visits have to be seen before, and after, something is believed to be steady."""


class Failed(Exception):
    """A check did not hold."""


class Master:
    """The first master, over ssh with the configuration that osqual wrote."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.name = environ["OSQUAL_MASTER_NAMES"].split(",")[0]
        self.config = environ["OSQUAL_SSH_CONFIG"]
        self.sudo = "" if self.run("id -u").strip() == "0" else "sudo -n "

    def run(self, command: str, *, stdin: bytes = b"", limit_s: float = 300) -> str:
        argv = ["ssh", "-F", self.config, self.name, command]
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=limit_s, check=False)
        if done.returncode:
            raise Failed(f"{command}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode(errors="replace")

    def docker(self, arguments: str, limit_s: float = 300) -> str:
        return self.run(f"{self.sudo}docker {arguments}", limit_s=limit_s)

    def image(self, version: str) -> str:
        return self.docker(f"image inspect --format '{{{{.Id}}}}' osqual/busybox:{version}").strip()

    def visits(self) -> list[str]:
        """What the visitor has written down, whole lines."""
        return self.run(f"cat {LOG}/visits 2>/dev/null || true").splitlines()


def wait_for(what: str, condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    give_up = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > give_up:
            raise Failed(f"waited {limit_s:.0f} s in vain for {what}")
        time.sleep(1)


def of_version(visits: list[str], version: str) -> list[str]:
    return [visit for visit in visits if visit.startswith(f"{version} ")]


def deploy(master: Master) -> None:
    """The stack can be deployed, and its visitor is served."""
    master.run(f"mkdir -p {LOG}")
    for name in FILES:
        master.run(f"cat > {REMOTE}/{name}", stdin=(HERE / name).read_bytes())
    environment = f"IMAGE={master.image('1')} LOG_DIRECTORY={LOG} MASTER=$(hostname)"
    deploy = f"env {environment} docker stack deploy --resolve-image never -c stack.yml {STACK}"
    master.run(f"cd {REMOTE} && {master.sudo}{deploy}")
    wait_for("the first visits", lambda: len(of_version(master.visits(), "1")) >= VISITS)


def serve_from_every_replica(master: Master) -> None:
    """Visits are spread over both replicas, and each has the greeting it was configured with."""
    wait_for(
        "visits to two replicas",
        lambda: len({visit.split()[1] for visit in of_version(master.visits(), "1")}) == 2,
    )
    wrong = [
        visit for visit in of_version(master.visits(), "1") if visit.split()[2:] != ["welcome"]
    ]
    if wrong:
        raise Failed(f"an unexpected page: {wrong[0]!r}")


def update(master: Master) -> None:
    """A rolling update under load completes, and afterwards only the new version answers."""
    master.docker(
        f"service update --quiet --no-resolve-image --image {master.image('2')} "
        f"--env-add VERSION=2 {STACK}_shop",
        limit_s=LIMIT_S,
    )
    before = len(master.visits())
    wait_for("visits after the update", lambda: len(master.visits()) >= before + 2 * VISITS)
    late = of_version(master.visits()[before + VISITS :], "1")
    if late:
        raise Failed(f"{len(late)} visits after the update were served by the old version")


def lose_nobody(master: Master) -> None:
    """No customer gave up, the whole time."""
    visits = master.visits()
    lost = visits.count("lost")
    print(f"{len(visits)} visits, {lost} lost")
    if lost or not visits:
        raise Failed(f"{lost} of {len(visits)} visits were lost")


def clean_up(master: Master) -> None:
    """The stack goes away."""
    master.docker(f"stack rm {STACK}")
    label = f"label=com.docker.stack.namespace={STACK}"
    wait_for("the stack's end", lambda: not master.docker(f"network ls -q --filter {label}"))
    master.run(f"{master.sudo}rm -rf {REMOTE}")


CHECKS = (deploy, serve_from_every_replica, update, lose_nobody, clean_up)


def main() -> int:
    try:
        master = Master(dict(os.environ))
    except Failed as error:
        print(f"FAIL {error}")
        return 1
    suite = ET.Element("testsuite", name="workload", tests=str(len(CHECKS)))
    problem = ""
    for check in CHECKS:
        started = time.monotonic()
        case = ET.SubElement(suite, "testcase", classname="workload", name=check.__name__)
        if problem and check is not clean_up:
            ET.SubElement(case, "skipped", message="a check before it failed")
            continue
        try:
            check(master)
            print(f"PASS {check.__name__}", flush=True)
        except (Failed, subprocess.TimeoutExpired) as error:
            problem = str(error)
            ET.SubElement(case, "failure", message=problem)
            print(f"FAIL {check.__name__}: {problem}", flush=True)
        case.set("time", f"{time.monotonic() - started:.1f}")
    ET.ElementTree(suite).write(os.environ["OSQUAL_JUNIT"], encoding="utf-8", xml_declaration=True)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
