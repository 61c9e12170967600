"""Every build of a configuration, from its history file and from git, and what lies between two."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.git import Commit, GitTree
from osqual.catalogue.past import catalogue_at
from osqual.catalogue.published import Build, parse_history, parse_images
from osqual.catalogue.usage import used_files
from osqual.errors import InvalidFile, InvalidInput, NotFound, UsageError
from osqual.formats.documents import read_document, resolve_inside
from osqual.model import Configuration
from osqual.recipe import digest_of_path

NOW = "now"
# difflib's time grows with the square of what differs.
_MAX_DIFFED_LINES = 5_000


@dataclass(frozen=True, kw_only=True)
class KnownBuild:
    """One build. `commit` is the first that has it: the inputs are as they were there."""

    number: int
    build: Build
    commit: Commit | None
    current: bool
    """Whether its images are the published ones."""
    in_history: bool
    """Whether the history file still lists it."""


def builds_of(
    catalogue: Catalogue, configuration: Configuration
) -> tuple[list[KnownBuild], list[InvalidFile]]:
    """Every build that the history file, or any version of it in git, tells of; oldest first."""
    files = catalogue.conventions.files
    source = f"{configuration.path}/{files.history}"
    problems: list[InvalidFile] = []
    listed = _parse_present(catalogue, source, problems)
    first_seen: dict[tuple[str, str], tuple[Build, Commit | None]] = {}
    git = GitTree(root=catalogue.root)
    commits = git.commits_of([source])
    contents = git.contents(f"{commit.id}:./{source}" for commit in commits)
    for commit in commits:
        for build in _parse_past(contents[f"{commit.id}:./{source}"]):
            first_seen.setdefault(_identity(build), (build, commit))
    for build in listed:
        first_seen.setdefault(_identity(build), (build, None))
    published = _published(catalogue, configuration, problems)
    still_listed = {_identity(build) for build in listed}
    ordered = sorted(first_seen.items(), key=lambda item: (item[1][0].time, item[0]))
    found = [
        KnownBuild(
            number=number,
            build=build,
            commit=commit,
            current=bool(published) and build.images == published,
            in_history=identity in still_listed,
        )
        for number, (identity, (build, commit)) in enumerate(ordered, 1)
    ]
    return found, problems


def _identity(build: Build) -> tuple[str, str]:
    return (build.run_uuid, ",".join(f"{k}:{v}" for k, v in sorted(build.images.items())))


def _parse_present(
    catalogue: Catalogue, source: str, problems: list[InvalidFile]
) -> tuple[Build, ...]:
    if not (catalogue.root / source).exists():
        return ()
    try:
        return parse_history(read_document(catalogue.root, source), source)
    except InvalidFile as error:
        problems.append(error)
        return ()


def _parse_past(content: bytes | None) -> tuple[Build, ...]:
    """The builds of an old version; one that was broken then tells of none."""
    try:
        return parse_history((content or b"").decode(), "")
    except (InvalidFile, UnicodeDecodeError):
        return ()


def _published(
    catalogue: Catalogue, configuration: Configuration, problems: list[InvalidFile]
) -> Mapping[str, str]:
    source = f"{configuration.path}/{catalogue.conventions.files.images}"
    if not (catalogue.root / source).exists():
        return {}
    try:
        return parse_images(read_document(catalogue.root, source), source)
    except InvalidFile as error:
        problems.append(error)
        return {}


@dataclass(frozen=True, kw_only=True)
class InputChange:
    """One input that differs between two points in time; `diff` is unified, and empty for what is
    no text, or too long.
    """

    input: str
    before: str
    after: str
    diff: str
    """`before` and `after` are where the file was found; empty when there was none."""


def changes_between_builds(
    catalogue: Catalogue,
    configuration: Configuration,
    builds: Sequence[KnownBuild],
    older: str,
    newer: str,
) -> list[InputChange]:
    """What changed in the inputs between two points: a build's number, a commit, or `now`.

    Raises NotFound or UsageError for a point that does not exist.
    """
    with ExitStack() as stack:
        states = []
        for point in (older, newer):
            commit = _commit_of(catalogue, builds, point)
            if commit is None:
                states.append(catalogue)
            else:
                past = catalogue_at(catalogue, commit, [configuration.path])
                states.append(stack.enter_context(past))
        before, after = (_contents(state, configuration) for state in states)
        pairs = {
            name: (before.get(name, _NOTHING), after.get(name, _NOTHING))
            for name in sorted(before.keys() | after.keys())
        }
        return [
            InputChange(input=name, before=old.place, after=new.place, diff=_diff(old, new))
            for name, (old, new) in pairs.items()
            if old.digest != new.digest
        ]


def _commit_of(catalogue: Catalogue, builds: Sequence[KnownBuild], point: str) -> str | None:
    """The commit that a point means; None is the work tree."""
    if point == NOW:
        return None
    if point.isascii() and point.isdigit() and len(point) < 6:
        number = int(point)
        found = next((build for build in builds if build.number == number), None)
        if found is None:
            raise NotFound(
                f"There is no build {number}.",
                resolution=f"the builds are 1 to {len(builds)}"
                if builds
                else "this configuration has no builds",
            )
        if found.commit is None:
            if GitTree(root=catalogue.root).is_work_tree():
                return None  # built, and not committed yet: its inputs are in the work tree
            raise UsageError(
                f"What build {number} was made from is not known: {catalogue.root} is not in git."
            )
        return found.commit.id
    return GitTree(root=catalogue.root).commit_of(point)


@dataclass(frozen=True, kw_only=True)
class _Content:
    """A file: where it is, and its lines if it is a text that can be compared."""

    place: str = ""
    digest: str = ""
    lines: tuple[str, ...] | None = ()


_NOTHING = _Content()


def _contents(catalogue: Catalogue, configuration: Configuration) -> dict[str, _Content]:
    """Input -> its content; a directory is given by each file in it."""
    there = Configuration(
        root=catalogue.root, path=configuration.path, dimensions=configuration.dimensions
    )
    found = {}
    for file in used_files(catalogue, there):
        for path in _files_in(file.path):
            name = file.key
            if file.path is not None and path != file.path:
                name = f"{file.key}/{path.relative_to(file.path).as_posix()}"
            found[name] = _read(catalogue.root, path.relative_to(catalogue.root).as_posix())
    return found


def _read(root: Path, place: str) -> _Content:
    """A file that cannot be read, such as a link out of the catalogue, is one without a content."""
    try:
        digest = digest_of_path(resolve_inside(root, place))
    except InvalidInput:
        return _Content(place=place)
    try:
        lines = tuple(read_document(root, place).splitlines())
    except InvalidFile:
        return _Content(place=place, digest=digest, lines=None)
    return _Content(
        place=place, digest=digest, lines=lines if len(lines) <= _MAX_DIFFED_LINES else None
    )


def _files_in(path: Path | None) -> Iterator[Path]:
    if path is None:
        return
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (inner for inner in sorted(path.rglob("*")) if inner.is_file())


def _diff(old: _Content, new: _Content) -> str:
    if old.lines is None or new.lines is None:
        return ""
    places = (old.place or "/dev/null", new.place or "/dev/null")
    return "\n".join(difflib.unified_diff(old.lines, new.lines, *places, lineterm=""))
