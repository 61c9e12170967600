"""OSQ8xx: scripts that go on after a failure, or are not run as they look."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from osqual.lint.finding import Found, warning
from osqual.lint.places import inline_line
from osqual.lint.shell import Script
from osqual.lint.view import Leaf, View

_SHELL = re.compile(r"#!.*\b(?:ba|da|k|z|a)?sh\b")
_RUN_WITH_E = re.compile(r"\b(?:ba|da|k|z|a)?sh\s+(?:-\w+\s+)*(?:-\w*e|-o\s+errexit)")
_LINES_LOOKED_AT = 20


def goes_on(view: View) -> Iterator[Found]:
    """Shell scripts in which a failing command goes unnoticed."""
    for leaf in view.leaves:
        for script, options in _scripts(view, leaf):
            if _is_shell(script) and not script.stops_at_errors and not _has_one_command(script):
                if _RUN_WITH_E.search(str(options.get("execute_command", ""))):
                    continue
                line = script.line or inline_line(view, script)
                yield Found(
                    file=script.file,
                    line=line,
                    key=script.key,
                    message="goes on after a command that fails: begin with `set -e`"
                    if script.line
                    else "goes on after a command that fails: begin `inline_shebang` with "
                    "`/bin/sh -e`, or leave it out",
                    configuration=leaf.path,
                )


def _scripts(view: View, leaf: Leaf) -> Iterator[tuple[Script, Mapping[str, Any]]]:
    """Each script with the provisioner that runs it; no options for one that is uploaded."""
    template = view.template(leaf.template)
    entries = template.provisioners if template is not None else ()
    for reference in view.references(leaf):
        script = view.script(reference)
        if script is not None and reference.key[0] == "provisioners":
            yield script, entries[int(reference.key[1])] if reference.runs else {}
    for script in view.scripts(leaf):
        if not script.line:
            yield script, entries[int(script.key.partition("[")[2].partition("]")[0])]
    setup = view.setup(leaf.setup)
    if setup is not None:
        yield Script(file=leaf.setup, text=setup), {}


def _is_shell(script: Script) -> bool:
    named = script.shebang or script.interpreter
    return not named or _SHELL.match(named) is not None


def _has_one_command(script: Script) -> bool:
    return sum(not command.body for command in script.commands) < 2


def late_shebang(view: View) -> Iterator[Found]:
    """An interpreter that is not named on the first line is not used."""
    for leaf in view.leaves:
        for script, _ in _scripts(view, leaf):
            if not script.line or script.shebang:
                continue
            lines = script.text.split("\n")[:_LINES_LOOKED_AT]
            found = [number for number, line in enumerate(lines, 1) if re.match(r"#!\s*/", line)]
            if found:
                yield Found(
                    file=script.file,
                    line=found[0],
                    message="names its interpreter too late: only the first line counts",
                    configuration=leaf.path,
                )


RULES = (
    warning("OSQ801", "Script goes on after failures", goes_on),
    warning("OSQ802", "Interpreter is not on the first line", late_shebang),
)
