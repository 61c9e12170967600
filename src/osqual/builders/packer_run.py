"""Running stock Packer on an effective template: validate, build as a job, read its manifest.

Knows nothing about platforms; what to build is in the template.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from osqual.cancellation import Cancellation
from osqual.effects.following import follow_job
from osqual.effects.scope import RunScope
from osqual.errors import BuildFailed, CommandFailed, InvalidInput
from osqual.processes.job import Job, JobState
from osqual.processes.process import run, tail, write_atomic
from osqual.processes.programs import program_version

VALIDATE_TIMEOUT_S = 120.0
INIT_TIMEOUT_S = 600.0
# Packer ends its machine and removes its files when it is interrupted; that may take a while.
GRACE_S = 120.0
FIRST_WITH_INIT = Version("1.7")
TAIL_LINES = 30
JOB_NAME = "packer"

_NO_PLUGIN = ("is unknown by Packer", "unknown builder", "builder type not found")


def install_plugins(plugins: Mapping[str, Any], directory: Path, scope: RunScope) -> None:
    """`packer init` for the plugins that a template asks for; older Packers bring theirs along."""
    if not plugins or Version(program_version(("packer", "version")) or "0") < FIRST_WITH_INIT:
        return
    scope.progress("packer init")
    wanted = directory / "plugins.pkr.json"
    write_atomic(wanted, json.dumps({"packer": {"required_plugins": dict(plugins)}}) + "\n")
    try:
        run(
            ["packer", "init", str(wanted)],
            cwd=directory,
            env=_environment(directory, {}),
            timeout_s=INIT_TIMEOUT_S,
            cancellation=scope.cancellation,
        )
    except CommandFailed as error:
        raise InvalidInput(
            "Packer cannot install the plugins that the template asks for.",
            details=error.details,
            resolution="look at required_plugins in the template, and at the network",
        ) from error


def validate_template(template: Path, scope: RunScope, env: Mapping[str, str]) -> None:
    """`packer validate`. Raises InvalidInput with Packer's own words."""
    try:
        run(
            ["packer", "validate", str(template)],
            cwd=template.parent,
            env=_environment(template.parent, env),
            timeout_s=VALIDATE_TIMEOUT_S,
            cancellation=scope.cancellation,
        )
    except CommandFailed as error:
        raise InvalidInput(
            "Packer does not accept the template.",
            details=error.details,
            resolution=_resolution(error.details, "correct the template"),
        ) from error


def build_template(
    template: Path, manifest: Path, scope: RunScope, env: Mapping[str, str]
) -> Mapping[str, Any]:
    """`packer build`, followed live; returns the manifest's entry. Raises BuildFailed.

    A Packer that an earlier process of the run started is followed instead of a new one.
    Interrupted, Packer is asked to end its machine, and waited for.
    """
    directory = template.parent / JOB_NAME
    with scope.resource("job", JOB_NAME, directory=str(directory)) as owned:
        job = Job(directory)
        if not job.was_started:
            job = Job.start(
                directory,
                ["packer", "build", "-color=false", str(template)],
                cwd=template.parent,
                env=_environment(template.parent, env),
            )
        owned.created(str(job.pid))
        try:
            status = follow_job(job, "packer", scope)
        except BaseException:
            job.end(grace_s=GRACE_S, cancellation=clean_up(scope, GRACE_S))
            owned.ended()
            raise
    if status != 0:
        words = tail(job.stdout.read_text(errors="replace"), TAIL_LINES)
        raise BuildFailed(
            f"Packer failed with exit status {status}.",
            details=f"{words}\n(all of it: {job.stdout})",
            resolution=_resolution(words, "correct the template or its scripts"),
        )
    return _last_build(manifest)


def can_go_on(directory: Path) -> bool:
    """Whether a Packer that an earlier process of the run started still runs, or has succeeded."""
    job = Job(directory / JOB_NAME)
    return job.state() is JobState.RUNNING or job.exit_status == 0


def clean_up(scope: RunScope, grace_s: float) -> Cancellation:
    """The token for ending a job after its run was interrupted: a second interrupt stops it."""
    return scope.cancellation.shielded(grace_s + 30.0, "waiting for Packer to clean up")


def _environment(directory: Path, env: Mapping[str, str]) -> dict[str, str]:
    return {
        "PACKER_CACHE_DIR": str(directory / "packer_cache"),
        "PACKER_LOG": "1",
        "PACKER_LOG_PATH": str(directory / "packer.log"),
        "CHECKPOINT_DISABLE": "1",  # no version check over the network
        **env,
    }


def _last_build(manifest: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(manifest.read_text(encoding="utf-8"))
        builds = document["builds"]
        last: Mapping[str, Any] = next(
            build
            for build in reversed(builds)
            if build["packer_run_uuid"] == document["last_run_uuid"]
        )
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise BuildFailed(
            "Packer left no manifest that can be read.", details=f"{manifest}: {error}"
        ) from error
    return last


def _resolution(words: str, otherwise: str) -> str:
    if any(phrase in words for phrase in _NO_PLUGIN):
        return (
            "Packer 1.10 and later ship without builders: install them with `packer plugins "
            "install github.com/hashicorp/qemu` (or .../amazon)"
        )
    return otherwise
