"""The catalogue: where its root is, which configurations it has, and which one a path means."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from osqual.catalogue.globs import glob_matcher
from osqual.catalogue.index import Index, remembered_conventions
from osqual.catalogue.layout import Layout
from osqual.catalogue.tree import Scanner, Tree, Wanted, upwards
from osqual.conventions import DCOS_IMAGES, Conventions
from osqual.errors import NotFound
from osqual.formats.documents import read_document
from osqual.model import Configuration

SETTINGS_FILE = "osqual.yaml"
INDEXES = "catalogues"
"""The folder of all indexes in the cache directory."""
# How much is looked at to guess the root of a catalogue that has neither osqual.yaml nor .git.
_GUESS_DIRECTORIES = 2_000


def find_catalogue(start: Path) -> Path:
    """The root of the catalogue that `start` is in, absolute and without links.

    The nearest directory with osqual.yaml, but not beyond the git work tree; else the top of the
    work tree; else the nearest directory that has configurations where the layout of
    dcos/dcos-images wants them. Raises NotFound.
    """
    here = start.resolve()
    if not here.is_dir():
        here = here.parent
    for directory in (here, *here.parents):
        if (directory / SETTINGS_FILE).is_file() or (directory / ".git").exists():
            return directory
    layout = Layout(pattern=DCOS_IMAGES.layout)
    for directory in (here, *here.parents)[: layout.depth + 1]:
        if directory.parent != directory and _has_configuration(directory, layout):
            return directory
    raise NotFound(
        f"There is no catalogue in {here} or above it.",
        details=f"No osqual.yaml, no git work tree, and no directory like {layout.pattern}.",
        resolution="change to a catalogue's directory, or name one with --catalogue",
    )


def _has_configuration(directory: Path, layout: Layout) -> bool:
    """Whether a bounded look finds one path that matches, with a known file in it."""
    scanner = Scanner(
        root=directory,
        layout=layout,
        known=frozenset(DCOS_IMAGES.files.all),
        index=Index(root=directory, conventions=DCOS_IMAGES, now_ns=0),
    )
    looked = islice(scanner.visit(), _GUESS_DIRECTORIES)
    return any(listing.names and listing.dimensions for _, listing in looked)


def open_catalogue(start: Path, *, environ: Mapping[str, str] | None = None) -> "Catalogue":
    """The catalogue that `start` is in, with its osqual.yaml's conventions.

    With an environment, what is found is remembered in the cache directory for the next time.
    """
    root = find_catalogue(start)
    cache = None if environ is None else cache_of(root, environ)
    return Catalogue(root=root, conventions=conventions_of(root, cache), cache=cache)


def cache_of(root: Path, environ: Mapping[str, str]) -> Path:
    """Where indexes are kept: the environment names it, or osqual.yaml, else the user's own."""
    if environ.get("OSQUAL_CACHE_DIR"):
        return Path(environ["OSQUAL_CACHE_DIR"], INDEXES)
    settings = root / SETTINGS_FILE
    if os.path.lexists(settings) and "directories" in read_document(root, SETTINGS_FILE):
        from osqual.settings import load_settings

        return load_settings(root, environ).directories.cache / INDEXES
    import platformdirs

    return platformdirs.user_cache_path("osqual") / INDEXES


def conventions_of(root: Path, cache: Path | None = None) -> Conventions:
    """What osqual.yaml says, or those of dcos/dcos-images where there is none."""
    if not os.path.lexists(root / SETTINGS_FILE):
        return DCOS_IMAGES

    def read() -> Conventions:
        from osqual.settings import load_settings  # most catalogues do without: 0.3 s saved

        return load_settings(root).conventions

    if cache is None:
        return read()
    return remembered_conventions(cache, read_document(root, SETTINGS_FILE), read)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """A catalogue's directory tree. `root` is absolute and resolved."""

    root: Path
    conventions: Conventions = DCOS_IMAGES
    cache: Path | None = None
    clock_ns: Callable[[], int] = time.time_ns

    @cached_property
    def layout(self) -> Layout:
        """The compiled layout. Raises InvalidInput."""
        return Layout(pattern=self.conventions.layout)

    @cached_property
    def index(self) -> Index:
        """What was found before; empty without `cache`."""
        return Index.load(self.root, self.conventions, self.cache, self.clock_ns())

    @cached_property
    def tree(self) -> Tree:
        """Every directory that the layout leads to, listed once."""
        return self.scan()

    def scan(self, start: str = "", wanted: Wanted | None = None) -> Tree:
        """List the directories from `start` down, anew; only branches that are wanted."""
        scanner = Scanner(
            root=self.root,
            layout=self.layout,
            known=frozenset(self.conventions.files.all),
            index=self.index,
            wanted=wanted,
        )
        return scanner.scan(start)

    def configurations(self) -> list[Configuration]:
        """Every configuration, sorted by path."""
        return [
            Configuration(root=self.root, path=path, dimensions=dimensions)
            for path, dimensions in self.tree.configurations(self.conventions.files)
        ]

    def configuration(self, path: str | Path) -> Configuration:
        """The configuration that a path means: absolute, or relative to here or to the root.

        Raises NotFound, with the nearest that exist.
        """
        for candidate in self._candidates(path):
            dimensions = self.layout.match(candidate)
            if dimensions is not None and self._is_configuration(candidate):
                return Configuration(root=self.root, path=candidate, dimensions=dimensions)
        raise NotFound(
            f"{str(path)!r} is not a configuration of the catalogue {self.root}.",
            details=self._near_matches(str(path)),
            resolution=f"a configuration is a directory like {self.conventions.layout}; "
            + (self.emptiness() or "`osqual plan` lists them"),
        )

    def emptiness(self) -> str:
        """That it has no configuration, and where below it a catalogue is; "" when it has one."""
        if self.configurations():
            return ""
        inner = sorted(path.parent.name for path in self.root.glob(f"*/{SETTINGS_FILE}"))
        words = f"the catalogue {self.root} has no configuration"
        return words + "".join(
            f"; there is a catalogue in {name}/: -C {name}" for name in inner[:1]
        )

    def select(self, patterns: Sequence[str | Path]) -> list[Configuration]:
        """The configurations that any of the patterns means, sorted; all without a pattern.

        A pattern is a configuration's path, a directory (everything below it), or a glob over
        whole paths (`centos/7.8/**`, `*/*/aws/*-2.0.*/**`). Raises NotFound for one that means
        nothing.
        """
        if not patterns:
            return self.configurations()
        everything = self.configurations()
        chosen: set[str] = set()
        for pattern in patterns:
            found = self._matching(pattern, everything)
            if not found:
                self.configuration(pattern)  # raises, with the nearest
            chosen |= found
        return [configuration for configuration in everything if configuration.path in chosen]

    def _matching(self, pattern: str | Path, everything: list[Configuration]) -> set[str]:
        for candidate in self._candidates(pattern):
            below = {
                configuration.path
                for configuration in everything
                if candidate in ("", configuration.path)
                or configuration.path.startswith(f"{candidate}/")
            }
            if below:
                return below
        matcher = glob_matcher(str(pattern))
        return {item.path for item in everything if matcher(item.path)}

    def _is_configuration(self, path: str) -> bool:
        branch = self.scan(path)
        return any(found == path for found, _ in branch.configurations(self.conventions.files))

    def _candidates(self, path: str | Path) -> list[str]:
        """What the path may mean, relative to the root; nothing outside of it."""
        found = []
        for base in (Path.cwd(), self.root):
            try:
                relative = (base / path).resolve().relative_to(self.root).as_posix()
            except (ValueError, OSError, RuntimeError):
                continue
            found.append("" if relative == "." else relative)
        return list(dict.fromkeys(found))

    def _near_matches(self, path: str) -> str:
        import difflib

        names = [configuration.path for configuration in self.configurations()]
        wanted = next(iter(self._candidates(path)), path)
        near = [name for name in names if wanted and name.startswith(f"{wanted}/")][:5]
        near = near or difflib.get_close_matches(wanted, _beside(wanted, names), n=5, cutoff=0.5)
        return "\n".join(["The nearest are:", *(f"  {name}" for name in near)]) if near else ""


def _beside(path: str, names: Sequence[str]) -> Sequence[str]:
    """Those names that have the most leading directories in common with a path."""
    for above in upwards(path):
        found = [name for name in names if name.startswith(f"{above}/")]
        if found:
            return found
    return names
