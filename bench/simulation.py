"""Simulated configurations: osqual's own pipeline, store and conductor; machines that sleep.

Gives the makespan beside its lower bound, and the memory that a run holds while it waits.
"""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osqual.builders.base import BuildRequest
from osqual.cancellation import Cancellation
from osqual.catalogue.catalogue import open_catalogue
from osqual.effects.scope import RunScope
from osqual.events import Subscriber
from osqual.model import Cluster, Image, Node, Outcome, SshIdentity, SuiteResult, TestResult
from osqual.operations.prospects import Prospect, prospects_of
from osqual.operations.side_by_side import Ended, run_side_by_side
from osqual.pipeline.workflow import Engine
from osqual.platforms.base import ProvisionRequest
from osqual.processes.process import Completed
from osqual.room import Admission, Room
from osqual.run.context import RunOptions
from osqual.run.parts import Parts
from osqual.settings import Settings, load_settings
from osqual.store.store import open_store
from osqual.suites.base import SuiteRequest
from osqual.teardown import LOCAL_KINDS

PRODUCT = "description: x\nsuites: [{name: all, stage: integration, kind: command, path: t.sh}]\n"
TEMPLATE = {"builders": [{"type": "qemu", "ssh_username": "a"}], "provisioners": []}
PROFILE = 'num_of_masters = "1"\nnum_of_private_agents = "0"\nnum_of_public_agents = "0"\n'
ONE = Room(cores=1)


@dataclass(frozen=True, kw_only=True)
class World:
    """Configurations, and how long each build and each suite takes."""

    root: Path
    builds_s: Mapping[str, float]
    """By recipe: configurations of one OS version share it."""
    suites_s: Mapping[str, float]

    def lower_bound_s(self, slots: int) -> float:
        """No order is quicker: the work has to be done, and a suite comes after its build."""
        longest = max(
            build + max(took for leaf, took in self.suites_s.items() if leaf.startswith(recipe))
            for recipe, build in self.builds_s.items()
        )
        work = sum(self.builds_s.values()) + sum(self.suites_s.values())
        return max(longest, work / slots)


def make_world(root: Path, *, recipes: int, configurations: int, scale_s: float) -> World:
    """A catalogue with times that are drawn once, the same for every call."""
    chance = random.Random(7)
    builds, suites = {}, {}
    for number in range(recipes):
        recipe = f"debian/{number}/qemu"
        builds[recipe] = chance.uniform(0.5, 1.5) * scale_s
        (root / recipe).mkdir(parents=True)
        (root / recipe / "base_images.json").write_text(json.dumps({"local": f"base-{number}"}))
    for number in range(configurations):
        recipe = list(builds)[number % recipes]
        leaf = f"{recipe}/thing-1.{number}/docker-20"
        suites[leaf] = chance.uniform(0.5, 3.0) * scale_s
        (root / leaf).mkdir(parents=True)
        (root / leaf / "packer.json").write_text(json.dumps(TEMPLATE))
        (root / leaf / "cluster_profile.tfvars").write_text(PROFILE)
    product = root / "products" / "thing"
    product.mkdir(parents=True)
    (product / "product.yaml").write_text(PRODUCT)
    (product / "t.sh").write_text("#!/bin/sh\n")
    (product / "t.sh").chmod(0o755)
    (root / "osqual.yaml").write_text("products: products\n")
    return World(root=root, builds_s=builds, suites_s=suites)


@dataclass(kw_only=True)
class Simulated:
    """Builder, platform and suites in one: each only takes its time."""

    world: World
    built: set[str] = field(default_factory=set)

    def validate(self, request: Any, scope: RunScope) -> None:
        """Nothing can be wrong."""

    def room(self, request: Any, settings: Settings, cancellation: Cancellation) -> Room:
        """One slot."""
        return ONE

    def find(self, request: BuildRequest, scope: RunScope) -> Image | None:
        """What was built of the recipe."""
        if request.recipe.digest not in self.built:
            return None
        return Image(ids={"local": request.recipe.digest}, reused=True)

    def build(self, request: BuildRequest, scope: RunScope) -> Image:
        """Once a recipe."""
        found = self.find(request, scope)
        if found is not None:
            return found
        recipe = "/".join(request.configuration.path.split("/")[:3])
        scope.cancellation.sleep(self.world.builds_s[recipe])
        self.built.add(request.recipe.digest)
        return Image(ids={"local": request.recipe.digest})

    def release(self, template: Any, image: Image, scope: RunScope) -> None:
        """Nobody else sees it."""

    def provision(self, request: ProvisionRequest, image: Image, scope: RunScope) -> Cluster:
        """One node."""
        key = scope.directory / "key"
        nodes = tuple(
            Node(
                name=name,
                role=role,
                ssh_host="127.0.0.1",
                ssh_port=1,
                ssh_user="a",
                private_address="",
                public_address="",
            )
            for name, role in request.topology.names()
        )
        return Cluster(
            nodes=nodes, identity=SshIdentity(private_key=key, public_key=key, known_hosts=key)
        )

    def accelerator(self, scope: RunScope) -> str:
        """There is no processor."""
        return ""

    def destroy(self, scope: RunScope) -> None:
        """Nothing is there."""

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        """The configuration's time."""
        scope.cancellation.sleep(self.world.suites_s[request.configuration.path])
        result = TestResult(suite=request.suite.name, test_id="t", outcome=Outcome.PASS)
        return SuiteResult(suite=request.suite.name, results=(result,))


class NoMachine:
    """A node that answers at once."""

    def __init__(self, node: Node, *_: Any) -> None:
        """Whatever else a machine is made from."""
        self.node = node

    def run(self, argv: Any, **_: Any) -> Completed:
        """Kernel and OS."""
        return Completed(argv=(), exit_status=0, stdout="6.1\nDebian\n", stderr="")

    def close(self) -> None:
        """Nothing is open."""


class Silent:
    """A watcher that shows nothing."""

    def begins(self, prospect: Prospect) -> Subscriber:
        """Nobody listens."""
        return lambda event: None

    def waits(self, prospect: Prospect, why: str) -> None:
        """Nobody listens."""

    def ends(self, ended: Ended) -> None:
        """Nobody listens."""


def qualify_all(world: World, state: Path, slots: int) -> float:
    """Seconds until all configurations are qualified."""
    environ = {f"OSQUAL_{name}_DIR": str(state / name) for name in ("STATE", "CACHE", "DATA")}
    settings = load_settings(world.root, environ)
    parts: Any = Simulated(world=world)
    machine: Any = NoMachine
    engine = Engine(
        settings=settings,
        store=open_store(settings),
        cancellation=Cancellation(),
        environ={},
        parts=Parts(
            builders={"layered": parts},
            platforms={"qemu": parts},
            suite_kinds={"command": parts},
            open_machine=machine,
            inspect_programs=lambda: (),
            kinds=LOCAL_KINDS,
        ),
    )
    catalogue = open_catalogue(world.root)
    started = time.perf_counter()
    found = prospects_of(catalogue, catalogue.configurations(), RunOptions(), engine)
    ended = run_side_by_side(
        found,
        engine,
        at_most=len(found),
        admission=Admission(lambda: Room(memory_mb=1 << 20, disk_mb=1 << 20, cores=slots)),
        watcher=Silent(),
    )
    took = time.perf_counter() - started
    engine.store.close()
    bad = [each for each in ended if each.exit_code != 0]
    if bad:
        raise SystemExit(f"{bad[0].configuration}: {bad[0].result or bad[0].error}")
    return took


def resident_kb() -> int:
    """Memory of this process (VmRSS, proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
