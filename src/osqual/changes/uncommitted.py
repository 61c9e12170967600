"""Refusing to overwrite what only the work tree has: git could not bring it back."""

from collections.abc import Sequence
from pathlib import Path

from osqual.catalogue.git import GitTree
from osqual.changes.draft import FileChange
from osqual.errors import UsageError

_SHOWN = 20


def refuse_uncommitted(root: Path, changes: Sequence[FileChange]) -> None:
    """Raise UsageError when a change overwrites or removes content that is in no commit."""
    overwritten = [change.path for change in changes if change.before is not None]
    if not overwritten:
        return
    tree = GitTree(root=root)
    if not tree.is_work_tree():
        raise UsageError(
            "The catalogue is not in a git work tree, so what is overwritten could not be brought "
            "back. Nothing was written.",
            details=_listed(overwritten),
            resolution="put the catalogue into git (`git init`, `git add -A`, `git commit`), or "
            "overwrite with --force",
        )
    uncommitted = tree.uncommitted(overwritten)
    if uncommitted:
        raise UsageError(
            "Changes that are not committed would be overwritten. Nothing was written.",
            details=_listed(uncommitted),
            resolution="commit or stash them first, or overwrite them with --force",
        )


def _listed(paths: Sequence[str]) -> str:
    more = [f"and {len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
    return "\n".join([*(repr(path)[1:-1] for path in paths[:_SHOWN]), *more])
