"""What a run tells the forge: its row in the comment, and statuses bound to head and verdict."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.ci.surroundings import CiJob, ci_job
from osqual.conventions import FileNames
from osqual.effects.retry import persist, retry
from osqual.effects.scope import RunScope
from osqual.errors import PublishFailed, TransientError
from osqual.forge.announcement import (
    STATES,
    Announcement,
    announce,
    context_of,
    keep_announcement,
    with_commit,
)
from osqual.forge.base import CommitStatus, State
from osqual.forge.comment import Row
from osqual.forge.registry import open_forge
from osqual.forge.webhooks import Change, notify
from osqual.model import Outcome, Verdict
from osqual.plan.verdicts import Concerned
from osqual.platforms.cluster_cost import spent_so_far
from osqual.publish.deliver import Delivered
from osqual.publish.outbox import outbox
from osqual.publish.repository import Repository
from osqual.run.context import RunContext
from osqual.secrecy import hide_in
from osqual.settings import load_settings

OVERALL = "osqual"
"""The status that a branch is protected by."""
PATCH_LIMIT_CHARS = 20_000
LISTED = 50


def check_forge(context: RunContext) -> None:
    """Refuse settings of a forge that cannot be reached so, before a long run begins."""
    if context.options.publish != "none":
        open_forge(context.scope.settings.forge, ci_job(context.environ), context.environ)


def speaks(context: RunContext) -> bool:
    """Whether the run is one that others are told of: whole, and not only somebody's try."""
    return context.options.publish != "none" and not context.options.keywords


def tell_begin(context: RunContext) -> None:
    """Have the head say that its configuration is being qualified; that it cannot is a warning."""
    job = ci_job(context.environ)
    forge = open_forge(context.scope.settings.forge, job, context.environ)
    if forge is None or job is None or not job.commit or not speaks(context):
        return
    status = CommitStatus(
        context=context_of(context.configuration.path),
        state=State.PENDING,
        description=f"is being qualified by the run {context.scope.run_id}",
        url=job.url,
    )
    try:
        retry(
            partial(forge.set_status, job.commit, status),
            "setting the commit's status",
            context.scope,
        )
    except (PublishFailed, TransientError) as error:
        context.scope.warn(error.brief)


def tell_forge(context: RunContext, done: Delivered) -> None:
    """Tell how the run ended, however it did; nothing where there is no forge.

    Raises PublishFailed when the forge was not told: what was to be said is kept.
    """
    job = ci_job(context.environ)
    forge = open_forge(context.scope.settings.forge, job, context.environ)
    if forge is None or job is None or not speaks(context):
        return
    repository = Repository(root=context.catalogue.root, cancellation=context.cancellation)
    commits = [job.commit] if job.commit else []
    if carries_over(repository, job.commit, done.commit, context.scope.settings.files):
        commits.append(done.commit)
    announcement = Announcement(row=row_of(context, job, done), job=job, commits=tuple(commits))
    keep_announcement(outbox(context.scope.directory), announcement)
    announce(announcement, forge, context.scope)


def tell_webhooks(context: RunContext) -> None:
    """Tell those who want to know when a verdict is not that of the run before."""
    settings, judgement = context.scope.settings, context.judgement
    if not settings.notify or judgement is None or not speaks(context):
        return
    before = verdict_before(context)
    if before == judgement.verdict.value:
        return
    job = ci_job(context.environ)
    change = Change(
        configuration=context.configuration.path,
        before=before,
        verdict=judgement.verdict.value,
        run=context.scope.run_id,
        reasons=tuple(judgement.reasons),
        url="" if job is None else job.url,
    )
    notify(change, settings.notify, context.environ, context.scope)


def verdict_before(context: RunContext) -> str:
    """The verdict of the last run that was to be told of; empty when there was none."""
    for run in context.store.runs(configuration=context.configuration.path):
        options = run["options"]
        told = not options.get("keywords") and options.get("publish") != "none"
        if told and run["verdict"] and run["id"] != context.scope.run_id:
            return str(run["verdict"])
    return ""


def tell_again(
    announcement: Announcement,
    done: Delivered,
    root: Path,
    scope: RunScope,
    environ: Mapping[str, str],
) -> bool:
    """Say what a run wanted to be said; False when there is nobody to say it to."""
    forge = open_forge(scope.settings.forge, announcement.job, environ)
    if forge is None:
        return False
    repository = Repository(root=root, cancellation=scope.cancellation)
    if carries_over(repository, announcement.job.commit, done.commit, scope.settings.files):
        announcement = with_commit(announcement, done.commit)
    announce(announcement, forge, scope)
    return True


def tell_verdicts(
    found: Sequence[Concerned], verdict: str, root: Path, environ: Mapping[str, str]
) -> None:
    """Set the statuses of a commit whose verdicts were asked for: of all together, and of each.

    Nothing is told where there is no forge. Raises RequestRefused or TransientError.
    """
    settings, job, cancellation = load_settings(root, environ), ci_job(environ), Cancellation()
    forge = open_forge(settings.forge, job, environ)
    commit = Repository(root=root, cancellation=cancellation).commit_of("HEAD")
    if forge is None or job is None or commit is None:
        return
    qualified = sum(item.verdict == "qualified" for item in found)
    told = {OVERALL: (verdict, f"{qualified} of {len(found)} configurations are qualified")}
    for item in found:
        if item.by_run:
            continue
        told[context_of(item.configuration)] = (item.verdict, "; ".join(item.reasons))
    for context, (one, reason) in told.items():
        status = CommitStatus(
            context=context,
            state=STATES.get(one, State.ERROR),
            description=f"{one or 'no verdict'}: {reason}",
            url=job.url,
        )
        persist(partial(forge.set_status, commit, status), settings.retries, cancellation)


def carries_over(repository: Repository, tested: str, commit: str, names: FileNames) -> bool:
    """Whether the verdict about one commit holds for a later one too.

    Only when nothing but published files differs between them: whatever else changed, a verdict
    about it does not exist.
    """
    if not tested or not commit or tested == commit or repository.commit_of(tested) is None:
        return False
    return all(Path(path).name in names.published for path in repository.changed(tested, commit))


def row_of(context: RunContext, job: CiJob, done: Delivered) -> Row:
    """The run's row, without secrets of the environment."""
    judgement = context.judgement
    verdict = Verdict.INCONCLUSIVE if judgement is None else judgement.verdict
    tests = {
        "failing": tests_of(context, Outcome.FAIL, Outcome.ERROR),
        "flaky": tests_of(context, Outcome.FLAKY),
        "muted": tests_of(context, Outcome.MUTED),
    }
    hide = context.scope.secrecy
    spent = spent_so_far(context.scope.directory, context.step_seconds)
    return Row(
        configuration=context.configuration.path,
        run=context.scope.run_id,
        verdict=verdict.value,
        reasons=tuple(hide_in([] if judgement is None else judgement.reasons, hide)),
        step=failed_step(context, verdict),
        counts={kind: len(names) for kind, names in tests.items()},
        images={} if context.image is None else dict(context.image.ids),
        cost_usd=None if spent is None else spent.usd,
        url=job.url,
        commit=job.commit,
        patch=hide(patch_text(done)),
        **{kind: tuple(map(hide, names[:LISTED])) for kind, names in tests.items()},
    )


def tests_of(context: RunContext, *outcomes: Outcome) -> list[str]:
    """`suite: test` of each test that ended so."""
    return [
        f"{suite.suite}: {result.test_id}"
        for suite in context.suites
        for result in suite.results
        if result.outcome in outcomes
    ]


def failed_step(context: RunContext, verdict: Verdict) -> str:
    """The first step that failed; `test` for a rejected run; empty when all went well."""
    rows = context.store.steps(context.scope.run_id)
    failed = [row["name"] for row in rows if row["status"] == "failed"]
    return str(failed[0]) if failed else "test" if verdict is Verdict.REJECTED else ""


def patch_text(done: Delivered) -> str:
    """The patch for the comment; one that is too long is only in the run directory."""
    text = "" if done.patch is None else done.patch.read_text(encoding="utf-8")
    return text if len(text) <= PATCH_LIMIT_CHARS else ""
