"""Turning `-k 'not …'` and the comments about it into entries of mutes files, and proving that
every configuration mutes the same tests as before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import parse_publish_and_test
from osqual.catalogue.tree import upwards
from osqual.changes import yaml_text
from osqual.changes.draft import Draft, join
from osqual.changes.excluded import (
    example_of,
    excluded_words,
    hides,
    patterns_of,
    remark_of,
    without_expressions,
)
from osqual.changes.mute_entries import Entry, mutes_files, read_mutes
from osqual.changes.scoping import scopes_for
from osqual.errors import InvalidFile, UsageError
from osqual.model import Configuration
from osqual.mutes.inventory import ConfigText, known_tests, read_config_text
from osqual.mutes.mute import Mute


@dataclass(kw_only=True)
class Import:
    """The planned import, and what to tell about it."""

    draft: Draft
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    """Each planned entry and the file that it goes into."""
    files: list[str] = field(default_factory=list)
    """Configuration files that lose their -k."""
    widened: dict[str, list[str]] = field(default_factory=dict)
    """Words that hid more than they name, and what else they hid."""
    skipped: list[str] = field(default_factory=list)
    problems: list[InvalidFile] = field(default_factory=list)
    proven: tuple[int, int] = (0, 0)
    """Configurations and tests for which the muted tests were compared."""


@dataclass(kw_only=True)
class _Config:
    config: ConfigText
    text: str
    users: list[Configuration] = field(default_factory=list)


# What tells entries of one test apart: where they come from is no reason for two of them.
_Key = tuple[str, str, str]
_HIDDEN = "was hidden by -k"


class Importer:
    """Plans the import for a selection. `tests` are known ids, beside those that files name."""

    def __init__(
        self,
        catalogue: Catalogue,
        selection: Iterable[Configuration],
        tests: Sequence[str],
        today: date,
        *,
        run: bool = False,
    ) -> None:
        self.catalogue = catalogue
        self._chosen = {item.path for item in selection}
        self._tests = tuple(tests)
        self._today = today
        self._run = "" if run else "never"
        self._everyone = catalogue.configurations()
        self._result = Import(draft=Draft(catalogue.root))
        self._configs: dict[str, _Config] = {}

    def plan(self) -> Import:
        """Plan it and prove it. Raises InvalidFile for mutes files that are broken."""
        self._read_configs()
        names, files = self._known()
        before = self._muted_everywhere(names, files)
        wanted: dict[_Key, dict[str, Configuration]] = {}
        for place, item in self._configs.items():
            words = self._importable(place, item)
            if not words:
                continue
            self._result.files.append(place)
            text = without_expressions(item.config, item.text, words)
            self._result.draft.write(place, text)
            for word in words:
                self._want(wanted, item, word, names, files)
        self._write_entries(wanted)
        after = self._muted_everywhere(names, files)
        self._compare(before, after)
        return self._result

    # -- reading --------------------------------------------------------------------------------

    def _read_configs(self) -> None:
        name = self.catalogue.conventions.files.config
        for item in self._everyone:
            directory = self.catalogue.tree.nearest(item.path, name)
            if directory is None:
                continue
            place = join(directory, name)
            if place not in self._configs:
                try:
                    text = self._result.draft.read_text(place) or ""
                    config = read_config_text(text, place)
                except InvalidFile as error:
                    self._result.problems.append(error)
                    continue
                self._configs[place] = _Config(config=config, text=text)
            self._configs[place].users.append(item)

    def _known(self) -> tuple[frozenset[str], frozenset[str]]:
        mutes = [
            mute
            for place in mutes_files(self.catalogue)
            for mute in read_mutes(self.catalogue, self._result.draft, place)
        ]
        names, files = known_tests((item.config for item in self._configs.values()), mutes)
        more = {part for test in self._tests for part in test.split("::")[1:]}
        paths = {test.partition("::")[0].rpartition("/")[2] for test in self._tests}
        return names | more, files | {path for path in paths if path.endswith(".py")}

    def _importable(self, place: str, item: _Config) -> tuple[str, ...]:
        """The words that can become entries; why not, is told."""
        expression = item.config.to_run.expression
        if expression is None:
            return ()
        words = None if expression.keywords is None else excluded_words(expression.keywords)
        if words is None:
            self._result.skipped.append(
                f"{place}: -k {expression.text!r} does more than to leave out tests"
            )
            return ()
        if not all(user.path in self._chosen for user in item.users):
            if any(user.path in self._chosen for user in item.users):
                self._result.skipped.append(
                    f"{place}: configurations that are not selected use it too"
                )
            return ()
        return words

    # -- entries --------------------------------------------------------------------------------

    def _want(
        self,
        wanted: dict[_Key, dict[str, Configuration]],
        item: _Config,
        word: str,
        names: frozenset[str],
        files: frozenset[str],
    ) -> None:
        remark = remark_of(item.config, word)
        reason = "" if remark.text.strip() == remark.ticket else remark.text
        for pattern, own in patterns_of(word, names, files).items():
            told = reason if own else f"{_HIDDEN} 'not {word}'"
            if not own:
                also = self._result.widened.setdefault(word, [])
                also += [pattern] if pattern not in also else []
            users = wanted.setdefault((pattern, remark.ticket, told), {})
            users.update((user.path, user) for user in item.users)

    def _write_entries(self, wanted: Mapping[_Key, Mapping[str, Configuration]]) -> None:
        planned: dict[str, list[Entry]] = {}
        layout, aliases = self.catalogue.layout, self.catalogue.conventions.aliases
        for (test, ticket, reason), users in _own_first(wanted):
            for scoped in scopes_for(users.values(), self._everyone, layout.dimensions, aliases):
                entry = Entry(
                    test=test, scope=scoped.scope, reason=reason, ticket=ticket, run=self._run
                )
                place = join(scoped.directory, self.catalogue.conventions.files.mutes)
                planned.setdefault(place, []).append(entry)
        for place, entries in sorted(planned.items()):
            text = self._result.draft.read_text(place) or ""
            for entry in entries:
                text = yaml_text.append_item(text, entry.document(), place)
                self._result.entries.append((place, entry))
            self._result.draft.write(place, text)

    # -- the proof ------------------------------------------------------------------------------

    def _muted_everywhere(
        self, names: frozenset[str], files: frozenset[str]
    ) -> dict[str, frozenset[str]]:
        """For each configuration the known tests that do not count, in the draft as it is now."""
        universe = [*map(example_of, sorted(names | files)), *self._tests]
        self._result.proven = (len(self._everyone), len(universe))
        mutes: dict[str, tuple[Mute, ...]] = {}
        found: dict[str, frozenset[str]] = {}
        excluded: dict[str, frozenset[str]] = {}
        for item in self._everyone:
            place = self._config_of(item.path)
            if place is not None and place not in excluded:
                excluded[place] = self._excluded(place, universe)
            own = excluded[place] if place is not None else frozenset()
            in_force = self._mutes_of(item, mutes)
            by_entry = (test for test in universe if any(mute.mutes(test) for mute in in_force))
            found[item.path] = own.union(by_entry)
        return found

    def _config_of(self, path: str) -> str | None:
        name = self.catalogue.conventions.files.config
        directory = self.catalogue.tree.nearest(path, name)
        return None if directory is None else join(directory, name)

    def _excluded(self, place: str, universe: Sequence[str]) -> frozenset[str]:
        try:
            text = self._result.draft.read_text(place) or ""
            items = parse_publish_and_test(text, place).tests_to_run
        except InvalidFile:
            return frozenset()
        return frozenset(test for test in universe if hides(items, test))

    def _mutes_of(self, item: Configuration, known: dict[str, tuple[Mute, ...]]) -> list[Mute]:
        found: list[Mute] = []
        for directory in upwards(item.path):
            place = join(directory, self.catalogue.conventions.files.mutes)
            if place not in known:
                known[place] = read_mutes(self.catalogue, self._result.draft, place)
            found += [
                mute
                for mute in known[place]
                if mute.applies_to(item.path, item.dimensions)
                and not mute.images
                and mute.in_force(self._today)
            ]
        return found

    def _compare(
        self, before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]
    ) -> None:
        for path, muted in before.items():
            lost, gained = muted - after[path], after[path] - muted
            if lost or gained:
                raise UsageError(
                    f"The import would change what {path} mutes. Nothing was written.",
                    details="\n".join(
                        [f"no more: {test}" for test in sorted(lost)]
                        + [f"newly: {test}" for test in sorted(gained)]
                    ),
                    resolution="import the other configurations, and this one by hand",
                )


def _own_first(
    wanted: Mapping[_Key, Mapping[str, Configuration]],
) -> list[tuple[_Key, Mapping[str, Configuration]]]:
    """In the order of tests, and without users that another entry of the test has already."""
    ordered = sorted(wanted.items(), key=lambda pair: (pair[0][0], _is_hidden(pair[0]), pair[0]))
    found: list[tuple[_Key, Mapping[str, Configuration]]] = []
    taken: dict[str, set[str]] = {}
    for key, users in ordered:
        seen = taken.setdefault(key[0], set())
        left = {path: user for path, user in users.items() if path not in seen}
        seen.update(left)
        if left:
            found.append((key, left))
    return found


def _is_hidden(key: _Key) -> bool:
    return key[2].startswith(_HIDDEN)
