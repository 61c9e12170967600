"""`osqual lint --fix`: shows a repair that was proven, and makes it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.changing import file_document, show_diff

if TYPE_CHECKING:
    from osqual.lint.repair import Look
    from osqual.lint.view import View


def repair(
    view: "View", look: "Look", *, style: str, dry_run: bool, force: bool
) -> Mapping[str, Any]:
    """Repair what `look` finds; the repair for scripts. Standard output is the findings' in every
    style but text, where the diff comes first.
    """
    from osqual.changes.diff import format_diff
    from osqual.changes.uncommitted import refuse_uncommitted
    from osqual.lint.repair import carry_out_repair, plan_repair

    plan = plan_repair(view, look)
    if plan.changes and not force:
        refuse_uncommitted(view.catalogue.root, plan.changes)
    diff = format_diff(plan.changes)
    if style == "text":
        show_diff(diff)
    elif style != "json":
        click.echo(diff.encode(errors="surrogateescape"), nl=False, err=True)
    if plan.changes and not dry_run:
        carry_out_repair(view.catalogue, plan)
    lookups = sum(map(len, plan.before.values()))
    proof = f"{len(plan.before)} configurations, {lookups} lookups, all with the same result"
    if not plan.changes:
        told = "Nothing to repair."
    elif dry_run:
        told = f"Dry run: {len(plan.changes)} files would change: {proof}; nothing written."
    else:
        told = f"Repaired: {len(plan.changes)} files changed; proven: {proof} as before."
    click.secho(told, bold=True, err=True)
    return {
        "dry_run": dry_run,
        "files": [file_document(change, with_diff=True) for change in plan.changes],
        "proven": {"configurations": len(plan.before), "lookups": lookups},
    }
