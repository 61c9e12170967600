"""The git repository that a catalogue lies in: commits of a few files, fetched and pushed.

Trees are made in an index of their own, so the user's work tree, index and staged changes are
never touched. Nothing is ever forced, and no credential is put into an argument or a URL.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.errors import CommandFailed, InfrastructureError, PublishFailed, TransientError
from osqual.processes.process import Completed, run

_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat", "LC_ALL": "C.UTF-8"}
_OPTIONS = ("-c", "core.quotePath=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false")
_NETWORK_TIMEOUT_S = 300.0
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
# A password, or a token in the place of a user, as GitHub and GitLab take it.
_PASSWORD = re.compile(
    r"^[a-z+]+://([^/@:]*:[^/@]+|gh[a-z]_[^/@]*|github_pat_[^/@]*|gl[a-z]*-[^/@]*)@", re.IGNORECASE
)
_DENIED = re.compile(
    r"permission|denied|forbidden|authentication|authorization|could not read (username|password)"
    r"|not found|does not appear to be a git repository|host key verification|\b40[13]\b",
    re.IGNORECASE,
)
# What a server says when another push was faster; everything else that it rejects, it refuses.
_RACE = re.compile(r"lock ref|failed to update ref|incorrect old value|reference already exists")


class BranchMoved(InfrastructureError):
    """Somebody else pushed meanwhile: what was made has to be made again on top of that."""


class PushRefused(PublishFailed):
    """The remote does not want it, and will not want it the next time either."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A branch of a remote."""

    remote: str
    branch: str

    def __str__(self) -> str:
        return f"{self.branch} of {self.remote}"


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The repository around `root`, a directory of its work tree. Paths are relative to `root`."""

    root: Path
    cancellation: Cancellation

    # Looking

    def branch(self) -> str:
        """The branch that is checked out; empty when none is."""
        return self._git("symbolic-ref", "--quiet", "--short", "HEAD", check=False).stdout.strip()

    def commit_of(self, ref: str) -> str | None:
        """The id of a commit; None when there is none of that name here."""
        found = self._git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", check=False)
        return found.stdout.strip() or None

    def setting(self, name: str) -> str:
        """A value of git's own configuration; empty when it is not set."""
        return self._git("config", "--get", name, check=False).stdout.strip()

    def knows_remote(self, name: str) -> bool:
        """Whether it is one of the repository's remotes, or the URL or path of another one."""
        return "/" in name or name in self._git("remote").stdout.split()

    def content(self, commit: str, path: str) -> str | None:
        """A file as it is in a commit; None where it is absent."""
        found = self._git("cat-file", "blob", f"{commit}:{self._place(path)}", check=False)
        return found.stdout if found.exit_status == 0 else None

    def changed(self, before: str, after: str) -> frozenset[str]:
        """Every file of the repository, from its top, that differs between two commits."""
        arguments = ("--name-only", "--no-renames", "--no-ext-diff", "-z", before, after)
        return frozenset(filter(None, self._git("diff", *arguments, "--").stdout.split("\0")))

    def found_by_trailer(self, commit: str, trailer: str) -> str | None:
        """The newest ancestor of a commit, itself included, whose message has this line."""
        pattern = f"^{re.escape(trailer)}$"
        log = self._git("log", "-1", "--format=%H", "-E", f"--grep={pattern}", commit, check=False)
        return log.stdout.strip() or None

    # Making

    def make_commit(
        self,
        base: str,
        contents: Mapping[str, str],
        message: str,
        author: str,
        index: Path,
    ) -> str | None:
        """A commit on top of `base` that differs from it in these files alone; no branch has it.

        None when the files are so in `base` already. `author` is `Name <address>`, empty for git's
        own; `index` is a place for a temporary file. Signed where git is set up to sign.
        """
        index.unlink(missing_ok=True)
        with_index = {"GIT_INDEX_FILE": str(index)}
        self._git("read-tree", base, env=with_index)
        self._git("update-index", "--index-info", stdin=self._entries(contents), env=with_index)
        tree = self._git("write-tree", env=with_index).stdout.strip()
        if tree == self._git("rev-parse", f"{base}^{{tree}}").stdout.strip():
            return None
        sign = ("-S",) if self.setting("commit.gpgSign") in ("true", "yes", "on", "1") else ()
        made = self._git(
            "commit-tree", *sign, tree, "-p", base, "-F", "-", stdin=message, env=_identity(author)
        )
        return made.stdout.strip()

    def advance(self, branch: str, before: str, after: str, paths: Sequence[str]) -> bool:
        """Move a local branch, and these paths of the index; False when it is not at `before`."""
        moved = self._git(
            "update-ref",
            "-m",
            "osqual: publish",
            f"refs/heads/{branch}",
            after,
            before,
            check=False,
        )
        if moved.exit_status == 0 and branch == self.branch():
            self._follow_in_index(after, paths)
        return moved.exit_status == 0

    def patch(self, commit: str) -> str:
        """The commit as a patch for `git am`."""
        return self._git("format-patch", "-1", "--stdout", "--no-signature", commit).stdout

    # Exchanging

    def fetch(self, to: Destination) -> str:
        """The newest commit of a remote branch, with all that it needs; no ref is changed.

        Raises PushRefused when there is no such branch, TransientError when it cannot be reached.
        """
        self._check_url(to.remote)
        listed = self._network("ls-remote", to.remote, f"refs/heads/{to.branch}")
        tip = listed.stdout.partition("\t")[0].strip()
        if not tip:
            raise PushRefused(
                f"There is no branch {to}.",
                resolution=f"push it first: git push {to.remote} {to.branch}",
            )
        if self.commit_of(tip) is None:
            self._network(
                *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap="),
                *(to.remote, f"refs/heads/{to.branch}"),
            )
        if self.commit_of(tip) is None:
            raise BranchMoved(f"The branch {to} was replaced meanwhile.")
        return tip

    def push(self, commit: str, to: Destination) -> None:
        """Have the remote branch advance to a commit; nothing is forced, nothing else is pushed.

        Raises BranchMoved, PushRefused, or TransientError when the remote cannot be reached.
        """
        self._check_url(to.remote)
        done = self._git(
            *("push", "--porcelain", to.remote, f"{commit}:refs/heads/{to.branch}"),
            check=False,
            timeout_s=_NETWORK_TIMEOUT_S,
        )
        answers = [line for line in done.stdout.splitlines() if line[1:2] == "\t"]
        if answers and not answers[0].startswith("!"):
            return
        said = without_credentials(f"{done.stdout}\n{done.stderr}".strip())
        if answers and ("[rejected]" in answers[0] or _RACE.search(answers[0])):
            raise BranchMoved(f"The branch {to} has moved meanwhile.", details=said)
        if answers or _DENIED.search(said) or "hook" in said:
            raise PushRefused(f"The branch {to} cannot be pushed to.", details=said)
        raise TransientError(f"{to} cannot be reached.", details=said)

    # How

    def _entries(self, contents: Mapping[str, str]) -> str:
        """Lines for `update-index --index-info`, with each content in the object store."""
        blobs = {
            path: self._git("hash-object", "-w", "--stdin", stdin=content).stdout.strip()
            for path, content in contents.items()
        }
        return "".join(f"100644 {blob}\t{self._place(path)}\n" for path, blob in blobs.items())

    def _follow_in_index(self, commit: str, paths: Sequence[str]) -> None:
        """The user's index has these paths as the commit has them; others stay as they are."""
        places = [self._place(path) for path in paths]
        listing = self._git("ls-tree", "--full-tree", "-r", "-z", commit, "--", *places)
        entries = "".join(
            f"{mode} {blob}\t{place}\n"
            for line in filter(None, listing.stdout.split("\0"))
            for facts, _, place in [line.partition("\t")]
            for mode, _, blob in [facts.split(" ")]
        )
        # An index that somebody else holds just now shows the files as changed until it is read
        # again: nothing is lost by that.
        self._git("update-index", "--add", "--index-info", stdin=entries, check=False)

    def _place(self, path: str) -> str:
        """A path as git counts it, from the top of the work tree."""
        return self._prefix + path

    @cached_property
    def _prefix(self) -> str:
        return self._git("rev-parse", "--show-prefix").stdout.strip("\n")

    def _check_url(self, remote: str) -> None:
        url = self._git("remote", "get-url", "--push", remote, check=False).stdout.strip() or remote
        if _PASSWORD.search(url):
            raise PushRefused(
                f"The URL of the remote {remote} has a password or a token in it.",
                details=without_credentials(url),
                resolution="take it out (git remote set-url), and let a credential helper or "
                "GIT_ASKPASS give it",
            )

    def _network(self, *arguments: str) -> Completed:
        done = self._git(*arguments, check=False, timeout_s=_NETWORK_TIMEOUT_S)
        if done.exit_status != 0:
            said = without_credentials(done.stderr.strip())
            kind = PushRefused if _DENIED.search(said) else TransientError
            raise kind(f"git {arguments[0]} failed.", details=said)
        return done

    def _git(
        self,
        *arguments: str,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> Completed:
        try:
            return run(
                ["git", *_OPTIONS, *arguments],
                cwd=self.root,
                env={**_ENVIRONMENT, **(env or {})},
                stdin=stdin,
                check=check,
                timeout_s=timeout_s,
                cancellation=self.cancellation,
            )
        except CommandFailed as error:
            raise PublishFailed(
                f"git {arguments[0]} failed.", details=without_credentials(error.details)
            ) from error


def without_credentials(text: str) -> str:
    """The text with users and passwords taken out of its URLs."""
    return _USER_INFO.sub("", text)


def _identity(author: str) -> dict[str, str]:
    """Author and committer as git takes them from the environment; nothing for git's own."""
    if not author:
        return {}
    name, _, address = author.rstrip(">").rpartition("<")
    parts = {"NAME": name.strip(), "EMAIL": address.strip()}
    return {f"GIT_{who}_{key}": parts[key] for who in ("AUTHOR", "COMMITTER") for key in parts}
