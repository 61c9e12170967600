"""`--fix`: repairs that have one right answer, tried on a copy and proven before they are made.

Afterwards every configuration must find the same bytes under every name as before.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from osqual.catalogue.catalogue import Catalogue
from osqual.changes.apply import apply
from osqual.changes.draft import Draft, FileChange
from osqual.errors import InvalidFile, OsqualError
from osqual.lint.copies import find_hoists
from osqual.lint.finding import Finding
from osqual.lint.proof import Resolved, differences, resolve_all
from osqual.lint.rules.images import descriptions
from osqual.lint.rules.profiles import renames
from osqual.lint.view import View

_DESCRIPTION = re.compile(r'"ami_description"\s*:\s*(?P<value>"(?:\\.|[^"\\])*")')
# A repair may open the way for another: a profile with its new name may be a copy of others.
_MAX_ROUNDS = 10

Look = Callable[[View], Sequence[Finding]]


class NotProven(OsqualError):
    """A repair would have changed what a configuration is made of: a bug, so nothing is done."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What is to be written, and how much was compared to prove it. `before` is for later."""

    changes: tuple[FileChange, ...]
    before: Resolved
    described: frozenset[str]
    """Configurations whose description changes: the one difference that is meant."""


def plan_repair(view: View, look: Look) -> Repair:
    """Repair a copy of the catalogue until nothing is left, and prove that it means the same.

    `look` says which findings are to be repaired. Raises NotProven.
    """
    before = resolve_all(view.catalogue)
    with tempfile.TemporaryDirectory(prefix="osqual-lint-") as directory:
        scratch = Path(directory).resolve()
        _copy(view, scratch)
        changes: dict[str, FileChange] = {}
        described: set[str] = set()
        for _ in range(_MAX_ROUNDS):
            copy = Catalogue(root=scratch, conventions=view.catalogue.conventions)
            now = View(catalogue=copy, today=view.today, in_git=False)
            made = _repair_once(now, look(now), described)
            if not made:
                break
            apply(scratch, made)
            _merge(changes, made)
        after = resolve_all(Catalogue(root=scratch, conventions=view.catalogue.conventions))
    found = frozenset(described)
    _refuse(differences(before, after, found))
    ordered = sorted(changes.values(), key=lambda change: (change.after is None, change.path))
    return Repair(changes=tuple(ordered), before=before, described=found)


def carry_out_repair(catalogue: Catalogue, repair: Repair) -> None:
    """Write the changes, look again, and take everything back should anything differ.

    What is new is written before what it replaces goes, so that also a crash in between leaves
    every configuration with what it had.
    """
    apply(catalogue.root, repair.changes)
    after = resolve_all(Catalogue(root=catalogue.root, conventions=catalogue.conventions))
    wrong = differences(repair.before, after, repair.described)
    if wrong:
        apply(catalogue.root, [_undone(change) for change in reversed(repair.changes)])
        _refuse(wrong)


def _refuse(wrong: Sequence[str]) -> None:
    if wrong:
        raise NotProven(
            "The repair would change what configurations are made of, so nothing was repaired.",
            details="\n".join(wrong[:20]),
            resolution="please report this; --ignore leaves a rule out of the repair",
        )


def _undone(change: FileChange) -> FileChange:
    return replace(
        change, before=change.after, after=change.before, copied_from=None, original=None
    )


def _merge(changes: dict[str, FileChange], made: Sequence[FileChange]) -> None:
    """Add a round's changes to those before it, as one change for each file."""
    for change in made:
        first = changes.pop(change.path, None)
        before = change.before if first is None else first.before
        if before != change.after:
            changes[change.path] = replace(change, before=before)


def _copy(view: View, scratch: Path) -> None:
    """Copy the catalogue's files, and those that git ignores but configurations use."""
    root = view.catalogue.root
    for path in dict.fromkeys([*view.contents.paths, *view.users]):
        source, target = root / path, scratch / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        elif path in view.contents.links and not Path(view.contents.links[path]).is_absolute():
            target.symlink_to(os.path.relpath(root / view.contents.links[path], source.parent))
        elif source.is_symlink() or source.is_file():
            if not target.exists():
                shutil.copy2(source, target, follow_symlinks=False)
        else:  # a pipe or a device: there, too, it is no file
            os.mkfifo(target)


def _repair_once(
    view: View, findings: Sequence[Finding], described: set[str]
) -> tuple[FileChange, ...]:
    wanted = {(finding.code, finding.file) for finding in findings}
    draft = Draft(view.catalogue.root)
    for old, new in renames(view):
        if ("OSQ601", old) in wanted and view.contents.may_move(old):
            draft.write(new, draft.read(old) or b"", copied_from=old)
            draft.remove(old)
    for path, _, right in descriptions(view):
        if ("OSQ204", path) in wanted and _describe(draft, path, right):
            described.add(right)
    if not draft.changes():  # hoists are planned over what is there now, so they have their turn
        for hoist in find_hoists(view):
            if ("OSQ901", hoist.copies[0]) in wanted:
                if hoist.is_new:
                    data = draft.read(hoist.copies[0]) or b""
                    draft.write(hoist.target, data, copied_from=hoist.copies[0])
                for path in hoist.copies:
                    draft.remove(path)
    return draft.changes()


def _describe(draft: Draft, path: str, description: str) -> bool:
    """Put the description into a template, every other byte kept; False when it is not clear."""
    try:
        text = draft.read_text(path) or ""
    except InvalidFile:
        return False
    places = list(_DESCRIPTION.finditer(text))
    if len(places) != 1:
        return False
    start, end = places[0].span("value")
    draft.write(path, text[:start] + json.dumps(description, ensure_ascii=False) + text[end:])
    return True
