"""Running a product's suites: first what counts, then, in the shadow, what is muted.

Everything muted runs after every suite has ended, so that nothing it breaks can reach a test that
counts. docs/adr/0014-what-a-verdict-rests-on.md says why.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from osqual.errors import InvalidInput
from osqual.evidence import evidence_files
from osqual.model import Isolation, Outcome, Selection, Suite, SuiteResult, TestResult
from osqual.mutes.applying import MutesOfRun, for_image
from osqual.run.context import Note, RunContext, need
from osqual.testing.apart import isolation_of, other_isolation, run_part, run_whole
from osqual.testing.consoles import watch_consoles
from osqual.testing.fetching import DIRECTORY as ARTEFACTS
from osqual.testing.fetching import fetch_artefacts
from osqual.testing.forks import save_early
from osqual.testing.nodes import check_nodes
from osqual.testing.parts import clean
from osqual.testing.repeating import repeat_failures
from osqual.testing.requirements import unmet, unmet_by_machines

SHADOW = "shadow"


def run_suites(context: RunContext) -> Note:
    """Run every suite that is not switched off; each one's results are stored as it ends.

    Suites that have ended before, in a process that died later, are not run again.
    """
    if context.takes_over is not None:
        return Note(message="not needed", skipped=True)
    context.mutes = mutes_of_run(context)
    suites = need(context.product).suites
    forked = {suite.name for suite in suites if isolation_of(suite, context) is Isolation.FORK}
    watch_consoles(context, apart=forked)
    if forked and suites[0].name not in forked:
        save_early(context)
    known = {suite.suite for suite in context.suites}
    for suite in suites:
        if suite.name not in known:
            keep(run_suite(suite, context), context)
    for suite in need(context.product).suites:
        run_shadow(suite, context)
    if (checks := check_nodes(context)) is not None:
        keep(context.mutes.apply(checks), context)
    ran = [suite for suite in context.suites if not suite.skipped]
    return Note(message=f"{sum(len(suite.results) for suite in ran)} tests in {len(ran)} suites")


def mutes_of_run(context: RunContext) -> MutesOfRun:
    """The mutes in force, and the failures that they have muted here before."""
    ids = need(context.image).ids.values()
    mutes = for_image(need(context.inputs_mutes), tuple(ids))
    known = context.store.history.muted_signatures(
        context.configuration.path, [mute.digest for mute in mutes], before=context.scope.run_id
    )
    return MutesOfRun(mutes=mutes, known=known)


def keep(result: SuiteResult, context: RunContext) -> None:
    """Have a suite's result in the context and in the store, in place of what was there."""
    result = clean(result, context.scope.secrecy)
    names = [suite.suite for suite in context.suites]
    if result.suite in names:
        context.suites[names.index(result.suite)] = result
    else:
        context.suites.append(result)
    context.store.record_suite(context.scope.run_id, result)
    context.scope.cancellation.check()


def run_suite(suite: Suite, context: RunContext) -> SuiteResult:
    """One suite without what is muted, or why it was not run."""
    if reason := why_not(suite, context):
        return SuiteResult(suite=suite.name, skipped=reason)
    if (muted := muted_as_a_whole(suite, context.mutes)) is not None:
        return muted
    context.scope.progress(f"the suite {suite.name} ({suite.kind}) begins")
    selection = replace(selection_for(suite, context), leave_out=context.mutes.patterns)
    result = context.mutes.apply(run_whole(suite, selection, context))
    result = repeat_failures(suite, selection, result, context)
    remarks = other_isolation(suite, context)
    if isolation_of(suite, context) is not Isolation.FORK:  # there, each fork was asked
        remarks += fetch_artefacts(suite, context)
    context.scope.secrecy.clean_files(
        evidence_files(context.run_directory / "suites" / suite.name / ARTEFACTS)
    )
    return replace(result, remarks=(*result.remarks, *remarks))


def run_shadow(suite: Suite, context: RunContext) -> None:
    """The muted tests of a suite, run on their own; done once, also when a run is resumed."""
    counted = next(result for result in context.suites if result.suite == suite.name)
    muted = [
        test.test_id
        for test in counted.results
        if test.outcome is Outcome.MUTED and test.shadow is None
    ]
    only = context.mutes.in_shadow(muted)
    if not only or muted_as_a_whole(suite, context.mutes) is not None:
        return
    context.scope.progress(f"the muted tests of the suite {suite.name} begin")
    shadow = run_part(suite, replace(selection_for(suite, context), only=only), SHADOW, context)
    keep(context.mutes.add_shadow(counted, shadow), context)


def muted_as_a_whole(suite: Suite, mutes: MutesOfRun) -> SuiteResult | None:
    """The result of a command that a mute keeps from being run: it is one test, its own name."""
    mute = mutes.of(suite.name) if suite.kind.startswith("command") else None
    if mute is None or mute.runs:
        return None
    test = TestResult(suite=suite.name, test_id=suite.name, outcome=Outcome.MUTED, mute=mute.digest)
    return SuiteResult(suite=suite.name, results=(test,))


def why_not(suite: Suite, context: RunContext) -> str:
    """Why a suite is not to be run here; empty when it is."""
    return (
        switched_off(suite, context)
        or not_chosen(suite, context)
        or unmet(suite, context)
        or unmet_by_machines(suite, context)
    )


def not_chosen(suite: Suite, context: RunContext) -> str:
    """Why a suite has no part in a run of chosen tests; empty when it has."""
    only = context.options.only
    return "none of its tests was chosen" if only and suite.name not in dict(only) else ""


def switched_off(suite: Suite, context: RunContext) -> str:
    """Why the configuration does not want this suite; empty when it does."""
    config = need(context.inputs).publish_and_test
    if suite.stage == "integration" and not config.run_integration_tests:
        return "run_integration_tests is false"
    if suite.stage == "framework" and not config.run_framework_tests:
        return "run_framework_tests is false"
    return ""


def selection_for(suite: Suite, context: RunContext) -> Selection:
    """`tests_to_run` names integration tests, as in dcos/dcos-images; -k narrows every suite."""
    tests_to_run = words_of(need(context.inputs).publish_and_test.tests_to_run)
    return Selection(
        arguments=tests_to_run if suite.stage == "integration" else (),
        keywords=context.options.keywords,
        only=tuple(test for name, test in context.options.only if name == suite.name),
    )


def words_of(tests_to_run: Sequence[str]) -> tuple[str, ...]:
    """Each item is split into words as a shell would, and no shell ever sees them."""
    try:
        return tuple(word for item in tests_to_run for word in shlex.split(item))
    except ValueError as error:
        raise InvalidInput(
            "tests_to_run cannot be split into words.",
            details=f"{error}: {', '.join(tests_to_run)}",
            resolution="close every quote in the publish and test configuration",
        ) from error
