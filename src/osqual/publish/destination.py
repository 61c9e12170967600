"""Where a publication goes: the words of `--publish`, and the branch that is meant."""

from collections.abc import Mapping

from osqual.ci.surroundings import ci_job
from osqual.errors import InvalidInput
from osqual.publish.deliver import Delivered, Delivery
from osqual.publish.repository import Destination, Repository
from osqual.settings import Settings

WAYS = ("none", "worktree", "commit", "push")
"""The values of `--publish`."""


def deliver(delivery: Delivery, way: str, environ: Mapping[str, str]) -> Delivered:
    """Bring a publication to where `--publish` says. Raises PublishFailed."""
    if way == "worktree":
        return delivery.to_worktree()
    if way == "commit":
        return delivery.to_branch()
    job = ci_job(environ)
    if job is not None and job.from_fork:
        return delivery.to_patch()
    return delivery.to_remote(destination(delivery.repository, delivery.scope.settings, environ))


def check_destination(
    way: str, repository: Repository, settings: Settings, environ: Mapping[str, str]
) -> None:
    """Refuse, before a long run begins, what cannot be published so. Raises InvalidInput."""
    if way not in ("commit", "push"):
        return
    if repository.commit_of("HEAD") is None:
        raise InvalidInput(
            f"--publish {way} needs a catalogue in git, with a commit.",
            details=f"{repository.root} has none.",
            resolution="commit the catalogue, or use --publish worktree",
        )
    if way == "commit" and not repository.branch():
        raise InvalidInput(
            "--publish commit needs a branch, and none is checked out.",
            resolution="check one out, or name one with publish.branch in osqual.yaml and use "
            "--publish push",
        )
    if way == "push":
        destination(repository, settings, environ)


def destination(
    repository: Repository, settings: Settings, environ: Mapping[str, str]
) -> Destination:
    """The branch to push to: what the settings say, else the change's, else the one followed."""
    here = repository.branch()
    job = ci_job(environ)
    wanted = settings.publish
    remote = wanted.remote or (here and repository.setting(f"branch.{here}.remote")) or "origin"
    followed = (
        repository.setting(f"branch.{here}.merge").removeprefix("refs/heads/") if here else ""
    )
    branch = wanted.branch or (job.branch if job is not None else "") or followed or here
    if not branch or not repository.knows_remote(remote):
        raise InvalidInput(
            "Nothing says where to push to.",
            details=f"remote: {remote}; branch: {branch or 'none is checked out'}",
            resolution="set publish.remote and publish.branch in osqual.yaml",
        )
    return Destination(remote=remote, branch=branch)
