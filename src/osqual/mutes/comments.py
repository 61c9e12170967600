"""What YAML comments around `tests_to_run` say of muted tests: reasons, tickets, old attempts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from osqual.errors import InvalidFile
from osqual.formats.documents import load_yaml
from osqual.mutes.to_run import TestsToRun, read_tests_to_run

_COMMENT = re.compile(r"[ \t]*#[ \t]?(?P<text>.*)")
_NAME = r"(?:[\w./-]+::)*(?:test_\w+|Test\w+)(?:\.py)?(?:\[[^\]]*\])?"
_NAMED = re.compile(rf"\s*-?\s*(?P<names>{_NAME}(?:\s*,\s*{_NAME})*)\s*(?::|-|–|—)\s+(?P<text>.*)")
_URL = re.compile(r"https?://[^\s<>\"'),]+")
_TICKET = re.compile(r"\b[A-Z][A-Z0-9_]+-[0-9]+\b|(?<![\w&])#[0-9]+\b")
_KEY = re.compile(r"tests_to_run\s*:")
_DISABLED_KEY = re.compile(r"[ \t]*#[ \t]*tests_to_run[ \t]*:[ \t]*")
_DISABLED_ITEM = re.compile(r"[ \t]*#(?P<item>[ \t]*-[ \t]+\S.*)")


@dataclass(frozen=True, kw_only=True)
class Remark:
    """A comment: what it says, the ticket in it, and its line."""

    text: str = ""
    ticket: str = ""
    line: int = 0


NOTHING = Remark()


@dataclass(frozen=True, kw_only=True)
class Remarks:
    """The comments of one file. `named`: test -> what is said of it."""

    named: Mapping[str, Remark] = field(default_factory=dict)
    above: Remark = NOTHING
    """The block right above `tests_to_run`, about all of it."""
    trailing: Mapping[int, Remark] = field(default_factory=dict)
    """By the line that they end."""
    disabled: TestsToRun = field(default_factory=TestsToRun)
    """What a list that is commented out would say."""
    disabled_line: int = 0

    def of(self, test: str, line: int) -> Remark:
        """What is said of a test that is left out at a line: of itself first."""
        for remark in (self.named.get(test), self.trailing.get(line), self.above):
            if remark is not None and remark is not NOTHING:
                return remark
        return NOTHING


def read_remarks(text: str, source: str) -> Remarks:
    """The comments of a YAML file that says which tests to run."""
    lines = text.splitlines()
    named: dict[str, Remark] = {}
    trailing: dict[int, Remark] = {}
    for number, line in enumerate(lines, 1):
        comment = _COMMENT.fullmatch(line)
        if comment is None:
            _, mark, after = line.partition(" #")
            if mark:
                trailing[number] = _remark(after, number)
            continue
        match = _NAMED.fullmatch(comment["text"])
        if match is not None:
            for name in re.split(r"\s*,\s*", match["names"]):
                named.setdefault(name, _remark(match["text"], number))
    disabled_line, disabled = _disabled(lines, source)
    return Remarks(
        named=named,
        above=_above(lines),
        trailing=trailing,
        disabled=disabled,
        disabled_line=disabled_line,
    )


def _remark(text: str, line: int) -> Remark:
    text = text.strip()
    return Remark(text=text, ticket=ticket_in(text), line=line)


def ticket_in(text: str) -> str:
    """The first link in a text, or else the first thing that looks like a ticket's id."""
    found = _URL.search(text) or _TICKET.search(text)
    return found[0].rstrip(".;:") if found else ""


def _above(lines: list[str]) -> Remark:
    """The comment block that ends right above the key, without what it says of single tests."""
    key = next((n for n, line in enumerate(lines) if _KEY.match(line)), None)
    if key is None:
        return NOTHING
    block: list[str] = []
    for line in reversed(lines[:key]):
        comment = _COMMENT.fullmatch(line)
        if comment is None:
            break
        if not _NAMED.fullmatch(comment["text"]) and "tests_to_run" not in comment["text"]:
            block.insert(0, comment["text"].strip())
    return _remark(" ".join(block), key) if any(block) else NOTHING


def _disabled(lines: list[str], source: str) -> tuple[int, TestsToRun]:
    start = next((n for n, line in enumerate(lines) if _DISABLED_KEY.fullmatch(line)), None)
    if start is None:
        return 0, TestsToRun()
    items = list(_commented_items(lines[start + 1 :], source))
    return start + 1, read_tests_to_run(items)


def _commented_items(lines: list[str], source: str) -> Iterator[str]:
    for line in lines:
        match = _DISABLED_ITEM.fullmatch(line)
        if match is None:
            return
        try:
            value = load_yaml(match["item"].strip(), source)
        except InvalidFile:
            continue
        yield from (item for item in value if isinstance(item, str))
