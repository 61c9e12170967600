"""Since when something is muted: from git, asked twice for the whole catalogue, not per file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from osqual.catalogue.git import GitTree
from osqual.process import run

Claims = frozenset[str]
ReadClaims = Callable[[str, str], Claims | None]
"""From a text and its path to what it mutes; None for a text that cannot be read."""

_TIMEOUT_S = 300.0
_COMMIT = "\x01"
_LOG = (
    *("-c", "core.quotePath=false", "log", "--first-parent", "-m", "--reverse"),
    *("--raw", "-z", "--no-renames", "--no-abbrev", "--relative", "--no-ext-diff"),
)


def muted_since(
    git: GitTree, names: Sequence[str], read_claims: ReadClaims
) -> Mapping[tuple[str, str], datetime]:
    """(path, claim) -> when it came, for everything that the last commit claims.

    `names` are file names, looked for in every directory. A claim that went and came back counts
    from its return; what came with a merge counts from the merge.
    """
    if not git.is_work_tree():
        return {}
    versions = list(_versions(git, names))
    contents = git.contents(blob for _, _, blob in versions if blob)
    known: dict[tuple[str, str], Claims | None] = {}
    since: dict[str, dict[str, datetime]] = {}
    for time, path, blob in versions:
        claims = _claims(blob, path, contents, known, read_claims)
        if claims is not None:
            before = since.get(path, {})
            since[path] = {claim: before.get(claim, time) for claim in claims}
    return {(path, claim): t for path, claims in since.items() for claim, t in claims.items()}


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


def _versions(git: GitTree, names: Iterable[str]) -> Iterator[tuple[datetime, str, str]]:
    """Time, path and blob (empty: deleted) of each change, oldest first."""
    if run(["git", "rev-parse", "--verify", "-q", "HEAD"], cwd=git.root, check=False).exit_status:
        return
    log = run(
        ["git", *_LOG, f"--format={_COMMIT}%ct", "--", *(f":(glob)**/{name}" for name in names)],
        cwd=git.root,
        env={"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"},
        timeout_s=_TIMEOUT_S,
    )
    time, blob = datetime.fromtimestamp(0, UTC), ""
    for part in log.stdout.split("\0"):
        part = part.lstrip("\n")
        if part.startswith(_COMMIT):
            time = datetime.fromtimestamp(int(part[1:].strip()), UTC)
        elif part.startswith(":"):
            blob = part.split(" ")[3]
        elif part:
            yield time, part, "" if set(blob) == {"0"} else blob
