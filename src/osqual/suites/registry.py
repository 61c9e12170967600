"""The suite kinds by the name that a product definition gives them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from osqual.errors import InvalidInput
from osqual.model import Suite
from osqual.suites.base import SuiteKind
from osqual.suites.command_on_node import CommandOnNode
from osqual.suites.command_suite import CommandSuite, check_command
from osqual.suites.on_node import PytestOnNode
from osqual.suites.pytest_suite import PytestSuite

SUITE_KINDS: Mapping[str, SuiteKind] = MappingProxyType(
    {
        "pytest": PytestSuite(),
        "pytest_on_node": PytestOnNode(),
        "command": CommandSuite(),
        "command_on_node": CommandOnNode(),
    }
)


def check_suites(suites: Iterable[Suite]) -> None:
    """Refuse suites that cannot be run, before anything is started. Raises InvalidInput."""
    for suite in suites:
        if suite.kind not in SUITE_KINDS:
            raise InvalidInput(
                f"The suite {suite.name!r} is of an unknown kind: {suite.kind!r}.",
                details=f"Known kinds: {', '.join(SUITE_KINDS)}",
                resolution="correct `kind` in the product definition",
            )
        if suite.kind.startswith("command"):
            check_command(suite)
