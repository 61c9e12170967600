"""`-k 'not …'` in one configuration file: what it leaves out, and the file without it."""

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from osqual.changes import yaml_text
from osqual.mutes.comments import NOTHING, Remark
from osqual.mutes.inventory import ConfigText
from osqual.mutes.keywords import Keywords
from osqual.mutes.pattern import matches_test
from osqual.mutes.to_run import read_tests_to_run

_COMMENT = re.compile(r"[ \t]*#")
_HEADING = re.compile(r"[ \t]*#[ \t]*muted( tests)?[ \t]*:?[ \t\r]*", re.IGNORECASE)
_TEST = re.compile(r"test_\w+(\[.*\])?")
_FILE = re.compile(r"[\w-]+\.py")
_CLASS = re.compile(r"Test\w+")


def excluded_words(keywords: Keywords) -> tuple[str, ...] | None:
    """The words of an expression that does nothing but leave words out; None for another one."""
    words = _only_nots(keywords.node)
    return None if words is None else tuple(dict.fromkeys(words))


def _only_nots(node: Any) -> list[str] | None:
    operator, parts = node
    if operator == "not":
        return _only_words(parts[0])
    if operator != "and":
        return None
    found = [_only_nots(part) for part in parts]
    return None if None in found else [word for words in found for word in words or ()]


def _only_words(node: Any) -> list[str] | None:
    """The words of `a` and of `(a or b)`."""
    operator, parts = node
    if operator == "word":
        return [str(parts[0])]
    if operator != "or":
        return None
    found = [_only_words(part) for part in parts]
    return None if None in found else [word for words in found for word in words or ()]


def patterns_of(word: str, names: Iterable[str], files: Iterable[str]) -> dict[str, bool]:
    """What a word left out, as patterns of mutes: what it names, and everything known that
    merely contains it. True where a pattern is the word's own meaning.
    """
    lowered = word.lower()
    # A part of names: what is known to contain it is listed, a glob keeps what is not known.
    own = _pattern(word) or f"*{word}*"
    found = {own: True}
    for name in sorted({*names, *files}):
        if lowered in name.lower() and not matches_test(own, example_of(name)):
            found[_pattern(name) or name] = False
    return found


def example_of(name: str) -> str:
    """The id of a test of that name, or of one in the class or file of that name."""
    return f"{name}::any" if _FILE.fullmatch(name) or _CLASS.fullmatch(name) else name


def _pattern(word: str) -> str | None:
    if _TEST.fullmatch(word):
        return word
    if _FILE.fullmatch(word) or _CLASS.fullmatch(word):
        return f"{word}::**"
    return None


def without_expressions(config: ConfigText, text: str, words: Sequence[str]) -> str:
    """The file's text without its -k, and without the comments that only spoke of these words.

    Raises InvalidFile when it is written in a way that cannot be edited.
    """
    source = config.source
    edited = _without_comments(config, text, words)
    items = list(config.publish_and_test.tests_to_run)
    left = _without_k(items)
    if not any(item is not None for item in left):
        return yaml_text.unset_value(edited, ["tests_to_run"], source)
    for index in reversed(range(len(items))):
        item = left[index]
        if item is None:
            edited = yaml_text.unset_value(edited, ["tests_to_run", index], source)
        elif item != items[index]:
            edited = yaml_text.set_value(edited, ["tests_to_run", index], item, source)
    return edited


def _without_k(items: Sequence[str]) -> list[str | None]:
    """Each item without -k and its expression; None for one of which nothing is left."""
    left: list[str | None] = []
    pending = False
    for item in items:
        try:
            words = shlex.split(item)
        except ValueError:
            left.append(item)
            continue
        kept = []
        for word in words:
            if pending:
                pending = False
            elif word == "-k":
                pending = True
            elif not word.startswith("-k"):
                kept.append(word)
        left.append(item if len(kept) == len(words) else shlex.join(kept) or None)
    return left


def _without_comments(config: ConfigText, text: str, words: Sequence[str]) -> str:
    """Without comment lines whose whole content goes into the entries."""
    lines = text.splitlines(keepends=True)
    gone = set(_lines_naming_only(config, words))
    gone |= _lines_above(config, lines)
    naming = {remark.line for remark in config.remarks.named.values()}
    for number, line in enumerate(lines, 1):
        below = number + 1
        while below in gone:
            below += 1
        is_empty = below > number + 1 and below not in naming
        if is_empty and _HEADING.fullmatch(line.rstrip("\n")):
            gone.add(number)
    return "".join(line for number, line in enumerate(lines, 1) if number not in gone)


def _lines_naming_only(config: ConfigText, words: Sequence[str]) -> Iterable[int]:
    """Lines like `# test_x, test_y: ticket` that name none but the words."""
    named: dict[int, list[str]] = {}
    for name, remark in config.remarks.named.items():
        named.setdefault(remark.line, []).append(name)
    return (line for line, names in named.items() if set(names) <= set(words))


def _lines_above(config: ConfigText, lines: Sequence[str]) -> set[int]:
    """The block above the list, when it is a remark with a ticket that the entries now carry."""
    above = config.remarks.above
    if above is NOTHING or not above.ticket or _keeps_others(config):
        return set()
    gone: set[int] = set()
    number = above.line
    while number >= 1 and _COMMENT.match(lines[number - 1]):
        if lines[number - 1].lstrip("# \t").strip() in above.text and number not in {
            remark.line for remark in config.remarks.named.values()
        }:
            gone.add(number)
        number -= 1
    return gone


def _keeps_others(config: ConfigText) -> bool:
    return any(item is not None for item in _without_k(config.publish_and_test.tests_to_run))


def remark_of(config: ConfigText, word: str) -> Remark:
    """What the file says of a word."""
    expression = config.to_run.expression
    return config.remarks.of(word, config.line_of(expression.item) if expression else 0)


def hides(items: Sequence[str], test_id: str) -> bool:
    """Whether the -k in a list of words leaves out a test, by any part of its id as pytest does."""
    expression = read_tests_to_run(items).expression
    if expression is None or expression.keywords is None:
        return False
    parts = [part.rpartition("/")[2] for part in test_id.split("::")]
    return not expression.keywords.holds_for(
        lambda word: any(word.lower() in part.lower() for part in parts)
    )
