"""Directories that stand for a set of configurations exactly: as high as possible, no higher."""

import posixpath
from collections import Counter
from collections.abc import Collection, Iterable

from osqual.catalogue.tree import upwards
from osqual.changes.draft import inside


def covering(
    chosen: Collection[str], everyone: Iterable[str], top: str = ""
) -> dict[str, list[str]]:
    """Directories at or below `top`, each with the chosen paths that it stands for.

    Everything of `everyone` below such a directory is chosen. Of several directories with the
    same paths below, the lowest stands for them: one path stands for itself. A chosen path with
    something below it that is not chosen also stands for itself, although not exactly.
    """
    wanted = set(chosen)
    counts = Counter(above for path in {*everyone, *wanted} for above in upwards(path))
    counts_chosen = Counter(above for path in wanted for above in upwards(path))
    groups: dict[str, list[str]] = {}
    for path in sorted(wanted):
        highest = path
        for above in upwards(path):
            if not inside(above, top) or counts[above] != counts_chosen[above]:
                break
            highest = above
        groups.setdefault(highest, []).append(path)
    return {_common(paths): paths for paths in groups.values()}


def _common(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else posixpath.commonpath(paths)
