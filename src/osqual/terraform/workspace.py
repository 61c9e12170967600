"""One run's Terraform directory: init, plan, apply, outputs, destroy. The state lives here.

Applying and destroying run as detached jobs that write to files: an orchestrator that dies leaves
them to finish, and a later process finds them, and the state, by this directory alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osqual.cancellation import Cancellation
from osqual.effects.following import follow_job
from osqual.effects.scope import RunScope
from osqual.errors import CommandFailed, InvalidInput
from osqual.processes.job import Job, JobState
from osqual.processes.process import run, write_atomic
from osqual.terraform.database_state import (
    FIRST_VERSION,
    connection_environment,
    drop_schema,
    remove_backend,
    write_backend,
)
from osqual.terraform.failure import TerraformFailed, explain
from osqual.terraform.module import Declared, read_declared
from osqual.terraform.program import Terraform

SHORT_TIMEOUT_S = 300.0
INIT_TIMEOUT_S = 900.0
# Killing Terraform loses resources for good. Interrupted, it waits for what it has begun.
GRACE_S = 300.0
TAIL_LINES = 30
RECORD_NAME = "workspace.json"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A directory with a root module (`module/`), variables, jobs and state."""

    directory: Path
    program: str
    environment: Mapping[str, str]
    lock_timeout_s: int = 300
    old: bool = False
    """Terraform before 0.12: no state in PostgreSQL, and `validate` wants values for variables."""
    schema: str = ""
    """Where the store's database keeps the state; empty when a file here does."""

    @classmethod
    def create(
        cls,
        directory: Path,
        terraform: Terraform,
        environment: Mapping[str, str],
        lock_timeout_s: int,
    ) -> "Workspace":
        """Make the directory and write down how to come back to it."""
        workspace = cls(
            directory=directory,
            program=terraform.program,
            environment={**terraform.environment, **environment},
            lock_timeout_s=lock_timeout_s,
            old=terraform.version < FIRST_VERSION,
        )
        workspace.module.mkdir(parents=True, exist_ok=True)
        workspace._remember()
        return workspace

    @classmethod
    def open(cls, directory: Path) -> "Workspace | None":
        """The workspace that another process made; None when there is none."""
        try:
            record = json.loads((directory / RECORD_NAME).read_text())
        except FileNotFoundError:
            return None
        return cls(directory=directory, **record)

    def _remember(self) -> None:
        """Write down how to come back to it. Secrets of the database are never part of it."""
        record = {
            "program": self.program,
            "environment": dict(self.environment),
            "lock_timeout_s": self.lock_timeout_s,
            "old": self.old,
            "schema": self.schema,
        }
        write_atomic(self.directory / RECORD_NAME, json.dumps(record, indent=2) + "\n")

    @property
    def module(self) -> Path:
        """The root module with its state."""
        return self.directory / "module"

    @property
    def state(self) -> Path:
        """The state file: missing before the first apply, and while a database keeps the state."""
        return self.module / "terraform.tfstate"

    @property
    def variables_file(self) -> Path:
        """The variables, outside of the module so that nothing loads them by itself."""
        return self.directory / "variables.json"

    @property
    def plan_file(self) -> Path:
        """The plan that the next apply carries out."""
        return self.directory / "plan"

    def is_initialised(self) -> bool:
        """Whether `init` has been here."""
        return (self.module / ".terraform").is_dir()

    def init(self, source: str, scope: RunScope) -> Declared:
        """Fetch the module and its providers. Raises TerraformFailed."""
        if not self.is_initialised():
            argv = ["init", "-input=false", "-no-color", f"-from-module={source}"]
            self._short(argv, scope, timeout_s=INIT_TIMEOUT_S)
        return read_declared(self.module)

    def keep_state_in(self, schema: str, scope: RunScope) -> "Workspace":
        """The same workspace, with its state in a schema of the store's database from now on.

        Terraform too old for that keeps it in a file. Raises TerraformFailed.
        """
        if not schema or self.schema == schema or self.old:
            return self
        write_backend(self.module, schema)
        return replace(self, schema=schema)._reconfigured(scope)

    def set_variables(self, variables: Mapping[str, Any]) -> None:
        """Write the variables that plans are made with."""
        text = json.dumps(dict(variables), indent=2, sort_keys=True) + "\n"
        write_atomic(self.variables_file, text, mode=0o600)

    def validate(self, scope: RunScope) -> None:
        """`terraform validate`. Raises InvalidInput with Terraform's own words."""
        try:
            flags = ["-check-variables=false"] if self.old else []
            self._short(["validate", "-no-color", *flags], scope)
        except TerraformFailed as error:
            raise InvalidInput(
                "Terraform does not accept the module.", details=error.details
            ) from error

    def plan(self, scope: RunScope) -> None:
        """Plan with the current variables; nothing is created. Raises TerraformFailed."""
        self._short(
            [
                "plan",
                *("-input=false", "-no-color", f"-lock-timeout={self.lock_timeout_s}s"),
                *(f"-var-file={self.variables_file}", f"-out={self.plan_file}"),
            ],
            scope,
            timeout_s=INIT_TIMEOUT_S,
        )

    def planned(self, scope: RunScope) -> Mapping[str, Any]:
        """The plan as JSON (`terraform show -json`); empty where Terraform is too old for it."""
        try:
            return self._json(["show", "-json", str(self.plan_file)], scope)
        except TerraformFailed:
            return {}

    def outputs(self, scope: RunScope) -> Mapping[str, Any]:
        """The root module's outputs: name to value."""
        found = self._json(["output", "-json", "-no-color"], scope)
        return {name: entry["value"] for name, entry in found.items()}

    def apply(self, scope: RunScope) -> None:
        """Carry out the plan, or wait for an apply that is still at it. Raises TerraformFailed."""
        running = self._running("apply")
        if running is not None:
            scope.progress("an apply is still going on: waiting for it")
            self._finish(running, "apply", scope)
            self.plan(scope)
        flags = ["-input=false", "-no-color", f"-lock-timeout={self.lock_timeout_s}s"]
        self._job("apply", [*flags, str(self.plan_file)], scope)

    def destroy(self, scope: RunScope) -> None:
        """Destroy whatever the state knows. Raises TerraformFailed; the state stays then."""
        if not self.has_resources(scope):
            return
        flags = ["-input=false", "-no-color", f"-lock-timeout={self.lock_timeout_s}s"]
        self._job("destroy", ["-auto-approve", *flags, f"-var-file={self.variables_file}"], scope)

    def bring_state_home(self, scope: RunScope) -> None:
        """Keep the state in the file from now on, and forget it where it was."""
        if not self.schema or not scope.settings.store:
            return
        write_atomic(self.state, self._pull(scope))
        remove_backend(self.module)
        replace(self, schema="")._reconfigured(scope)
        drop_schema(scope.settings.store, self.schema)

    def has_resources(self, scope: RunScope) -> bool:
        """Whether the state lists a resource; a state that cannot be read may."""
        try:
            document = json.loads(self._pull(scope) if self.schema else self.state.read_text())
        except FileNotFoundError:
            return False
        except ValueError:
            return True
        modules = document.get("modules")  # before Terraform 0.12
        if modules is not None:
            return any(module.get("resources") for module in modules)
        return any(entry.get("mode") == "managed" for entry in document.get("resources", []))

    def end_jobs(self, cancellation: Cancellation) -> None:
        """Interrupt what is running here and wait for it."""
        for name in ("apply", "destroy"):
            job = self._running(name)
            if job is not None:
                job.end(grace_s=GRACE_S, cancellation=cancellation)

    # How it is run

    def _reconfigured(self, scope: RunScope) -> "Workspace":
        """Take up the backend that the module names now; what it has is not copied."""
        self._short(["init", "-input=false", "-no-color", "-reconfigure"], scope)
        self._remember()
        return self

    def _pull(self, scope: RunScope) -> str:
        return self._short(["state", "pull"], scope) or "{}"

    def _short(
        self, argv: list[str], scope: RunScope, *, timeout_s: float = SHORT_TIMEOUT_S
    ) -> str:
        try:
            done = run(
                [self.program, *argv],
                cwd=self.module,
                env=self._environment(scope),
                timeout_s=timeout_s,
                cancellation=scope.cancellation,
            )
        except CommandFailed as error:
            raise explain(argv[0], error.details) from error
        return done.stdout

    def _json(self, argv: list[str], scope: RunScope) -> Mapping[str, Any]:
        try:
            document = json.loads(self._short(argv, scope))
        except ValueError as error:
            raise TerraformFailed(f"terraform {argv[0]} printed no JSON.") from error
        return document if isinstance(document, dict) else {}

    def _job(self, name: str, argv: list[str], scope: RunScope) -> None:
        jobs = self.directory / "jobs"
        number = len(list(jobs.glob("*"))) + 1
        job = Job.start(
            jobs / f"{number:02}-{name}",
            [self.program, name, *argv],
            cwd=self.module,
            env=self._environment(scope),
        )
        self._finish(job, name, scope)

    def _finish(self, job: Job, name: str, scope: RunScope) -> None:
        """Follow a job to its end; when the run is stopped, it is interrupted and waited for."""
        try:
            status = follow_job(job, "terraform", scope)
        except BaseException:
            shielded = scope.cancellation.shielded(GRACE_S + 30.0, f"waiting for terraform {name}")
            job.end(grace_s=GRACE_S, cancellation=shielded)
            raise
        if status != 0:
            raise explain(name, f"{job.tail(TAIL_LINES)}\n(all of it: {job.directory})")

    def _running(self, name: str) -> Job | None:
        for path in sorted(self.directory.glob(f"jobs/*-{name}/job.json"), reverse=True):
            job = Job(path.parent)
            if job.state() is JobState.RUNNING:
                return job
        return None

    def _environment(self, scope: RunScope) -> dict[str, str]:
        database = {}
        if self.schema and scope.settings.store:
            database = connection_environment(scope.settings.store)
        return {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", **self.environment, **database}
