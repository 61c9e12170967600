"""Where a derived file goes: as high as its source's, unless others would find it there too."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from osqual.catalogue.layout import Layout
from osqual.changes.draft import Draft, inside, join
from osqual.changes.nearest import Contents, contents_found, directory_of, find
from osqual.changes.sources import Target


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What is in the way: the configurations that there are, sorted, and those that are planned."""

    draft: Draft
    layout: Layout
    existing: Sequence[str]
    planned: Collection[str]

    def gives(self, path: str, name: str, contents: Contents) -> bool:
        """Whether a configuration would find just these contents under a name."""
        return contents_found(self.draft, path, name) == contents

    def counterpart(self, target: Target, name: str, place: str) -> str | None:
        """The new directory of the same height; None when the old one is above both."""
        directory = directory_of(target.source.path, name, place)
        if inside(target.path, directory):
            return None
        parts = target.path.split("/")
        height = directory.count("/") + 1
        return "/".join(parts[:height]) if height < len(parts) else target.path

    def directory_for(self, target: Target, name: str, place: str, contents: Contents) -> str:
        """Where a file that the source has from `place` goes: there, or into its own directory."""
        directory = self.counterpart(target, name, place)
        if directory is not None and self._is_free(target, directory, name, contents):
            return directory
        return target.path

    def _is_free(self, target: Target, directory: str, name: str, contents: Contents) -> bool:
        """Whether a file there reaches nothing but what is derived, and hides nothing of that."""
        if self.draft.exists(join(directory, name)):
            return False
        if self.existing_below(directory):
            return False
        if self.layout.match(directory) and directory not in self.planned:
            return False  # the file could make a configuration of it
        done = (
            path
            for path in self.planned
            if path != target.path and inside(path, directory) and self.draft.exists(path)
        )
        return all(
            self.gives(path, name, contents) or find(self.draft, path, name) is None
            for path in done
        )

    def existing_below(self, directory: str) -> list[str]:
        """The configurations at or below a directory."""
        from_there = islice(self.existing, bisect_left(self.existing, directory), None)
        near = takewhile(lambda path: path.startswith(directory), from_there)
        return [path for path in near if inside(path, directory)]
