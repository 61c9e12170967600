"""The pytest plugin of suites of the kind `pytest`: fixtures for the cluster, and live events.

It runs in the suite's own process and knows only the file that `OSQUAL_SUITE_REQUEST` names.
"""

import os
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from osqual.cancellation import Cancellation
from osqual.cluster_file import read_cluster
from osqual.errors import CommandFailed, InfrastructureError, TimeLimitExceeded
from osqual.model import Cluster, Node, Outcome, Role, Shard
from osqual.mutes.pattern import matches_test
from osqual.processes.process import write_atomic
from osqual.ssh.machine import Machine
from osqual.suites.junit import (
    MAX_DETAILS_CHARS,
    MAX_MESSAGE_CHARS,
    TEST_ID_PROPERTY,
    clean_text,
)
from osqual.suites.plugin_request import REQUEST_VARIABLE, PluginRequest
from osqual.suites.progress import ProgressWriter
from osqual.suites.ssh_config import ssh_config

PLUGIN_NAME = "osqual-suite"
LOST_PROPERTY = "osqual.lost"
SSH_FAILED = 255
GO_ON_S = 600.0
POLL_S = 0.05

Machines = Callable[[Node | str], Machine]


def pytest_configure(config: pytest.Config) -> None:
    """Take the request and start to report."""
    path = os.environ.get(REQUEST_VARIABLE)
    if not path:
        raise pytest.UsageError(f"${REQUEST_VARIABLE} is not set: osqual starts these tests")
    config.pluginmanager.register(SuitePlugin(PluginRequest.load(Path(path))), PLUGIN_NAME)


class SuitePlugin:
    """One test session against one cluster."""

    def __init__(self, request: PluginRequest) -> None:
        self.request = request
        self.cancellation = Cancellation(what="the suite")
        self._progress = ProgressWriter(request.progress)
        self._reports: dict[str, list[pytest.TestReport]] = {}
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, _signum: int, _frame: FrameType | None) -> None:
        """End like Ctrl-C, so that fixtures clean up and the report is written."""
        self.cancellation.cancel()
        raise KeyboardInterrupt

    # What is run

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the tests that are asked for, and of these the ones that are not muted."""
        wanted = [item for item in items if self._is_wanted(item.nodeid)]
        muted = [item for item in wanted if self._is_muted(item.nodeid)]
        chosen = self._shard([item for item in wanted if item not in muted])
        found = len(items)
        if len(chosen) < found:
            config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
            items[:] = chosen
        left_out = [item.nodeid for item in muted]
        listed = [item.nodeid for item in items] if config.option.collectonly else []
        self._progress.write(
            "collected", count=len(items), found=found, left_out=left_out, tests=listed
        )

    def _shard(self, items: list[pytest.Item]) -> list[pytest.Item]:
        if self.request.shard is None:
            return items
        number, of = self.request.shard
        return Shard(number=number, of=of).take(items)

    def _is_wanted(self, test_id: str) -> bool:
        request = self.request
        if request.only:
            return test_id in request.only
        lowered = test_id.lower()
        return not request.keywords or any(word.lower() in lowered for word in request.keywords)

    def _is_muted(self, test_id: str) -> bool:
        request = self.request
        return not request.only and any(matches_test(p, test_id) for p in request.leave_out)

    # What is told

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell which test runs."""
        self._progress.write("started", test_id=nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give the report the test's id, and a mark when a machine could not be reached."""
        if call.when == "setup":
            item.user_properties.append((TEST_ID_PROPERTY, item.nodeid))
        error = None if call.excinfo is None else call.excinfo.value
        if is_infrastructure(error):
            item.user_properties.append((LOST_PROPERTY, str(getattr(error, "brief", error))))
        report = yield
        if report.failed and call.when != "teardown":
            self._show_failure(item.nodeid)
        return report

    def _show_failure(self, test_id: str) -> None:
        """Let the cluster be saved as the test left it, before its fixtures clean up."""
        go_on = self.request.go_on
        if go_on is None:
            return
        self._progress.write("failing", test_id=test_id)
        token = self.cancellation.limited(GO_ON_S, "waiting for the cluster to be saved")
        with suppress(TimeLimitExceeded):
            while not go_on.exists():
                token.sleep(POLL_S)
        go_on.unlink(missing_ok=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell the outcome once the last phase of a test is over."""
        reports = self._reports.setdefault(report.nodeid, [])
        reports.append(report)
        if report.when == "teardown":
            self._progress.write("ended", **describe(self._reports.pop(report.nodeid)))

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Tell that this is all."""
        self._progress.write("finished", exit_status=int(exitstatus))


def is_infrastructure(error: BaseException | None) -> bool:
    """Whether an error says that a machine was lost, and so nothing about the product.

    A command that failed or that took too long is what a product's failure looks like.
    """
    if isinstance(error, RuntimeError) and error.args:  # testinfra's, for ssh's own exit status
        return getattr(error.args[0], "rc", None) == SSH_FAILED
    return isinstance(error, InfrastructureError) and not isinstance(
        error, CommandFailed | TimeLimitExceeded
    )


def describe(reports: list[pytest.TestReport]) -> dict[str, Any]:
    """One test's outcome from the reports of its phases (setup, call, teardown)."""
    outcome, decisive = Outcome.PASS, None
    for report in reports:
        if report.failed:
            # The call is the test; around it stands what the test needs.
            outcome = Outcome.FAIL if report.when == "call" else Outcome.ERROR
            decisive = report
            break
        if report.skipped:
            outcome, decisive = Outcome.SKIP, report
    message, details = _texts(decisive)
    return {
        "test_id": reports[0].nodeid,
        "outcome": outcome.value,
        "duration_s": round(sum(report.duration for report in reports), 3),
        "message": message,
        "details": details,
        "lost": next(
            (text for name, text in reports[-1].user_properties if name == LOST_PROPERTY), ""
        ),
    }


def _texts(report: pytest.TestReport | None) -> tuple[str, str]:
    if report is None or report.longrepr is None:
        return "", ""
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        return clean_text(report.longrepr[2], MAX_MESSAGE_CHARS), ""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash else report.longreprtext.strip().splitlines()[-1:]
    text = message if isinstance(message, str) else "".join(message)
    return (
        clean_text(text, MAX_MESSAGE_CHARS),
        clean_text(report.longreprtext, MAX_DETAILS_CHARS),
    )


# Fixtures


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `host` is run on every node, or on those of `testinfra_hosts`."""
    if "host" not in metafunc.fixturenames:
        return
    plugin = metafunc.config.pluginmanager.get_plugin(PLUGIN_NAME)
    assert isinstance(plugin, SuitePlugin)  # noqa: S101 - registered by pytest_configure
    nodes = read_cluster(plugin.request.cluster).nodes
    wanted = getattr(metafunc.module, "testinfra_hosts", None)
    chosen = [
        node.name for node in nodes if wanted is None or {node.name, node.role.value} & {*wanted}
    ]
    metafunc.parametrize("host", chosen, indirect=True)


@pytest.fixture
def host(
    request: pytest.FixtureRequest,
    suite_request: PluginRequest,
    cluster: Cluster,
    machine: Machines,
) -> Any:
    """A node as testinfra's `host`, over the run's own connection, its host key checked."""
    try:
        from testinfra import get_host
    except ImportError:
        pytest.fail("the fixture `host` needs osqual's extra `testinfra`", pytrace=False)
    config = suite_request.cluster.with_name("ssh_config")
    write_atomic(config, ssh_config(cluster, suite_request.control_dir))
    machine(request.param).connect()
    # Without a persistence of its own it takes the connection that the file names.
    return get_host(f"ssh://{request.param}", ssh_config=str(config), controlpersist=0)


@pytest.fixture(scope="session")
def suite_request(pytestconfig: pytest.Config) -> PluginRequest:
    """What osqual told this suite."""
    plugin = pytestconfig.pluginmanager.get_plugin(PLUGIN_NAME)
    assert isinstance(plugin, SuitePlugin)  # noqa: S101 - registered by pytest_configure
    return plugin.request


@pytest.fixture(scope="session")
def dimensions(suite_request: PluginRequest) -> Mapping[str, str]:
    """The configuration's dimensions: os, os_version, platform, product, release, docker, …"""
    return suite_request.dimensions


@pytest.fixture(scope="session")
def parameters(suite_request: PluginRequest) -> Mapping[str, Any]:
    """The suite's parameters."""
    return suite_request.parameters


@pytest.fixture(scope="session")
def cluster(suite_request: PluginRequest) -> Cluster:
    """The cluster under test."""
    return read_cluster(suite_request.cluster)


@pytest.fixture(scope="session")
def nodes(cluster: Cluster) -> tuple[Node, ...]:
    """Every node, masters first."""
    return cluster.nodes


@pytest.fixture(scope="session")
def masters(cluster: Cluster) -> tuple[Node, ...]:
    """The masters."""
    return cluster.by_role(Role.MASTER)


@pytest.fixture(scope="session")
def agents(cluster: Cluster) -> tuple[Node, ...]:
    """The private agents, then the public ones."""
    return cluster.by_role(Role.PRIVATE_AGENT) + cluster.by_role(Role.PUBLIC_AGENT)


@pytest.fixture(scope="session")
def machine(
    cluster: Cluster, suite_request: PluginRequest, pytestconfig: pytest.Config
) -> Machines:
    """A function from a node, or a node's name, to its machine."""
    plugin = pytestconfig.pluginmanager.get_plugin(PLUGIN_NAME)
    assert isinstance(plugin, SuitePlugin)  # noqa: S101 - registered by pytest_configure
    made = {
        node.name: Machine(node, cluster.identity, suite_request.control_dir, plugin.cancellation)
        for node in cluster.nodes
    }
    return lambda node: made[node if isinstance(node, str) else node.name]


@pytest.fixture(scope="session")
def master(machine: Machines, masters: tuple[Node, ...]) -> Machine:
    """The first master's machine."""
    return machine(masters[0])
