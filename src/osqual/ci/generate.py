"""Pipelines that run osqual, made from templates. Pure but for reading them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
import yaml

# Each by commit: a tag can be moved. The comment names the release that it is.
PINNED: Mapping[str, tuple[str, str, str]] = {
    "aws": (
        "aws-actions/configure-aws-credentials",
        "b47578312673ae6fa5b5096b330d9fbac3d116df",
        "v4.2.1",
    ),
    "checkout": ("actions/checkout", "11bd71901bbe5b1630ceea73d27597364c9af683", "v4.2.2"),
    "python": ("actions/setup-python", "a26af69be951a213d495a4c3e4e4022e16d87065", "v5.6.0"),
    "sarif": (
        "github/codeql-action/upload-sarif",
        "ff0a06e83cb2de871e5a09832bc6a81e7276941f",
        "v3.28.18",
    ),
    "upload": ("actions/upload-artifact", "ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"),
}


@dataclass(frozen=True, kw_only=True)
class System:
    """One system of continuous integration: where its pipeline is, and its template."""

    path: str
    template: str
    label: str
    """What the template's `label` is when nobody says: on pull requests, or of agents."""


SYSTEMS: Mapping[str, System] = {
    "github": System(
        path=".github/workflows/osqual.yml", template="github.yml", label="qualify-in-cloud"
    ),
    "gitlab": System(path=".gitlab-ci.yml", template="gitlab.yml", label=""),
    "jenkins": System(path="Jenkinsfile", template="Jenkinsfile", label="qemu"),
}


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a person may choose. `requirement` is what pip installs."""

    requirement: str
    label: str = ""
    environment: str = "osqual-cloud"
    region: str = "us-west-2"
    branch: str = "main"
    keyless: bool = False
    """Whether runs sign by the identity of their job, which they have to be able to prove."""


def pipeline(system: str, wishes: Wishes) -> str:
    """The text of a system's pipeline."""
    known = SYSTEMS[system]
    text = files("osqual.ci").joinpath("pipelines", known.template).read_text(encoding="utf-8")
    # `{{` is GitHub's own, so ours are written otherwise.
    environment = jinja2.Environment(
        variable_start_string="@{",
        variable_end_string="}",
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and Groovy; the values are a person's own
    )
    actions = {name: f"{where}@{commit} # {tag}" for name, (where, commit, tag) in PINNED.items()}
    values = {**vars(wishes), "label": wishes.label or known.label, "actions": actions}
    return environment.from_string(text).render(values)


def gitlab_jobs(groups: Sequence[Sequence[str]], *, keyless: bool = False) -> str:
    """A child pipeline: one job for each group of configurations, whose image is built once."""
    identity = {"id_tokens": {"SIGSTORE_ID_TOKEN": {"aud": "sigstore"}}} if keyless else {}
    document: dict[str, Any] = {
        f"qualify {number}: {group[0]}": {
            "image": "python:3.12-bookworm",
            "timeout": "6h",
            **identity,
            "variables": {"OSQUAL_STATE_DIR": "$CI_PROJECT_DIR/.osqual-state"},
            "script": [
                "apt-get update -qq && apt-get install -y -qq qemu-system-x86 qemu-utils "
                "mmdebstrap uidmap openssh-client",
                'python -m pip install --quiet "$OSQUAL"',
                f"osqual run {' '.join(map(_quoted, group))} --publish push",
            ],
            "artifacts": {
                "when": "always",
                "paths": [".osqual-state/runs/*/suites/", ".osqual-state/runs/*/*.jsonl"],
                "reports": {"junit": [".osqual-state/runs/*/suites/**/*.xml"]},
            },
        }
        for number, group in enumerate(groups, 1)
    }
    if not document:
        document = {"nothing to qualify": {"script": ["true"]}}
    return yaml.safe_dump(document, sort_keys=False, width=1000)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
