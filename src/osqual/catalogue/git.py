"""Asking git about the catalogue's work tree. Read-only; no filter, hook or pager runs."""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from osqual.errors import UsageError
from osqual.processes.process import Completed, run

_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "LC_ALL": "C.UTF-8"}
_PATHS_AT_ONCE = 500
_USER_INFO = re.compile(r"://[^/@]*@")
_LINK_MODE, _SUBMODULE_MODE = "120000", "160000"


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit, as a person talks about it."""

    id: str
    time: datetime
    author: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class Blob:
    """One file of a commit."""

    id: str
    mode: str


@dataclass(frozen=True, kw_only=True)
class GitTree:
    """The part of a git work tree that lies in `root`. Every path is relative to it."""

    root: Path

    def is_work_tree(self) -> bool:
        """Whether the catalogue is kept in git at all."""
        if not any((parent / ".git").exists() for parent in (self.root, *self.root.parents)):
            return False
        return self._git("rev-parse", "--is-inside-work-tree", check=False).stdout == "true\n"

    def directory(self) -> Path | None:
        """Where git keeps what belongs to this work tree: HEAD, its log, the index."""
        if not self.is_work_tree():
            return None
        return Path(self._git("rev-parse", "--absolute-git-dir").stdout.removesuffix("\n"))

    def commit_of(self, ref: str) -> str:
        """The id of the commit that a ref names. Raises UsageError."""
        if not self.is_work_tree():
            raise UsageError(
                f"{self.root} is not in a git work tree, so there is no {ref!r} to compare with.",
                details=self._git("rev-parse", "--git-dir", check=False).stderr,
            )
        found = self._git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", check=False
        )
        if found.exit_status != 0 or "\0" in ref:
            raise UsageError(
                f"git knows no commit {ref!r}.",
                details=found.stderr,
                resolution="name a branch, tag or commit; a shallow clone may lack it: "
                "git fetch --unshallow",
            )
        return found.stdout.strip()

    def origin(self) -> str:
        """Where the work tree was cloned from, without any user or password; empty when nowhere."""
        found = self._git("config", "--get", "remote.origin.url", check=False)
        return _USER_INFO.sub("://", found.stdout.strip())

    def fork_point(self, ref: str) -> str:
        """Where the current branch left `ref`: changes made there since are not ours."""
        commit = self.commit_of(ref)
        found = self._git("merge-base", commit, "HEAD", check=False)
        return found.stdout.strip() if found.exit_status == 0 else commit

    def changed_since(self, commit: str) -> frozenset[str]:
        """Files that differ between a commit and the work tree: added, changed or deleted.

        Both names of a renamed file are in it; so are files that are not tracked yet.
        """
        diff = self._git(
            "diff", "--name-only", "--no-renames", "--no-ext-diff", "--relative", "-z", commit, "--"
        )
        untracked = self._git("ls-files", "--others", "--exclude-standard", "-z")
        return frozenset(filter(None, (diff.stdout + untracked.stdout).split("\0")))

    def uncommitted(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Those of the files whose content is in no commit: changed, staged, new or ignored."""
        prefix = self._git("rev-parse", "--show-prefix").stdout.strip("\n")
        found: set[str] = set()
        for start in range(0, len(paths), _PATHS_AT_ONCE):
            status = self._git(
                "--literal-pathspecs",
                "status",
                "--porcelain=v1",
                "-z",
                "--no-renames",
                "--untracked-files=all",
                "--ignored=matching",
                "--",
                *paths[start : start + _PATHS_AT_ONCE],
            )
            found.update(entry[3:] for entry in status.stdout.split("\0") if entry)
        places = {path: prefix + path for path in paths}
        return tuple(
            path for path, place in places.items() if any(p in found for p in _above(place))
        )

    def listed(self, paths: Sequence[str]) -> frozenset[str]:
        """The files below some directories that git tracks, or would: those not ignored."""
        found: set[str] = set()
        for start in range(0, len(paths), _PATHS_AT_ONCE):
            listing = self._git(
                "--literal-pathspecs",
                "ls-files",
                "--cached",
                "--others",
                "--exclude-standard",
                "-z",
                "--",
                *paths[start : start + _PATHS_AT_ONCE],
            )
            found.update(filter(None, listing.stdout.split("\0")))
        return frozenset(found)

    def files_at(self, commit: str) -> Mapping[str, Blob]:
        """Every file of the catalogue as it was in a commit."""
        prefix = self._git("rev-parse", "--show-prefix").stdout.strip("\n")
        listing = self._git("ls-tree", "-r", "-z", "--full-tree", commit, "--", prefix or ".")
        found = {}
        for line in filter(None, listing.stdout.split("\0")):
            facts, _, path = line.partition("\t")
            mode, _, blob = facts.split(" ")[:3]
            if mode != _SUBMODULE_MODE:
                found[path.removeprefix(prefix)] = Blob(id=blob, mode=mode)
        return found

    def commits_of(self, paths: Sequence[str]) -> tuple[Commit, ...]:
        """The commits that changed any of the paths, oldest first."""
        if not self.is_work_tree() or self._git("rev-parse", "HEAD", check=False).exit_status:
            return ()
        log = self._git("log", "--reverse", "-z", "--format=%H%n%ct%n%an%n%s", "--", *paths)
        commits = []
        for entry in filter(None, log.stdout.split("\0")):
            identity, time, author, subject = entry.split("\n", 3)
            when = datetime.fromtimestamp(int(time), UTC)
            commits.append(Commit(id=identity, time=when, author=author, subject=subject.strip()))
        return tuple(commits)

    def versions_of(self, name: str, limit: int) -> tuple[tuple[str, str], ...]:
        """Commit and path of each version of the files of that name, newest first."""
        if not self.is_work_tree() or self._git("rev-parse", "HEAD", check=False).exit_status:
            return ()
        options = ("-z", "--format=%x01%H", "--name-only", "--relative", "--diff-filter=AMR")
        log = self._git("log", *options, f"--max-count={limit}", "--", f":(glob)**/{name}")
        found = []
        for entry in filter(None, log.stdout.split("\x01")):
            commit, _, names = entry.partition("\0")
            found += [(commit.strip(), path.strip("\n")) for path in names.split("\0")]
        return tuple((commit, path) for commit, path in found if path)

    def contents(self, objects: Iterable[str]) -> dict[str, bytes | None]:
        """The content of each blob, named by id or as `commit:./path`; None where it is absent."""
        names = list(dict.fromkeys(objects))
        if not names:
            return {}
        with tempfile.TemporaryDirectory(prefix="osqual-git-") as directory:
            output = Path(directory) / "blobs"
            text = "".join(f"{name}\n" for name in names)
            self._git("cat-file", "--batch", stdin=text, stdout=output)
            return dict(zip(names, _parse_batch(output.read_bytes()), strict=True))

    def export(self, files: Mapping[str, Blob], into: Path) -> None:
        """Write files as they were in a commit below a directory."""
        contents = self.contents(blob.id for blob in files.values())
        for path, blob in files.items():
            target, content = into / path, contents[blob.id]
            if content is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if blob.mode == _LINK_MODE:
                target.symlink_to(content.decode(errors="surrogateescape"))
            else:
                target.write_bytes(content)
                target.chmod(0o755 if blob.mode == "100755" else 0o644)

    def _git(
        self,
        *arguments: str,
        stdin: str | None = None,
        stdout: Path | None = None,
        check: bool = True,
    ) -> Completed:
        return run(
            ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *arguments],
            cwd=self.root,
            env=_ENVIRONMENT,
            stdin=stdin,
            stdout=stdout,
            check=check,
        )


def _above(path: str) -> list[str]:
    """The path, and each directory above it as git names a whole one that is ignored."""
    parts = path.split("/")
    return [path, *("/".join(parts[:count]) + "/" for count in range(1, len(parts)))]


def _parse_batch(data: bytes) -> list[bytes | None]:
    """The objects in the output of `git cat-file --batch`, in order."""
    found: list[bytes | None] = []
    position = 0
    while position < len(data):
        end = data.index(b"\n", position)
        header = data[position:end].split(b" ")
        position = end + 1
        if header[-1] in (b"missing", b"ambiguous"):
            found.append(None)
        else:
            size = int(header[-1])
            found.append(data[position : position + size])
            position += size + 1
    return found
