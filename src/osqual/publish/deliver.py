"""Bringing a publication to where others find it: work tree, local branch, remote branch.

Each way may be repeated, also after a process was killed in the middle: what is there already is
left as it is, and a run has one commit.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from osqual.conventions import FileNames
from osqual.effects.retry import retry
from osqual.effects.scope import RunScope
from osqual.errors import OsqualError, PublishFailed, TransientError
from osqual.processes.process import write_atomic
from osqual.publish.files import file_contents, history_text, images_text
from osqual.publish.outbox import Publication, outbox
from osqual.publish.repository import BranchMoved, Destination, PushRefused, Repository
from osqual.publish.worktree import read_published, write_published
from osqual.teardown import short_lived

RUN_TRAILER = "Osqual-Run"
LONGEST_WAIT_S = 3.0
"""Between two attempts to push onto a branch that others push to as well."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """Where a publication is now."""

    files: tuple[Path, ...] = ()
    """The files in the work tree; none where the work tree was left as it is."""
    commit: str = ""
    where: str = ""
    patch: Path | None = None
    """What could not be pushed, for whoever may push it."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One publication on its way. `root` is the catalogue's."""

    publication: Publication
    root: Path
    scope: RunScope

    @property
    def names(self) -> FileNames:
        """The names of the published files."""
        return self.scope.settings.files

    @cached_property
    def repository(self) -> Repository:
        """The repository that the catalogue lies in."""
        return Repository(root=self.root, cancellation=self.scope.cancellation)

    def to_worktree(self) -> Delivered:
        """Write the files, each journalled: what a killed process left beside them is removed."""
        directory = self.root / self.publication.configuration
        contents = file_contents(
            self.publication, self.names, lambda name: read_published(directory / name)
        )
        return Delivered(files=tuple(self._write(name, text) for name, text in contents.items()))

    def images_to_worktree(self) -> tuple[Path, ...]:
        """Write images and history alone: there is no record yet."""
        names, known = self.names, self.publication
        directory = self.root / known.configuration
        files = []
        if known.build is not None:
            before = read_published(directory / names.history)
            text = history_text(before, known.build, str(directory / names.history))
            files.append(self._write(names.history, text))
        return (*files, self._write(names.images, images_text(known.images)))

    def to_branch(self) -> Delivered:
        """Commit the files onto the branch that is checked out."""
        branch = branch_here(self.repository)
        return self._repeated(f"The branch {branch}", partial(self._try_branch, branch))

    def _try_branch(self, branch: str) -> Delivered | None:
        base = self.repository.commit_of(f"refs/heads/{branch}")
        if base is None:
            raise PublishFailed(
                f"The branch {branch} has no commit yet.",
                resolution="commit the catalogue first",
            )
        commit, contents = self._commit_on(base)
        if commit is None:
            return self._there_already(base, branch)
        files = self._follow(branch, base, commit, contents)
        return Delivered(files=files, commit=commit, where=branch) if files else None

    def to_remote(self, to: Destination) -> Delivered:
        """Commit the files on top of a remote branch and push that one commit.

        The local branch follows when it stood at the same commit; else it and the work tree stay
        as they are. What cannot be pushed is left as a patch; PublishFailed names it.
        """
        try:
            return self._repeated(f"The branch {to}", partial(self._try_remote, to))
        except (PushRefused, TransientError) as error:
            raise self._left(error, self.to_patch().patch) from error

    def _try_remote(self, to: Destination) -> Delivered | None:
        repository = self.repository
        try:
            base = retry(partial(repository.fetch, to), f"reaching {to}", self.scope)
            commit, contents = self._commit_on(base)
            if commit is None:
                return self._there_already(base, str(to))
            self._push(commit, to)
        except BranchMoved as moved:
            self.scope.progress(moved.brief)
            return None
        branch = repository.branch()
        files = self._follow(branch, base, commit, contents) if branch else ()
        return Delivered(files=files, commit=commit, where=str(to))

    def to_patch(self) -> Delivered:
        """Only a patch on top of what is checked out, where nothing can be pushed."""
        base = self.repository.commit_of("HEAD")
        commit = None if base is None else self._commit_on(base)[0]
        return Delivered(patch=None if commit is None else self._write_patch(commit))

    def _commit_on(self, base: str) -> tuple[str | None, dict[str, str]]:
        """The commit, None when `base` has it all; and the contents by name."""
        path = self.publication.configuration
        contents = file_contents(
            self.publication,
            self.names,
            lambda name: self.repository.content(base, f"{path}/{name}"),
        )
        index = outbox(self.scope.directory) / "index"
        with short_lived("file", "git index", index, self.scope):
            commit = self.repository.make_commit(
                base,
                {f"{path}/{name}": text for name, text in contents.items()},
                message_of(self.publication),
                self.scope.settings.publish.author,
                index,
            )
        return commit, contents

    def _push(self, commit: str, to: Destination) -> None:
        """Push, and leave a patch of what is refused or never arrives."""
        try:
            retry(partial(self.repository.push, commit, to), f"pushing to {to}", self.scope)
        except (PushRefused, TransientError) as error:
            raise self._left(error, self._write_patch(commit)) from error

    def _left(self, error: OsqualError, patch: Path | None) -> PublishFailed:
        """What cannot be pushed, and where it is instead."""
        what_to_do = [
            error.resolution,
            "" if patch is None else f"apply the patch: git am {patch}",
            f"publish it later: osqual publish {self.publication.run_id}",
        ]
        return PublishFailed(
            error.brief, details=error.details, resolution="; ".join(filter(None, what_to_do))
        )

    def _follow(
        self, branch: str, base: str, commit: str, contents: Mapping[str, str]
    ) -> tuple[Path, ...]:
        """Have a local branch and the work tree follow; no files when it stands elsewhere."""
        path = self.publication.configuration
        paths = [f"{path}/{name}" for name in contents]
        if not self.repository.advance(branch, base, commit, paths):
            return ()
        return tuple(self._write(name, text) for name, text in contents.items())

    def _there_already(self, base: str, where: str) -> Delivered:
        trailer = f"{RUN_TRAILER}: {self.publication.run_id}"
        commit = self.repository.found_by_trailer(base, trailer) or ""
        return Delivered(commit=commit, where=where)

    def _write(self, name: str, content: str) -> Path:
        path = self.root / self.publication.configuration / name
        with self.scope.resource("publication", name, path=str(path)) as owned:
            try:
                write_published(path, content)
            except BaseException:
                owned.ended()  # it was not written, and nothing of it is left
                raise
        return path

    def _write_patch(self, commit: str) -> Path:
        path = patch_path(self.scope.directory, self.publication.run_id)
        write_atomic(path, self.repository.patch(commit))
        return path

    def _repeated(
        self,
        what: str,
        attempt: Callable[[], Delivered | None],
        chance: Callable[[], float] = random.random,
    ) -> Delivered:
        """Make attempts, journalled, until one is not overtaken by others. Raises PublishFailed."""
        attempts = self.scope.settings.publish.attempts
        owned = self.scope.own("commit", what)
        try:
            for number in range(1, attempts + 1):
                done = attempt()
                if done is not None:
                    owned.created(done.commit)
                    return done
                self.scope.cancellation.sleep(min(LONGEST_WAIT_S, 0.1 * number) * chance())
        finally:
            owned.ended()
        raise PublishFailed(
            f"{what} moved {attempts} times while this run was published onto it.",
            resolution=f"publish it later: osqual publish {self.publication.run_id}",
        )


def patch_path(directory: Path, run_id: str) -> Path:
    """Where in a run directory its patch is, if one had to be made."""
    return outbox(directory) / f"{run_id}.patch"


def patch_of(directory: Path, run_id: str) -> Path | None:
    """The patch of a run; None when there is none."""
    path = patch_path(directory, run_id)
    return path if path.is_file() else None


def message_of(publication: Publication) -> str:
    """The message of a publishing commit."""
    return (
        f"Publish images for {publication.configuration}\n\n"
        f"{RUN_TRAILER}: {publication.run_id}\n"
        f"Osqual-Verdict: {publication.verdict}\n"
    )


def branch_here(repository: Repository) -> str:
    """The branch that is checked out. Raises PublishFailed where there is none."""
    branch = repository.branch()
    if not branch:
        raise PublishFailed(
            "No branch is checked out, so there is nothing to commit onto.",
            resolution="check out a branch, or name one with publish.branch in osqual.yaml and "
            "use --publish push",
        )
    return branch
