"""The site on disk that is served, made anew when runs begin or end, or the catalogue changes."""

import os
import shutil
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from osqual.catalogue.catalogue import open_catalogue
from osqual.catalogue.git import GitTree
from osqual.errors import OsqualError
from osqual.report.runs import run_state
from osqual.site.build import Wish, build_site
from osqual.site.pages import POLICY, Additions, Page, assets_in
from osqual.site.writer import SiteWriter
from osqual.store.store import Store

LOOK_S = 2.0
LIVE_POLICY = POLICY.replace("form-action 'none'", "form-action 'self'; connect-src 'self'")
"""As for files; and it may ask this server, and nobody else, for what is new."""
HEADER_POLICY = f"{LIVE_POLICY}; frame-ancestors 'none'"
RUNNING_PAGE = Page(
    name="running",
    title="Running",
    lead="What is qualified at this moment, step by step.",
)


def additions() -> Additions:
    """What pages have beyond those that are files: scripts that ask this server what is new."""
    return Additions(
        policy=LIVE_POLICY,
        pages=(RUNNING_PAGE,),
        scripts=("live", "live-run"),
        styles=("live",),
        assets=dict(assets_in(files("osqual.serve").joinpath("assets"))),
    )


@dataclass(kw_only=True)
class LiveSite:
    """Builds below `directory`; `root` is the newest site that is whole.

    The one before it stays until the next, for pages that are being loaded.
    """

    catalogue: Path
    store: Store
    title: str
    directory: Path
    only_here: bool
    runs_each: int = 20
    say: Callable[[str], None] = lambda text: None
    number: int = 0
    problem: str = ""
    _seen: Hashable = None
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def root(self) -> Path:
        """The newest site."""
        return self._place(self.number)

    def build(self) -> None:
        """Make the site as things are now. Raises OsqualError or OSError."""
        seen = self._fingerprint()
        self._make()
        self._seen = seen

    def _make(self) -> None:
        number = self.number + 1
        shutil.rmtree(self._place(number), ignore_errors=True)
        catalogue = open_catalogue(self.catalogue, environ=os.environ)
        wish = Wish(
            catalogue=catalogue,
            title=self.title,
            store=self.store,
            only_here=self.only_here,
            runs_each=self.runs_each,
            additions=additions(),
        )
        build_site(wish, SiteWriter(root=self._place(number)))
        self.number, self.problem = number, ""
        shutil.rmtree(self._place(number - 2), ignore_errors=True)

    def start(self) -> None:
        """Keep it new from now on, on a thread of its own."""
        self._thread = threading.Thread(target=self._keep_new, name="live-site", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more of that."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _keep_new(self) -> None:
        while not self._over.wait(LOOK_S):
            self.refresh()

    def refresh(self) -> bool:
        """Build if something is new; what keeps that from working is said once, as `problem`."""
        try:
            seen = self._fingerprint()
            if seen == self._seen:
                return False
            self._seen = seen
            self._make()
        except (OsqualError, OSError) as error:
            if self.problem != str(error):
                self.say(f"The pages stay as they were: {error}")
            self.problem = str(error)
            return False
        return True

    @cached_property
    def _watched(self) -> Sequence[Path]:
        # git refuses what another user owns, and tells nothing then.
        git = GitTree(root=self.catalogue).directory() or self.catalogue / ".git"
        of_git = [git / name for name in ("HEAD", "logs/HEAD", "index")]
        return [*of_git, *(self.catalogue / name for name in ("osqual.yaml", "mutes.yaml"))]

    def _place(self, number: int) -> Path:
        return self.directory / str(number)

    def _fingerprint(self) -> Hashable:
        """What changes when a run begins, ends or dies, when git does, or a file that all share."""
        newest = [row["id"] for row in self.store.runs(limit=1)]
        open_runs = [
            (row["id"], run_state(row), row["owner"])
            for row in self.store.runs(unfinished_only=True)
        ]
        stamps = []
        for path in self._watched:
            with suppress(OSError):
                stamps.append((path, path.stat().st_mtime_ns))
        return (tuple(newest), tuple(open_runs), tuple(stamps))
