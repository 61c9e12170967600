"""The catalogue as it was in a commit: what some configurations used then, in a directory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from osqual.catalogue.catalogue import SETTINGS_FILE, Catalogue, conventions_of
from osqual.catalogue.files import parse_packer_template, read
from osqual.catalogue.git import Blob, GitTree
from osqual.catalogue.tree import upwards
from osqual.catalogue.usage import everywhere, lookups
from osqual.errors import InvalidInput
from osqual.recipe import files_of
from osqual.settings import load_settings


@contextmanager
def catalogue_at(
    catalogue: Catalogue, commit: str, paths: Sequence[str], *, with_products: bool = False
) -> Iterator[Catalogue]:
    """A catalogue on disk with everything that the configurations at `paths` used in a commit.

    Only what they used is in it, its settings included; it is gone afterwards. Settings that were
    broken are left aside, for today's conventions.
    """
    git = GitTree(root=catalogue.root)
    with TemporaryDirectory(prefix="osqual-past-") as directory:
        root = Path(directory).resolve()
        files = git.files_at(commit)
        git.export({name: files[name] for name in files.keys() & {SETTINGS_FILE}}, root)
        try:
            settings = load_settings(root)
            conventions, products = conventions_of(root), f"{settings.products}/"
        except InvalidInput:
            conventions, products = catalogue.conventions, ""
        past = Catalogue(root=root, conventions=conventions)
        export = _Export(past=past, git=git, files=files)
        export.write(paths)
        if with_products and products:
            export.export({path for path in files if path.startswith(products)})
        yield past


@dataclass(kw_only=True)
class _Export:
    past: Catalogue
    git: GitTree
    files: Mapping[str, Blob]
    _below: dict[str, list[str]] = field(default_factory=dict)

    def write(self, paths: Sequence[str]) -> None:
        for path in self.files:
            for directory in list(upwards(path))[1:-1]:
                self._below.setdefault(directory, []).append(path)
        names = self.past.conventions.files
        known = [name for name in names.all if name not in names.published]
        chosen = {path: self._nearest(path, known) for path in paths}
        self.export({file for found in chosen.values() for file in found})
        mutes = {place for path in paths for place in everywhere(path, names.mutes)}
        self.export(mutes & self.files.keys())
        referenced = {
            file
            for path, found in chosen.items()
            for file in self._nearest(path, self._template_files(found))
        }
        self.export(referenced)

    def export(self, paths: set[str]) -> None:
        """Write some files as they were."""
        missing = [path for path in sorted(paths) if not (self.past.root / path).exists()]
        self.git.export({path: self.files[path] for path in missing}, self.past.root)

    def _nearest(self, path: str, names: Sequence[str]) -> list[str]:
        """The files that the names stood for then; for a directory, all that was in it."""
        found = []
        for name in names:
            places = list(lookups(path, name, self._exists))
            if places:
                last = places[-1]
                found += [last] if last in self.files else self._below.get(last, [])
        return found

    def _exists(self, path: str) -> bool:
        return path in self.files or path in self._below

    def _template_files(self, paths: Sequence[str]) -> tuple[str, ...]:
        name = self.past.conventions.files.template
        for path in paths:
            if path.rpartition("/")[2] == name:
                try:
                    return files_of(parse_packer_template(*read(self.past, self.past.root / path)))
                except InvalidInput:
                    return ()
        return ()
