"""Generated pipelines: they fit the installed osqual, and keep what makes them safe."""

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from osqual.ci.check import check_pipeline, commands_in
from osqual.ci.generate import SYSTEMS, Wishes, gitlab_jobs, pipeline
from osqual.cli.ci import understood
from tests.fixtures.shell import Shell

WISHES = Wishes(requirement="osqual[aws]==0.1.0")
WORKFLOW = pipeline("github", WISHES)
Workflow = dict[Any, Any]


@pytest.fixture
def workflow() -> Workflow:
    document: Workflow = yaml.safe_load(WORKFLOW)
    return document


def problems(system: str, text: str) -> list[str]:
    return [each.text for each in check_pipeline(SYSTEMS[system].path, text, understood)]


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_generated_fits_the_installed_osqual(system: str) -> None:
    text = pipeline(system, WISHES)
    assert problems(system, text) == []
    called = {words[0] for line in text.splitlines() for words in commands_in(line) if words}
    assert {"lint", "plan", "ci"} <= called | ({"plan"} if system == "gitlab" else set())
    assert "@{" not in text


def test_every_command_is_seen() -> None:
    called = [words for line in WORKFLOW.splitlines() for words in commands_in(line)]
    assert ["ci", "check"] in called
    assert ["reap"] in called
    assert any(words[:1] == ["run"] and "--publish" in words for words in called)
    assert sum(words[:2] == ["ci", "verdicts"] for words in called) == 1


# The workflow for GitHub


def test_changes_of_forks_get_no_secret_and_publish_nothing(workflow: Workflow) -> None:
    assert list(workflow[True]) == ["pull_request"], "not pull_request_target"
    assert "secrets." not in WORKFLOW
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    local = next(step for step in workflow["jobs"]["local"]["steps"] if step.get("name") == "Run")
    assert local["env"]["PUBLISH"] == f"${{{{ {own} && 'push' || 'worktree' }}}}"
    assert local["env"]["GITHUB_TOKEN"] == f"${{{{ {own} && github.token || '' }}}}"
    assert own in workflow["jobs"]["cloud"]["if"]


def test_a_cloud_needs_a_label_and_an_environment_and_no_stored_key(workflow: Workflow) -> None:
    cloud = workflow["jobs"]["cloud"]
    assert "'qualify-in-cloud'" in cloud["if"]
    assert cloud["environment"] == "osqual-cloud"
    assert cloud["permissions"]["id-token"] == "write"
    assert not re.search(r"aws-(access-key|secret)", WORKFLOW)
    others = [job for name, job in workflow["jobs"].items() if name != "cloud"]
    assert not any("id-token" in job["permissions"] for job in others)


def test_rights_are_the_least_and_actions_are_pinned(workflow: Workflow) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    used = re.findall(r"- uses: (\S+)(.*)", WORKFLOW)
    assert len(used) >= 10
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    assert all("permissions" in job for job in workflow["jobs"].values())
    assert "cancel-in-progress" in workflow["concurrency"]


def test_nothing_of_the_event_is_put_into_a_script(workflow: Workflow) -> None:
    """A branch may be called `$(curl …)`: expressions reach scripts as variables only."""
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), step


def test_the_required_check_asks_for_verdicts_however_the_runs_went(workflow: Workflow) -> None:
    report = workflow["jobs"]["report"]
    assert report["if"] == "always()"
    assert set(report["needs"]) == {"plan", "local", "cloud"}
    assert "osqual ci verdicts" in report["steps"][-1]["run"]


# Jenkins and GitLab


def test_the_jenkinsfile_asks_for_verdicts_last_and_runs_side_by_side() -> None:
    text = pipeline("jenkins", WISHES)
    stages = re.findall(r"stage\('([^']+)'\)", text)
    assert stages == [
        "Authorised author",
        "Check out",
        "Unit tests",
        "Lint",
        "Change set",
        "Dry run",
        "Run and publish",
        "Verdicts",
    ]
    assert "parallel branches" in text
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")


def test_gitlab_gets_a_job_for_each_recipe() -> None:
    document = yaml.safe_load(gitlab_jobs([["a/b", "a/it's"], ["c"]]))
    scripts = [job["script"][-1] for job in document.values()]
    assert scripts[0] == "osqual run 'a/b' 'a/it'\\''s' --publish push"
    assert len(document) == 2
    assert yaml.safe_load(gitlab_jobs([])), "a pipeline without a job is refused"


def test_jobs_that_sign_by_their_identity_can_prove_it(shell: Shell) -> None:
    assert shell.osqual("ci", "init", "github") == 0, shell.err
    path = shell.root / SYSTEMS["github"].path
    jobs = yaml.safe_load(path.read_text())["jobs"]
    assert "id-token" not in jobs["local"]["permissions"], "more than it needs"
    with (shell.root / "osqual.yaml").open("a") as settings:
        settings.write("\nattest: {keyless: true}\n")
    assert shell.osqual("ci", "init", "github", "--force") == 0, shell.err
    workflow = yaml.safe_load(path.read_text())
    assert workflow["jobs"]["local"]["permissions"]["id-token"] == "write"
    (run,) = [step for step in workflow["jobs"]["local"]["steps"] if step.get("name") == "Run"]
    assert "|| 'none'" in run["env"]["PUBLISH"], "a fork's job has no identity, and signs nothing"
    assert "osqual[aws,sigstore]==" in workflow["env"]["OSQUAL"]
    (job,) = yaml.safe_load(gitlab_jobs([["a"]], keyless=True)).values()
    assert job["id_tokens"] == {"SIGSTORE_ID_TOKEN": {"aud": "sigstore"}}


# Checking


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("run: osqual ci check", "run: osqual ci chekc", "no command 'chekc'"),
        ("osqual lint --format sarif", "osqual lint --formt sarif", "--formt"),
        ("osqual reap", "osqual raep", "no command 'raep'"),
        ("@11bd71901bbe5b1630ceea73d27597364c9af683", "@v4", "not pinned by its commit"),
        ("  pull_request:", "  pull_request_target:", "runs with secrets"),
        ("permissions:\n  contents: read\n\nconc", "conc", "without `permissions`"),
        ("name: osqual\n", "name: [osqual\n", "not valid YAML"),
    ],
)
def test_what_does_not_fit_is_found_with_its_line(before: str, after: str, why: str) -> None:
    assert before in WORKFLOW
    found = list(
        check_pipeline(SYSTEMS["github"].path, WORKFLOW.replace(before, after, 1), understood)
    )
    assert [each for each in found if why in each.text]
    assert all(1 <= each.line <= len(WORKFLOW.splitlines()) for each in found)


@given(st.text())
def test_any_text_can_be_checked(text: str) -> None:
    for path in ("Jenkinsfile", ".github/workflows/x.yml"):
        list(check_pipeline(path, text, understood))


# The commands


def test_a_pipeline_is_written_and_checked(shell: Shell) -> None:
    for system, known in SYSTEMS.items():
        assert shell.osqual("ci", "init", system) == 0, shell.err
        assert (shell.root / known.path).is_file()
    assert shell.osqual("ci", "check") == 0
    assert "3 checked, 0 problems" in shell.err
    path = shell.root / "Jenkinsfile"
    path.write_text(path.read_text().replace('osqual" ci check', 'osqual" ci chekc'))
    assert shell.osqual("ci", "check", "--json") == 1
    assert json.loads(shell.out)[0]["path"] == "Jenkinsfile"


def test_without_a_pipeline_there_is_nothing_to_check(shell: Shell) -> None:
    assert shell.osqual("ci", "check") == 2
