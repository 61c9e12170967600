"""The suite kind `pytest`: a product's tests, run on the controller by osqual's own interpreter.

A run of it is isolated from the person's pytest settings and writes nothing beside the tests.
"""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from osqual.cluster_file import FILE_NAME as CLUSTER_FILE
from osqual.cluster_file import write_cluster
from osqual.effects.scope import RunScope
from osqual.effects.sockets import socket_directory
from osqual.events import EventKind
from osqual.model import Outcome, Selection, SuiteResult, TestResult
from osqual.processes.process import tail, write_atomic
from osqual.suites import job as suite_job
from osqual.suites.base import Listing, SuiteRequest
from osqual.suites.junit import JunitReport, read_junit
from osqual.suites.plugin_request import REQUEST_VARIABLE, PluginRequest
from osqual.suites.progress import LineFollower, SuiteProgress

# Exit codes of pytest (pytest.ExitCode).
_TESTS_FAILED = 1
_NOTHING_COLLECTED = 5
_EXIT_CODES = {
    2: "it was interrupted, or its tests could not be loaded",
    3: "pytest itself failed",
    4: "pytest refused its arguments",
    _NOTHING_COLLECTED: "it has no tests to run",
}


class PytestSuite:
    """Runs `python -m pytest` in the suite's directory with osqual's plugin."""

    def __init__(self, probe: suite_job.Probe = suite_job.silent_nodes) -> None:
        self._probe = probe

    def run(self, request: SuiteRequest, scope: RunScope) -> SuiteResult:
        """Run the suite to its end or its time limit; see `SuiteKind`."""
        name = request.suite.name
        if problem := suite_job.late_start(scope.cancellation):
            return SuiteResult(suite=name, problem=problem)
        files = _Files(directory=request.directory)
        env = _prepare(request, files, scope)
        reader = _ProgressReader(request, files, scope)
        end = _run(pytest_argv(request, files), request, files, env, reader, scope)
        report = read_junit(files.junit, name)
        results = _confirmed(report, reader.progress)
        skipped = _nothing_chosen(end, request.selection, reader.progress)
        problem = _unknown(request.selection, reader.progress, results)
        if not skipped:
            problem = _problem(end, report, reader.progress, results) or problem
        if _empty_shard(end, request, reader.progress):
            problem = ""
        if not problem and suite_job.any_failed(results):
            problem = self._probe(request.cluster, scope)
        return SuiteResult(
            suite=name,
            results=results,
            exit_status=end.exit_status,
            duration_s=end.duration_s,
            problem=problem,
            skipped=skipped,
            left_out=reader.progress.left_out,
            artefacts=tuple(
                path
                for path in (files.junit, end.job.stdout, end.job.stderr, files.progress)
                if path.exists()
            ),
        )

    def list_tests(self, request: SuiteRequest, scope: RunScope) -> Listing:
        """Have pytest collect them; see `ListingKind`."""
        files = _Files(directory=request.directory)
        env = _prepare(request, files, scope)
        reader = _ProgressReader(request, files, scope)
        argv = [*pytest_argv(request, files), "--collect-only", "-q"]
        end = _run(argv, request, files, env, reader, scope)
        progress = reader.progress
        problem = end.death
        if not problem and end.exit_status not in (0, _NOTHING_COLLECTED):
            meaning = _EXIT_CODES.get(end.exit_status or 0, "it ended in an unknown way")
            problem = f"{meaning} (exit status {end.exit_status}): {_last_words(end)}"
        return Listing(tests=progress.listed, left_out=progress.left_out, problem=problem)


@dataclass(frozen=True, kw_only=True)
class _Files:
    """What a run of the suite leaves in its directory."""

    directory: Path
    junit: Path = field(init=False)
    progress: Path = field(init=False)
    request: Path = field(init=False)
    ini: Path = field(init=False)
    job: Path = field(init=False)
    cluster: Path = field(init=False)
    go_on: Path = field(init=False)

    def __post_init__(self) -> None:
        for name, file in (
            ("junit", "junit.xml"),
            ("progress", "progress.jsonl"),
            ("request", "request.json"),
            ("ini", "pytest.ini"),
            ("job", "job"),
            ("cluster", CLUSTER_FILE),
            ("go_on", "go-on"),
        ):
            object.__setattr__(self, name, self.directory / file)


def pytest_argv(request: SuiteRequest, files: _Files) -> list[str]:
    """The command: our settings first, then the suite's arguments, then the configuration's.

    No test is named unless the arguments name one: the generated ini's `testpaths` says what the
    suite is, and pytest looks there only when it is given nothing else.
    """
    home = _home(request.suite.path)
    keywords, rest = join_keywords((*request.suite.arguments, *request.selection.arguments))
    return [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(files.ini),
        f"--rootdir={home}",
        f"--confcutdir={home}",
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-p",
        "osqual.suites.plugin",
        f"--junitxml={files.junit}",
        "--color=no",
        "-ra",
        *(["-k", keywords] if keywords else []),
        *rest,
    ]


def join_keywords(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """All `-k` expressions of a command line as one, and the other arguments.

    pytest takes only the last -k; whoever wrote several meant each of them.
    """
    expressions: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "-k":
            expressions.append(next(words, ""))
        elif re.match(r"-k.", word):
            expressions.append(word[2:].removeprefix("="))
        else:
            rest.append(word)
    expressions = [expression for expression in expressions if expression.strip()]
    if len(expressions) < 2:
        return "".join(expressions), rest
    return " and ".join(f"({expression})" for expression in expressions), rest


def _home(path: Path) -> Path:
    """The directory that the tests are run in."""
    return path if path.is_dir() else path.parent


def _prepare(request: SuiteRequest, files: _Files, scope: RunScope) -> dict[str, str]:
    """Write the plugin's request and an ini of our own; returns the environment."""
    files.directory.mkdir(parents=True, exist_ok=True)
    write_cluster(files.cluster, request.cluster)
    plugin = PluginRequest(
        cluster=files.cluster,
        control_dir=socket_directory(scope),
        progress=files.progress,
        dimensions=request.configuration.dimensions,
        keywords=request.selection.keywords,
        leave_out=request.selection.leave_out,
        only=request.selection.only,
        shard=None if request.shard is None else (request.shard.number, request.shard.of),
        parameters=request.suite.parameters,
        go_on=None if request.on_failure is None else files.go_on,
    )
    write_atomic(files.request, plugin.dump())
    path = request.suite.path
    # `pythonpath`: tests may share a module that stands beside them.
    lines = ["[pytest]", f"pythonpath = {shlex.quote(str(_home(path)))}"]
    lines += [] if path.is_dir() else [f"testpaths = {path.name}"]
    write_atomic(files.ini, "\n".join(lines) + "\n")
    return suite_job.clean_environment(
        {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            REQUEST_VARIABLE: str(files.request),
            **request.suite.environment,
        }
    )


def _run(
    argv: Sequence[str],
    request: SuiteRequest,
    files: _Files,
    env: Mapping[str, str],
    reader: "_ProgressReader",
    scope: RunScope,
) -> suite_job.JobEnd:
    return suite_job.run_job(
        request.name,
        argv,
        directory=files.job,
        cwd=_home(request.suite.path),
        env=env,
        scope=scope,
        on_poll=reader.poll,
    )


class _ProgressReader:
    """Follows the plugin's events and passes them on as events of the run."""

    def __init__(self, request: SuiteRequest, files: _Files, scope: RunScope) -> None:
        self.progress = SuiteProgress(request.suite.name)
        self._follower = LineFollower(files.progress)
        self._go_on = files.go_on
        self._on_failure = request.on_failure
        self._suite = request.suite.name
        self._scope = scope

    def poll(self) -> None:
        for line in self._follower.new_lines():
            before = self.progress.running
            result = self.progress.feed(line)
            if result is not None:
                self._scope.emit(
                    EventKind.TEST,
                    result.message.partition("\n")[0],
                    suite=self._suite,
                    test_id=result.test_id,
                    outcome=result.outcome.value,
                    duration_s=result.duration_s,
                )
            elif self.progress.running not in ("", before):
                self._scope.progress(
                    self.progress.running,
                    suite=self._suite,
                    done=len(self.progress.results),
                    total=self.progress.selected,
                    unit="tests",
                )
            self._show_failures()

    def _show_failures(self) -> None:
        """The test waits meanwhile; it goes on whatever comes of it."""
        while self.progress.failing:
            test = self.progress.failing.pop()
            try:
                if self._on_failure is not None:
                    self._on_failure(test)
            finally:
                self._go_on.touch()


def _confirmed(report: JunitReport, progress: SuiteProgress) -> tuple[TestResult, ...]:
    """The report's results; what was told as it happened, when there is no report.

    A test that was begun and never ended stands in pytest's report like one that passed: a pass
    counts only when the end of the test was told as well.
    """
    if not report.results:
        return tuple(progress.results.values())
    return tuple(
        result
        for result in report.results
        if result.outcome is not Outcome.PASS or result.test_id in progress.results
    )


def _empty_shard(end: suite_job.JobEnd, request: SuiteRequest, progress: SuiteProgress) -> bool:
    """Whether there were fewer tests than shards."""
    nothing = end.exit_status == _NOTHING_COLLECTED
    return request.shard is not None and nothing and progress.found > 0


def _nothing_chosen(end: suite_job.JobEnd, selection: Selection, progress: SuiteProgress) -> str:
    """Whether -k left nothing of a suite that has tests: then it was not run, on purpose."""
    nothing = end.exit_status == _NOTHING_COLLECTED and not progress.left_out
    if nothing and selection.keywords and not selection.only and progress.found:
        return f"none of its {progress.found} tests has a name that contains " + " or ".join(
            repr(keyword) for keyword in selection.keywords
        )
    return ""


def _unknown(selection: Selection, progress: SuiteProgress, results: Sequence[TestResult]) -> str:
    """Tests that were asked for by their ids and that the suite does not have (any more)."""
    ran = {result.test_id for result in results} | progress.results.keys()
    missing = [test for test in selection.only if test not in ran]
    return f"it has no such test: {', '.join(missing)}" if missing else ""


def _problem(
    end: suite_job.JobEnd,
    report: JunitReport,
    progress: SuiteProgress,
    results: Sequence[TestResult],
) -> str:
    """Why the suite cannot be believed; empty when it can."""
    status = end.exit_status
    if status == _NOTHING_COLLECTED and progress.left_out:
        return ""
    if end.death:
        return end.death + (f", while {progress.running} ran" if progress.running else "")
    if status not in (0, _TESTS_FAILED):
        meaning = _EXIT_CODES.get(status or 0, "it ended in an unknown way")
        return f"{meaning} (exit status {status}): {_last_words(end)}"
    if report.problem:
        return report.problem
    if progress.lost:
        test, words = next(iter(progress.lost.items()))
        return f"a machine could not be reached during {test}: {words}"
    if status == _TESTS_FAILED and not suite_job.any_failed(results):
        return "its exit status says that a test failed, and its report has no such test"
    if status == 0 and progress.selected != len(results):
        return f"{progress.selected} tests were to be run and {len(results)} have a result"
    return ""


def _last_words(end: suite_job.JobEnd) -> str:
    """The line that says why: pytest marks it in one of several ways, or it is the last one."""
    text = "\n".join(
        stream.read_text(errors="replace") for stream in (end.job.stdout, end.job.stderr)
    )
    for mark in (r"^E +(\S.*)$", r"^.*\berror: (.+)$", r"^ERROR:? +(\S.*)$"):
        if found := re.findall(mark, text, re.MULTILINE):
            return str(found[-1]).strip()
    return tail(text, 1).strip() or "it printed nothing"
