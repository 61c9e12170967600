"""The files that a suite wants from nodes when it has ended, for the run directory."""

from collections.abc import Iterator

from osqual.errors import OsqualError
from osqual.model import Artefact, Suite
from osqual.products.node_set import NodeSet
from osqual.run.context import RunContext, need
from osqual.ssh.machine import Machine

DIRECTORY = "artefacts"
MOST_FILES = 100
"""Of one entry, on one node."""

# Without a field separator a name with blanks stays whole, and globs are still put in.
_LIST = 'IFS=; for f in $1; do [ -f "$f" ] && printf "%s\\n" "$f"; done; true'


def fetch_artefacts(suite: Suite, context: RunContext) -> tuple[str, ...]:
    """Fetch them; what cannot be had is a remark each, and no fault of the product."""
    return tuple(remark for wanted in suite.artefacts for remark in _fetch(suite, wanted, context))


def _fetch(suite: Suite, wanted: Artefact, context: RunContext) -> Iterator[str]:
    for node in NodeSet(wanted.nodes).of(need(context.cluster)):
        try:
            _fetch_from(context.machines[node.name], suite, wanted, context)
        except (OsqualError, OSError) as error:
            yield (
                f"{wanted.path} of {node.name}, which the suite '{suite.name}' wants to be kept, "
                f"could not be fetched: {error}"
            )


def _fetch_from(machine: Machine, suite: Suite, wanted: Artefact, context: RunContext) -> None:
    fork = "" if context.whole is None else context.scope.directory.name
    place = context.run_directory / "suites" / suite.name / DIRECTORY
    target = place / fork / machine.node.name
    listed = machine.run(["sh", "-c", _LIST, "osqual", wanted.path], sudo=True).stdout
    for path in listed.splitlines()[:MOST_FILES]:
        local = target / path.lstrip("/")
        if not local.resolve().is_relative_to(target.resolve()):
            continue
        local.parent.mkdir(parents=True, exist_ok=True)
        machine.get(path, local, sudo=True)
