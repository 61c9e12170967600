"""Whether pipelines fit the installed osqual, and keep what makes them safe. Pure."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import yaml

_COMMAND = re.compile(r"(?<![\w-])osqual\"?[ \t]+(?P<words>[a-z][^\n]*)")
_PROSE = re.compile(r"^\s*(#|//|-?\s*name:)|pip\S* install|`osqual")
_END = re.compile(r"\s(?:\d?>|\||;|&&)|'\s*(?:\]|,|$)|;")
_USES = re.compile(r"^\s*-?\s*uses:\s*(?P<action>\S+)")
_PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40}")

Understands = Callable[[Sequence[str]], str]
"""What is wrong with the words after `osqual`; empty when the installed one takes them."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something in a pipeline, at a line of it (from 1)."""

    path: str
    line: int
    text: str


def check_pipeline(path: str, text: str, understands: Understands) -> Iterator[Problem]:
    """Everything that is wrong in one pipeline."""
    for number, line in enumerate(text.splitlines(), 1):
        for problem in (*_command_problems(line, understands), *_action_problems(line)):
            yield Problem(path=path, line=number, text=problem)
    if path.endswith((".yml", ".yaml")):
        for problem in _workflow_problems(path, text):
            yield Problem(path=path, line=1, text=problem)


def commands_in(line: str) -> Iterator[list[str]]:
    """The words after each `osqual` that a line calls; variables stand as one word."""
    if _PROSE.search(line):
        return
    for match in _COMMAND.finditer(line):
        words = _END.split(f"{match['words']} ")[0]
        words = re.sub(r"\$\{\{.*?\}\}|\$\{[^}]*\}|\$\w+", "VALUE", words)
        try:
            yield shlex.split(words.strip())
        except ValueError:
            yield words.split()


def _command_problems(line: str, understands: Understands) -> Iterator[str]:
    for words in commands_in(line):
        problem = understands(words)
        if problem:
            yield f"osqual {' '.join(words)}: {problem}"


def _action_problems(line: str) -> Iterator[str]:
    match = _USES.match(line)
    if match and not match["action"].startswith("./") and not _PINNED.fullmatch(match["action"]):
        yield f"{match['action']} is not pinned by its commit"


def _workflow_problems(path: str, text: str) -> Iterator[str]:
    """What GitHub would run with more rights than it needs."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield f"not valid YAML: {' '.join(str(error).split())}"
        return
    if "workflows" not in path or not isinstance(document, dict):
        return
    # YAML takes the key `on` for true.
    events = document.get("on", document.get(True))
    if "pull_request_target" in (events if isinstance(events, dict | list) else [events]):
        yield "pull_request_target runs with secrets what a fork has written"
    if "permissions" not in document:
        yield "without `permissions` each job may do what the repository's default allows"
    jobs = document.get("jobs")
    for name, job in (jobs if isinstance(jobs, dict) else {}).items():
        if isinstance(job, dict) and job.get("permissions") == "write-all":
            yield f"the job {name} may write everything"
