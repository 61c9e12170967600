"""The continuous integration that this process runs in, as its environment tells it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CiJob:
    """One job of continuous integration. What it does not tell is empty or None."""

    system: str
    """`github`, `gitlab` or `jenkins`."""
    url: str
    """Where a person looks at the job."""
    repository: str = ""
    """`owner/name`, as the forge knows it."""
    api: str = ""
    """The forge's REST API."""
    change: int | None = None
    """The number of the pull or merge request."""
    commit: str = ""
    """The head that is being checked: of a pull request its own, not the trial merge."""
    branch: str = ""
    """The branch that a publishing commit belongs on."""
    from_fork: bool = False
    """The change comes from another repository, to which nothing can be pushed."""


def ci_job(environ: Mapping[str, str]) -> CiJob | None:
    """The job that this process belongs to; None outside of continuous integration."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github(environ)
    if environ.get("GITLAB_CI"):
        return _gitlab(environ)
    if environ.get("JENKINS_URL") and environ.get("BUILD_URL"):
        return _jenkins(environ)
    return None


def _github(environ: Mapping[str, str]) -> CiJob:
    get = environ.get
    server, repository = get("GITHUB_SERVER_URL", ""), get("GITHUB_REPOSITORY", "")
    pull = _event(get("GITHUB_EVENT_PATH", "")).get("pull_request") or {}
    head = pull.get("head") or {}
    origin = (head.get("repo") or {}).get("full_name", repository)
    return CiJob(
        system="github",
        url=f"{server}/{repository}/actions/runs/{get('GITHUB_RUN_ID', '')}",
        repository=repository,
        api=get("GITHUB_API_URL", "https://api.github.com"),
        change=_number(pull.get("number")),
        commit=str(head.get("sha") or get("GITHUB_SHA", "")),
        branch=str(head.get("ref") or get("GITHUB_REF_NAME", "")),
        from_fork=bool(pull) and origin != repository,
    )


def _gitlab(environ: Mapping[str, str]) -> CiJob:
    get = environ.get
    source, target = get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH"), get("CI_PROJECT_PATH", "")
    return CiJob(
        system="gitlab",
        url=get("CI_JOB_URL", ""),
        repository=target,
        api=get("CI_API_V4_URL", ""),
        change=_number(get("CI_MERGE_REQUEST_IID")),
        commit=get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or get("CI_COMMIT_SHA", ""),
        branch=get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or get("CI_COMMIT_REF_NAME", ""),
        from_fork=source is not None and source != target,
    )


def _jenkins(environ: Mapping[str, str]) -> CiJob:
    get = environ.get
    return CiJob(
        system="jenkins",
        url=get("BUILD_URL", ""),
        change=_number(get("CHANGE_ID")),
        commit=get("GIT_COMMIT", ""),
        branch=get("CHANGE_BRANCH") or get("BRANCH_NAME", ""),
        from_fork=bool(get("CHANGE_FORK")),
    )


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else None


def _event(path: str) -> Mapping[str, Any]:
    """What GitHub tells of the event; nothing when it cannot be read."""
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}
