"""The verdict cache: a qualification that was done before is reused, and said to be.

What a verdict rests on is one digest: the image, the release and topology, the suites with their
arguments, mutes, policy, and the versions of osqual, its platform and its programs.
"""

import hashlib
from dataclasses import replace
from typing import Any

from osqual.model import Judgement, KeepPolicy, Verdict
from osqual.pipeline.publishing import digests, tool_versions
from osqual.plan.reasons import is_recipe_input
from osqual.recipe import digest_of
from osqual.run.context import Reuse, RunContext, need
from osqual.store.database import Row
from osqual.testing.stored import stored_suites


def qualification_inputs(context: RunContext) -> dict[str, Any]:
    """What the verdict rests on, by name. The recipe counts by the image that it gave."""
    named = {name: digest for name, digest in digests(context).items() if not is_recipe_input(name)}
    topology = need(context.inputs).topology
    return {
        **named,
        "image": dict(sorted(need(context.image).ids.items())),
        "topology": [topology.masters, topology.private_agents, topology.public_agents],
        "mutes of the image": sorted(mute.digest for mute in context.mutes.mutes),
        "tools": tool_versions(context.parts.inspect_programs()),
    }


def find_reusable(context: RunContext) -> Reuse | None:
    """The newest run with a verdict on the same, unless this one is not to be replaced by any.

    Writes down what this run is about, so that a later one can find it.
    """
    run_id, options = context.scope.run_id, context.options
    # Tests isolated in another way than their suites say are another qualification.
    if options.narrowed or options.isolation is not None:
        return None
    digest = digest_of(qualification_inputs(context))
    context.store.note_qualification(run_id, digest)
    if not options.reuse or options.cold or options.keep is KeepPolicy.ALWAYS:
        return None
    found = context.store.history.qualified_before(digest, before=run_id)
    if found is None:
        return None
    return reuse_of(context.store.judged_run(found), audited=is_audited(run_id, options.audit))


def reuse_of(run: Row, *, audited: bool) -> Reuse:
    """An earlier run, as one to be taken over or audited."""
    judgement = Judgement(
        verdict=Verdict(run["verdict"]), reasons=tuple(run["reasons"]), totals=run["totals"]
    )
    return Reuse(run_id=run["id"], ended_at=run["ended_at"], judgement=judgement, audited=audited)


def is_audited(run_id: str, share: float) -> bool:
    """Whether a run belongs to a sample of that share: decided by its id, also when resumed."""
    number = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8])
    return number < share * 2**64


def take_over(reuse: Reuse, context: RunContext) -> dict[str, Any]:
    """Have the results and nodes of an earlier run; what a resumed run needs of that.

    They are not stored under this run as well: history would count them twice.
    """
    context.suites = stored_suites(reuse.run_id, context.store)
    rows = {row["name"]: row for row in context.store.steps(reuse.run_id)}
    found = {**(rows["provision"]["found"] or {}), **(rows["install"]["found"] or {})}
    context.node_facts = [dict(node) for node in found.get("nodes", ())]
    context.store.note_reused(context.scope.run_id, reuse.run_id)
    return {"reused": reuse.run_id}


def reused_judgement(reuse: Reuse) -> Judgement:
    """The verdict of the earlier run, stated as such."""
    why = "nothing that it rests on has changed since"
    reason = f"The verdict of the run {reuse} is reused: {why}."
    return replace(reuse.judgement, reasons=(reason, *reuse.judgement.reasons))


def audited_judgement(reuse: Reuse, judgement: Judgement) -> Judgement:
    """The verdict of an audit, with what it says about the earlier one."""
    before = reuse.judgement.verdict
    remark = f"An audit of the run {reuse}: the verdict is the same again."
    if judgement.verdict is not before:
        remark = (
            f"An audit of the run {reuse} contradicts it: that was {before.value}, and nothing "
            "that a verdict rests on has changed."
        )
    return replace(judgement, reasons=(*judgement.reasons, remark))
