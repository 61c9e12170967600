"""A configuration as `osqual derive` plans it, and everything that there is to tell about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from osqual.changes.follow import Hint, Rename, Replacement
from osqual.changes.nearest import Contents
from osqual.changes.sources import Target

# A base image belongs to these; with another value of any of them it is most likely another one.
OF_THE_BASE_IMAGE = frozenset({"os", "os_version", "platform"})

_CHOOSES = re.compile(r"^(?!#|//).*(?:://.*[0-9]\.[0-9]|\binstall\b)")


@dataclass(kw_only=True)
class Derived:
    """One configuration as it is planned, and everything to tell about it."""

    target: Target
    renames: tuple[Rename, ...]
    files: dict[str, str] = field(default_factory=dict)
    """What was written, by path, and what it was made from."""
    inherited: list[str] = field(default_factory=list)
    """Files that it gets from a directory above, so that no copy is needed."""
    replacements: list[tuple[str, Replacement]] = field(default_factory=list)
    hints: list[tuple[str, Hint]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    names: tuple[str, ...] = ()
    """What its inputs are called."""
    has_old_base: bool = False
    """Whether its base images are those of another OS, for lack of better ones."""
    same_recipe: bool = False
    """Whether it is built as its source is: then there is nothing to build."""


def unnamed_values(derived: Derived, wanted: Mapping[str, Contents]) -> list[str]:
    """Values that no file named: then the files may hold an older one, or none at all."""
    followed = {item.dimension for _, item in derived.replacements}
    warnings = []
    for rename in derived.renames:
        if (
            not rename.is_version
            or rename.dimension in followed
            or rename.dimension in OF_THE_BASE_IMAGE
        ):
            continue
        lines = _telling_lines(rename, wanted)
        warnings.append(
            f"nothing in its files names {rename.dimension.replace('_', ' ')} {rename.old}"
            + (f"; look at: {'; '.join(lines)}" if lines else "")
        )
    return warnings


def _telling_lines(rename: Rename, wanted: Mapping[str, Contents], limit: int = 2) -> list[str]:
    """Lines that seem to choose the version of a dimension: of installers and of packages."""
    found: dict[str, None] = {}
    for contents in wanted.values():
        for content in contents.values():
            for line in content.data.decode(errors="replace").split("\n"):
                lowered = line.strip().lower()
                if any(word in lowered for word in rename.words) and _CHOOSES.search(lowered):
                    found[line.strip()[:160]] = None
    return list(found)[:limit]
