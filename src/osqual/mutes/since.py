"""Since when something is muted: from git, asked twice for the whole catalogue, not per file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from osqual.catalogue.git import GitTree
from osqual.processes.process import run

Claims = frozenset[str]
ReadClaims = Callable[[str, str], Claims | None]
"""From a text and its path to what it mutes; None for a text that cannot be read."""

_TIMEOUT_S = 300.0
_COMMIT = "\x01"
_LOG = (
    *("-c", "core.quotePath=false", "log", "--first-parent", "-m", "--reverse"),
    *("--raw", "-z", "--no-renames", "--no-abbrev", "--relative", "--no-ext-diff"),
)


@dataclass(frozen=True, kw_only=True)
class _Commit:
    """What one commit did to the files: path -> new blob, empty for one that it deleted."""

    time: datetime
    blobs: Mapping[str, str]


def muted_since(
    git: GitTree, names: Sequence[str], read_claims: ReadClaims
) -> Mapping[tuple[str, str], datetime]:
    """(path, claim) -> when it came, for everything that the last commit claims.

    `names` are file names, looked for in every directory. A claim that went and came back counts
    from its return, one that moved to another file from its beginning; what came with a merge
    counts from the merge.
    """
    if not git.is_work_tree():
        return {}
    commits = list(_commits(git, names))
    contents = git.contents(blob for commit in commits for blob in commit.blobs.values() if blob)
    known: dict[tuple[str, str], Claims | None] = {}
    since: dict[str, dict[str, datetime]] = {}
    for commit in commits:
        gone = _gone(commit, since)
        for path, blob in commit.blobs.items():
            claims = _claims(blob, path, contents, known, read_claims)
            if claims is not None:
                before = {**gone, **since.get(path, {})}
                since[path] = {claim: before.get(claim, commit.time) for claim in claims}
    return {(path, claim): t for path, claims in since.items() for claim, t in claims.items()}


def _gone(commit: _Commit, since: Mapping[str, Mapping[str, datetime]]) -> dict[str, datetime]:
    """The claims of files that the commit deletes: the same claim elsewhere in it has moved."""
    gone: dict[str, datetime] = {}
    for path, blob in commit.blobs.items():
        for claim, time in since.get(path, {}).items() if not blob else ():
            gone[claim] = min(time, gone.get(claim, time))
    return gone


def _claims(
    blob: str,
    path: str,
    contents: Mapping[str, bytes | None],
    known: dict[tuple[str, str], Claims | None],
    read_claims: ReadClaims,
) -> Claims | None:
    """A version's claims, each content read once: a catalogue is full of copies."""
    name = path.rpartition("/")[2]
    if (blob, name) not in known:
        data = contents.get(blob) or b""
        known[blob, name] = read_claims(data.decode(errors="replace"), path)
    return known[blob, name]


def _commits(git: GitTree, names: Iterable[str]) -> Iterator[_Commit]:
    """Every commit that changed such a file, oldest first."""
    if run(["git", "rev-parse", "--verify", "-q", "HEAD"], cwd=git.root, check=False).exit_status:
        return
    log = run(
        ["git", *_LOG, f"--format={_COMMIT}%ct", "--", *(f":(glob)**/{name}" for name in names)],
        cwd=git.root,
        env={"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"},
        timeout_s=_TIMEOUT_S,
    )
    time: datetime | None = None
    blobs: dict[str, str] = {}
    parts = iter(log.stdout.split("\0"))
    for part in parts:
        fact = part.lstrip("\n")
        if fact.startswith(_COMMIT):
            if time is not None:
                yield _Commit(time=time, blobs=blobs)
            time, blobs = datetime.fromtimestamp(int(fact[1:]), UTC), {}
        elif fact.startswith(":"):
            blob, path = fact.split(" ")[3], next(parts)  # a path may hold anything
            blobs[path] = "" if set(blob) == {"0"} else blob
    if time is not None:
        yield _Commit(time=time, blobs=blobs)
