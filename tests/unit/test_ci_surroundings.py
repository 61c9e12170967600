"""Which job of continuous integration a process runs in."""

import json
from pathlib import Path

from osqual.ci.surroundings import ci_job

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/images",
    "GITHUB_RUN_ID": "42",
    "GITHUB_SHA": "e" * 40,
    "GITHUB_REF_NAME": "7/merge",
}


def test_outside_of_continuous_integration_there_is_none() -> None:
    assert ci_job({"HOME": "/root"}) is None


def test_a_pull_request_on_github_is_known_by_its_own_head(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    head = {"sha": "f" * 40, "ref": "topic", "repo": {"full_name": "someone/images"}}
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": head}}))
    job = ci_job({**GITHUB, "GITHUB_EVENT_PATH": str(event)})
    assert job is not None
    assert (job.change, job.commit, job.branch) == (7, "f" * 40, "topic")
    assert job.from_fork
    assert job.url == "https://github.com/acme/images/actions/runs/42"


def test_a_push_on_github(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text("not JSON")
    job = ci_job({**GITHUB, "GITHUB_EVENT_PATH": str(tmp_path / "event.json")})
    assert job is not None
    assert (job.change, job.commit, job.from_fork) == (None, "e" * 40, False)


def test_a_merge_request_on_gitlab() -> None:
    job = ci_job(
        {
            "GITLAB_CI": "true",
            "CI_JOB_URL": "https://gitlab.example/acme/images/-/jobs/9",
            "CI_API_V4_URL": "https://gitlab.example/api/v4",
            "CI_PROJECT_PATH": "acme/images",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "acme/images",
            "CI_MERGE_REQUEST_IID": "12",
            "CI_COMMIT_SHA": "a" * 40,
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic",
        }
    )
    assert job is not None
    assert (job.system, job.change, job.branch, job.from_fork) == ("gitlab", 12, "topic", False)


def test_a_change_on_jenkins() -> None:
    job = ci_job(
        {
            "JENKINS_URL": "https://ci/",
            "BUILD_URL": "https://ci/job/9/",
            "CHANGE_ID": "12",
            "CHANGE_BRANCH": "topic",
            "CHANGE_FORK": "someone",
            "GIT_COMMIT": "a" * 40,
        }
    )
    assert job is not None
    assert (job.url, job.change, job.from_fork) == ("https://ci/job/9/", 12, True)
