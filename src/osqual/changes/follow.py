"""Letting a file's text follow new dimension values: which occurrences of an old value mean it.

A value is replaced only where it stands as that version: whole, and joined to nothing but the
name of what it is the version of. Every other place that looks like it becomes a hint.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

_EDITION = re.compile(r"-(ce|ee)")
_PACKAGED = re.compile(r"\.git[0-9a-f]+")
_COMMIT = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
_NAME_BEFORE = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*\Z")
_NEAR = 200
_SUFFIX = re.compile(r"[A-Za-z0-9_.+~:-]*")


@dataclass(frozen=True, kw_only=True)
class Rename:
    """One dimension's value and what it becomes.

    `words` are names that, written near a version, tell that it is this dimension's: the product
    for the release, `docker` for docker, the OS for its version. `rivals` are those of other
    dimensions that have the same value.
    """

    dimension: str
    old: str
    new: str
    words: frozenset[str] = frozenset()
    rivals: frozenset[str] = frozenset()

    @property
    def is_version(self) -> bool:
        """Whether the value can be told from an ordinary word."""
        return bool(re.search(r"[0-9]", self.old)) and bool(self.new)

    @cached_property
    def forms(self) -> tuple[tuple[str, str], ...]:
        """How the value is written, as old and new, the longest first.

        A container runtime's packages leave its edition (-ce, -ee) and its build (.git…) out.
        """
        bare = tuple(_bare(value) for value in (self.old, self.new))
        forms = {self.old: self.new}
        if bare[0] != self.old:
            forms[bare[0]] = bare[1]
        return tuple(forms.items())

    @property
    def has_package_forms(self) -> bool:
        """Whether packages write the value in another way, and with a package's own release."""
        return "docker" in self.words


def _bare(value: str) -> str:
    return _PACKAGED.split(_EDITION.split(value)[0])[0]


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One replaced occurrence; `line` counts from 1."""

    line: int
    dimension: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Hint:
    """A line that a person should look at, and why."""

    line: int
    text: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A text after the replacements. Hints tell the lines of the new text."""

    text: str
    replacements: tuple[Replacement, ...]
    hints: tuple[Hint, ...]


@dataclass(frozen=True, kw_only=True)
class _Span:
    start: int
    end: int
    new: str
    dimension: str
    note: str = ""
    """Why a person should look although it was replaced."""


def follow(text: str, renames: Sequence[Rename], old_path: str, new_path: str) -> Followed:
    """Replace the configuration's path and each old value where it stands as that version."""
    spans = list(_path_spans(text, old_path, new_path))
    doubts: list[tuple[int, str]] = []
    for rename in renames:
        _find(text, rename, spans, doubts)
    spans.sort(key=lambda span: span.start)
    pieces, position = [], 0
    for span in spans:
        pieces += [text[position : span.start], span.new]
        position = span.end
    new_text = "".join([*pieces, text[position:]])
    replacements = tuple(
        Replacement(
            line=text.count("\n", 0, span.start) + 1,
            dimension=span.dimension,
            old=text[span.start : span.end],
            new=span.new,
        )
        for span in spans
    )
    doubts += [(span.start, span.note) for span in spans if span.note]
    doubts += _further_doubts(text, renames, spans)
    return Followed(text=new_text, replacements=replacements, hints=_hints(text, new_text, doubts))


def _hints(text: str, new_text: str, doubts: list[tuple[int, str]]) -> tuple[Hint, ...]:
    """One hint a line and reason; no replacement spans lines, so their numbers are the same."""
    lines = new_text.split("\n")
    numbered = sorted({(text.count("\n", 0, place) + 1, why) for place, why in doubts})
    return tuple(
        Hint(line=number, text=lines[number - 1].strip(), why=why) for number, why in numbered
    )


def _path_spans(text: str, old_path: str, new_path: str) -> Iterator[_Span]:
    pattern = rf"(?<![\w.-]){re.escape(old_path)}(?![\w.-])"
    for match in re.finditer(pattern, text):
        yield _Span(start=match.start(), end=match.end(), new=new_path, dimension="path")


def _find(text: str, rename: Rename, spans: list[_Span], doubts: list[tuple[int, str]]) -> None:
    """Decide about every occurrence of one value that nothing else has taken yet."""
    taken = [(span.start, span.end) for span in spans]
    for match in _assignments(text, rename):
        if not _overlaps(taken, *match.span("value")):
            start, end = match.span("value")
            spans.append(_Span(start=start, end=end, new=rename.new, dimension=rename.dimension))
            taken.append((start, end))
    if not rename.is_version:
        return
    for old, new in rename.forms:
        for match in re.finditer(re.escape(old), text):
            start, end = match.span()
            if _overlaps(taken, start, end):
                continue
            decision = _decide(text, start, end, rename)
            if decision is None:
                continue
            taken.append((start, end))
            if decision.replaced:
                spans.append(
                    _Span(
                        start=start,
                        end=end,
                        new=new,
                        dimension=rename.dimension,
                        note=decision.why,
                    )
                )
            else:
                doubts.append((start, decision.why))


def _overlaps(taken: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    return any(start < stop and begin < end for begin, stop in taken)


def _assignments(text: str, rename: Rename) -> Iterator[re.Match[str]]:
    """Lines like `os = "rhel"` that set a variable of the dimension's own name to the value."""
    name = re.escape(rename.dimension).replace("_", "[_-]?")
    pattern = (
        rf"^[ \t]*[\"']?{name}[\"']?[ \t]*[=:][ \t]*(?P<quote>[\"']?)"
        rf"(?P<value>{re.escape(rename.old)})(?P=quote)[ \t]*,?[ \t]*(?:#.*)?\r?$"
    )
    return re.finditer(pattern, text, re.MULTILINE | re.IGNORECASE) if rename.new else iter(())


@dataclass(frozen=True, kw_only=True)
class _Decision:
    replaced: bool
    why: str = ""


def _decide(text: str, start: int, end: int, rename: Rename) -> _Decision | None:
    """What one occurrence is. None: part of another number or word, not even alike."""
    after = _after(text, end, rename)
    if after is None or (start and text[start - 1].isdigit()):
        return None
    name = _name_before(text, start)
    if name is None:
        return None
    if not after.replaced:
        return after
    if name:
        if _speaks_of(name, rename.words):
            return after
        return _Decision(replaced=False, why=f"it is a version of {name!r} here")
    around = _around(text, start)
    if rename.rivals and _speaks_of(around, rename.rivals):
        return _Decision(replaced=False, why="it may be another dimension's version")
    distinct = _is_distinct(rename.old) and not _others_version(around, text[start:end], rename)
    if distinct or _speaks_of(around, rename.words):
        return after
    return _Decision(replaced=False, why=f"nothing tells that it is the {_told(rename)}")


def _after(text: str, end: int, rename: Rename) -> _Decision | None:
    """What the text behind an occurrence says of it."""
    rest = _SUFFIX.match(text, end)
    suffix = rest[0] if rest else ""
    if suffix[:1].isalnum():
        return None
    whole = _Decision(replaced=True)
    if not suffix or suffix[0] in "_:" or suffix.strip(".") == "":
        return whole
    longer = _Decision(replaced=False, why=f"it goes on as {suffix[:20]!r}: another version")
    separator, word = suffix[0], suffix[1:]
    if separator == "." and not word[:1].isdigit():
        return longer if word.startswith("git") else _kept_suffix(suffix, rename)
    if separator in "-~" and rename.has_package_forms and word[:1].isdigit():
        return longer if "git" in word else _kept_suffix(suffix, rename)
    return longer


def _kept_suffix(suffix: str, rename: Rename) -> _Decision:
    """Replaced with what follows it as it was: a file's ending, or a package's own release."""
    if rename.has_package_forms and re.match(r"\.(ce|ee)\b|[-~]", suffix):
        return _Decision(replaced=True, why=f"the package's {suffix!r} was kept: check it")
    return _Decision(replaced=True)


def _name_before(text: str, start: int) -> str | None:
    """The name that a version is joined to: `docker-ce` of `docker-ce-18.09.9`.

    Empty for a version that stands alone, None for the tail of a longer version.
    """
    before = text[max(0, start - 200) : start]
    if re.search(r"(?:^|[^A-Za-z0-9])v\Z", before):
        before = before[:-1]
    if re.search(r"[0-9]\.\Z", before):
        return None
    if before[-1:].isalpha():
        return _name(before)
    if before[-1:] in ("-", "_", "."):
        return _name(before[:-1])
    return _name(before[:-2]) if before.endswith("==") else ""


def _name(before: str) -> str:
    found = _NAME_BEFORE.search(before)
    return found[0] if found else ""


def _around(text: str, place: int) -> str:
    """The line, or of a very long one what is near."""
    start = max(text.rfind("\n", 0, place) + 1, place - _NEAR)
    end = text.find("\n", place, place + _NEAR)
    return text[start : end if end >= 0 else place + _NEAR]


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _speaks_of(text: str, words: frozenset[str]) -> bool:
    squeezed = _squeezed(text)
    return any(word in squeezed for word in words)


def _is_distinct(value: str) -> bool:
    """Whether a value is hardly anything else by chance: 18.09.9 is, 7.5 is not."""
    return value.count(".") >= 2 or bool(re.search(r"[A-Za-z]", value))


def _others_version(line: str, value: str, rename: Rename) -> bool:
    """Whether the same line has the version joined to an unrelated name: `lib/2.4.1/lib-2.4.1`."""
    names = (_name_before(line, match.start()) for match in re.finditer(re.escape(value), line))
    return any(name and not _speaks_of(name, rename.words) for name in names)


def _told(rename: Rename) -> str:
    return rename.dimension.replace("_", " ")


def _further_doubts(
    text: str, renames: Sequence[Rename], spans: Sequence[_Span]
) -> Iterator[tuple[int, str]]:
    """Places without the old value itself that a new value may still touch."""
    for span in spans:
        line = _around(text, span.start)
        if span.dimension != "path" and _COMMIT.search(line):
            yield span.start, "the commit in it belongs to the old value"
    for rename in renames:
        if not rename.is_version:
            yield from _word_doubts(text, rename, spans)
        elif rename.dimension.endswith("version"):
            yield from _short_doubts(text, rename)


def _word_doubts(text: str, rename: Rename, spans: Sequence[_Span]) -> Iterator[tuple[int, str]]:
    """Lines that hold every word of a value such as `selinux_disabled`."""
    words = [word for word in re.split(r"[^a-z0-9]+", rename.old.lower()) if word]
    if not words:
        return
    taken = {text.rfind("\n", 0, span.start) + 1 for span in spans}
    for match in re.finditer(r"^.*$", text, re.MULTILINE):
        found = set(re.split(r"[^a-z0-9]+", match[0].lower()))
        if match.start() not in taken and found.issuperset(words):
            yield match.start(), f"it speaks of {rename.old}"


def _short_doubts(text: str, rename: Rename) -> Iterator[tuple[int, str]]:
    """`el7`, `/7/` when the first number changes, and `centos77` for 7.7."""
    old, new = rename.old.split(".")[0], rename.new.split(".")[0]
    if old != new and "." in rename.old:
        pattern = rf"(?:\bel|/|-){re.escape(old)}(?=[/_\s\"'-]|\.[a-z]|$)"
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield match.start(), f"it may be {_told(rename)} {old}"
    compact = re.escape(rename.old.replace(".", ""))
    for match in re.finditer(rf"(?<![A-Za-z])([A-Za-z]+){compact}(?![0-9])", text):
        if _speaks_of(match[1], rename.words):
            yield match.start(), f"it may be {_told(rename)} {rename.old}"
