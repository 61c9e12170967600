"""Running rules over a catalogue: findings merged, accepted ones left out, narrowed, sorted."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from osqual.catalogue.globs import glob_matcher, is_glob
from osqual.catalogue.usage import reached, watched_paths
from osqual.lint.finding import Finding, Level, Rule
from osqual.lint.ignoring import Ignore, ignores_of
from osqual.lint.registry import codes_of
from osqual.lint.view import View
from osqual.settings import LintIgnore


@dataclass(frozen=True, kw_only=True)
class Report:
    """The findings, sorted by place. `accepted` is how many were left out on purpose.

    `concerned` is how many of the configurations are in the scope.
    """

    findings: tuple[Finding, ...]
    accepted: int
    configurations: int
    concerned: int

    def count(self, level: Level) -> int:
        """How many findings are of a level."""
        return sum(finding.level is level for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What to tell findings about: some files, and all that concerns some configurations."""

    files: Callable[[str], bool]
    configurations: Collection[str]

    def wants(self, finding: Finding, users: Mapping[str, Sequence[str]]) -> bool:
        """Whether a finding is to be told."""
        if self.files(finding.file):
            return True
        about = finding.configurations or users.get(finding.file, ())
        return any(path in self.configurations for path in about)


def check(
    view: View,
    rules: Iterable[Rule],
    accepted: Sequence[LintIgnore] = (),
    scope: Scope | None = None,
) -> Report:
    """Look at the whole catalogue and tell what is in the scope and not accepted."""
    found = [finding for rule in rules for finding in _findings(view, rule)]
    if scope is not None:
        found = [finding for finding in found if scope.wants(finding, view.users)]
    left = _not_accepted(view, found, accepted)
    left.sort(key=lambda f: (f.file, f.line, f.code, f.key, f.message))
    return Report(
        findings=tuple(left),
        accepted=len(found) - len(left),
        configurations=len(view.leaves),
        concerned=len(view.leaves if scope is None else scope.configurations),
    )


def _findings(view: View, rule: Rule) -> list[Finding]:
    """What a rule finds; the same said of one place for several configurations is said once."""
    merged: dict[tuple[str, int, str, str], set[str]] = {}
    for found in rule.check(view):
        place = (found.file, found.line, found.key, found.message)
        about = merged.setdefault(place, set())
        about.update(found.configurations)
        about.update([found.configuration] if found.configuration else [])
    return [
        Finding(
            rule=rule,
            file=file,
            line=line,
            key=key,
            message=message,
            configurations=tuple(sorted(about)),
        )
        for (file, line, key, message), about in merged.items()
    ]


def _not_accepted(
    view: View, found: Iterable[Finding], accepted: Sequence[LintIgnore]
) -> list[Finding]:
    lists = [_Accepted(item) for item in accepted]
    comments: dict[str, tuple[Ignore, ...]] = {}
    left = []
    for finding in found:
        if finding.file not in comments:
            comments[finding.file] = ignores_of(view, finding.file)
        if any(ignore.silences(finding) for ignore in comments[finding.file]):
            continue
        if any(item.covers(finding) for item in lists):
            continue
        left.append(finding)
    return left


class _Accepted:
    """An entry of the ignore list in osqual.yaml."""

    def __init__(self, item: LintIgnore) -> None:
        self._codes = frozenset(codes_of(item.code))
        self._paths = [glob_matcher(path) for path in item.paths]

    def covers(self, finding: Finding) -> bool:
        if finding.code not in self._codes:
            return False
        places = (finding.file, *finding.configurations)
        return not self._paths or any(match(place) for match in self._paths for place in places)


def scope_of_changes(view: View, changed: Collection[str]) -> Scope:
    """What a change concerns: the changed files, and the configurations that they reach."""
    reaches = [
        leaf.path
        for leaf in view.leaves
        if reached(watched_paths(view.catalogue, leaf.configuration), changed)
        or any(path.startswith(f"{leaf.path}/") for path in changed)
    ]
    return Scope(files=frozenset(changed).__contains__, configurations=frozenset(reaches))


def scope_of_paths(view: View, paths: Sequence[str]) -> Scope:
    """What lies at or below some paths, and the configurations that are there or use a file there.

    Paths are relative to the root, or globs over such paths; the root itself is the empty path.
    """
    globs = [glob_matcher(path) for path in paths if is_glob(path)]

    def inside(file: str) -> bool:
        named = any(path in ("", file) or file.startswith(f"{path}/") for path in paths)
        return named or any(matches(file) for matches in globs)

    below = {leaf.path for leaf in view.leaves if inside(leaf.path)}
    meant = [*paths, *(file for file in view.users if any(matches(file) for matches in globs))]
    users = {user for path in meant for user in view.users.get(path, ())}
    return Scope(files=inside, configurations=frozenset(below | users))


def both(first: Scope | None, second: Scope | None) -> Scope | None:
    """What both scopes want; None is everything."""
    if first is None or second is None:
        return first or second
    one, other = first, second
    return Scope(
        files=lambda file: one.files(file) and other.files(file),
        configurations=frozenset(one.configurations) & frozenset(other.configurations),
    )
