"""Every muted test of a catalogue, however it was muted, with where, why and since when."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

import yaml

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import parse_publish_and_test, read
from osqual.catalogue.git import GitTree
from osqual.errors import InvalidFile
from osqual.model import Configuration, PublishAndTest
from osqual.mutes.comments import Remarks, read_remarks
from osqual.mutes.entries import parse_mutes
from osqual.mutes.files import MutesFiles
from osqual.mutes.mute import Mute
from osqual.mutes.since import Claims, muted_since
from osqual.mutes.to_run import TestsToRun, read_tests_to_run


class How(StrEnum):
    """How a test is muted."""

    ENTRY = "mutes file"
    KEYWORD = "-k not"
    CHOICE = "-k"
    DESELECTED = "--deselect"
    FILES = "file list"


@dataclass(frozen=True, kw_only=True)
class MutedTest:
    """One test that does not count, or the files that a list leaves out, in one file."""

    test: str
    how: How
    source: str
    line: int
    configurations: tuple[Configuration, ...] = ()
    reason: str = ""
    ticket: str = ""
    owner: str = ""
    until: date | None = None
    runs: bool = False
    also_hides: tuple[str, ...] = ()
    """Known tests that are hidden with it, because its name is a part of theirs."""
    left_out: tuple[str, ...] = ()
    """For a file list: the files that others of the catalogue run and this one does not."""
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    since: datetime | None = None
    """When it was committed; None when it is not, or when there is no git to ask."""

    def expired(self, today: date) -> bool:
        """Whether it does not hold any more."""
        return self.until is not None and today > self.until


@dataclass(frozen=True, kw_only=True)
class ConfigText:
    """What one configuration file says about tests."""

    source: str
    publish_and_test: PublishAndTest
    to_run: TestsToRun
    remarks: Remarks
    lines: tuple[int, ...]
    """The line of each item of `tests_to_run`."""

    def line_of(self, item: int) -> int:
        """The line of an item; 0 when it is not known."""
        return self.lines[item] if item < len(self.lines) else 0


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Everything muted, sorted by test and place, and the files that are broken."""

    muted: tuple[MutedTest, ...]
    problems: tuple[InvalidFile, ...] = ()


def read_config_text(text: str, source: str) -> ConfigText:
    """Read a configuration file for what it mutes. Raises InvalidFile."""
    publish_and_test = parse_publish_and_test(text, source)
    items = publish_and_test.tests_to_run
    return ConfigText(
        source=source,
        publish_and_test=publish_and_test,
        to_run=read_tests_to_run(items),
        remarks=read_remarks(text, source),
        lines=_item_lines(text) if items else (),
    )


def _item_lines(text: str) -> tuple[int, ...]:
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    found = next((value for key, value in pairs if key.value == "tests_to_run"), None)
    items = found.value if isinstance(found, yaml.SequenceNode) else []
    return tuple(item.start_mark.line + 1 for item in items)


def read_inventory(catalogue: Catalogue, configurations: Sequence[Configuration]) -> Inventory:
    """What is muted for any of the configurations. Known names come from the whole catalogue."""
    reader = _Reader(catalogue=catalogue)
    everything = catalogue.configurations()
    configs = reader.configs(everything)
    mutes = reader.mutes(everything)
    names, files = known_tests(configs.values(), (m for found in mutes.values() for m in found))
    wanted = {item.path for item in configurations}
    muted: list[MutedTest] = []
    for source, users in reader.users.items():
        chosen = tuple(item for item in users if item.path in wanted)
        if chosen and source in configs:
            found = muted_in_config(configs[source], names, files)
            muted += [replace(item, configurations=chosen) for item in found]
    for mute in (mute for entries in mutes.values() for mute in entries):
        below = [i for i in configurations if mute.applies_to(i.path, i.dimensions)]
        if below:
            muted.append(_of_entry(mute, tuple(below)))
    muted = _with_since(catalogue, muted)
    muted.sort(key=lambda item: (item.test, item.source, item.line))
    return Inventory(muted=tuple(muted), problems=tuple(reader.problems))


@dataclass(kw_only=True)
class _Reader:
    catalogue: Catalogue
    users: dict[str, list[Configuration]] = field(default_factory=dict)
    problems: list[InvalidFile] = field(default_factory=list)

    def configs(self, configurations: Iterable[Configuration]) -> dict[str, ConfigText]:
        """Each configuration file that is used, by its path."""
        name = self.catalogue.conventions.files.config
        for configuration in configurations:
            directory = self.catalogue.tree.nearest(configuration.path, name)
            if directory is not None:
                self.users.setdefault(f"{directory}/{name}".lstrip("/"), []).append(configuration)
        found = {}
        for source in self.users:
            try:
                found[source] = read_config_text(*self._read(source))
            except InvalidFile as error:
                self.problems.append(error)
        return found

    def mutes(self, configurations: Iterable[Configuration]) -> dict[str, tuple[Mute, ...]]:
        """The entries of each mutes file that has configurations below."""
        files = MutesFiles(self.catalogue)
        found = {}
        for source in dict.fromkeys(s for item in configurations for s in files.sources(item.path)):
            try:
                found[source] = files.read(source)
            except InvalidFile as error:
                self.problems.append(error)
        return found

    def _read(self, source: str) -> tuple[str, str]:
        return read(self.catalogue, self.catalogue.root / source)


def known_tests(
    configs: Iterable[ConfigText], mutes: Iterable[Mute]
) -> tuple[frozenset[str], frozenset[str]]:
    """Names of tests, and of test files, that the catalogue mentions anywhere."""
    names: set[str] = set()
    files: set[str] = set()
    for config in configs:
        names.update(config.remarks.named)
        for to_run in (config.to_run, config.remarks.disabled):
            for expression in to_run.expressions:
                names.update(expression.keywords.words if expression.keywords else ())
            names.update(named.name.rpartition("::")[2] for named in to_run.deselected)
            names.update(n.name.rpartition("::")[2] for n in to_run.chosen if "::" in n.name)
            files.update(name for name in to_run.files if name.endswith(".py"))
    names.update(m.test.rpartition("::")[2] for m in mutes if not any(c in m.test for c in "*?"))
    tests = {name for name in names if name and not name.endswith(".py")}
    return frozenset(tests), frozenset(files)


def muted_in_config(
    config: ConfigText, names: Iterable[str], files: Iterable[str]
) -> Iterator[MutedTest]:
    """What the list of one file leaves out."""
    to_run, source = config.to_run, config.source
    expression = to_run.expression
    if expression is not None and expression.keywords is not None:
        line = config.line_of(expression.item)
        keywords = expression.keywords
        for word in keywords.excludes:
            remark = config.remarks.of(word, line)
            yield MutedTest(
                test=word,
                how=How.KEYWORD,
                source=source,
                line=line,
                reason=remark.text,
                ticket=remark.ticket,
                also_hides=keywords.also_hidden(word, {*names, *files}),
            )
        if not keywords.runs_the_rest:
            remark = config.remarks.of("", line)
            yield MutedTest(
                test=f"everything but {keywords.text}",
                how=How.CHOICE,
                source=source,
                line=line,
                reason=remark.text,
                ticket=remark.ticket,
                left_out=tuple(sorted(name for name in names if not keywords.runs(name))),
            )
    for named in to_run.deselected:
        line = config.line_of(named.item)
        remark = config.remarks.of(named.name.rpartition("::")[2], line)
        yield MutedTest(
            test=named.name,
            how=How.DESELECTED,
            source=source,
            line=line,
            reason=remark.text,
            ticket=remark.ticket,
        )
    if to_run.chosen:
        line = config.line_of(to_run.chosen[0].item)
        remark = config.remarks.of("", line)
        yield MutedTest(
            test="everything not listed",
            how=How.FILES,
            source=source,
            line=line,
            reason=remark.text,
            ticket=remark.ticket,
            left_out=tuple(sorted(set(files) - _touched(to_run))),
        )


def _touched(to_run: TestsToRun) -> set[str]:
    """The files of which at least something is run."""
    return {named.name.partition("::")[0] for named in to_run.chosen}


def _of_entry(mute: Mute, configurations: tuple[Configuration, ...]) -> MutedTest:
    return MutedTest(
        test=mute.test,
        how=How.ENTRY,
        source=mute.source,
        line=mute.line,
        configurations=configurations,
        reason=mute.reason,
        ticket=mute.ticket,
        owner=mute.owner,
        until=mute.until,
        runs=mute.runs,
        scope=mute.written_scope,
    )


def _with_since(catalogue: Catalogue, muted: list[MutedTest]) -> list[MutedTest]:
    files = catalogue.conventions.files
    dimensions = catalogue.layout.dimensions

    def read_claims(text: str, path: str) -> Claims | None:
        try:
            if path.rpartition("/")[2] == files.mutes:
                found = parse_mutes(text, path, dimensions)
                return frozenset(_claim(How.ENTRY, mute.test) for mute in found)
            config = read_config_text(text, path)
        except InvalidFile:
            return None
        return frozenset(_claim(item.how, item.test) for item in muted_in_config(config, (), ()))

    git = GitTree(root=catalogue.root)
    since = muted_since(git, [files.config, files.mutes], read_claims) if muted else {}
    return [
        replace(item, since=since.get((item.source, _claim(item.how, item.test)))) for item in muted
    ]


def _claim(how: How, test: str) -> str:
    return f"{how.value}: {test}"
