"""`tests_to_run`: the words that are added to pytest's command line, and what they leave out."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from osqual.mutes.keywords import BadExpression, Keywords, parse_keywords


@dataclass(frozen=True, kw_only=True)
class Expression:
    """A -k. `item` is the index of the list item that it stands in."""

    text: str
    item: int
    keywords: Keywords | None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A file or test that is named."""

    name: str
    item: int


@dataclass(frozen=True, kw_only=True)
class TestsToRun:
    """What the list asks for. Of several expressions only the last counts, as in pytest."""

    __test__ = False  # not a pytest class

    expressions: tuple[Expression, ...] = ()
    chosen: tuple[Named, ...] = ()
    """Files and tests picked by hand: nothing else is run."""
    deselected: tuple[Named, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()
    """Items that are no words of a command line."""

    @property
    def expression(self) -> Expression | None:
        """The one that counts."""
        return self.expressions[-1] if self.expressions else None

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that are chosen as a whole."""
        return tuple(named.name for named in self.chosen if "::" not in named.name)


def read_tests_to_run(items: Sequence[str]) -> TestsToRun:
    """Read the list as the test command does: each item is split into words."""
    expressions: list[Expression] = []
    chosen: list[Named] = []
    deselected: list[Named] = []
    problems: list[tuple[int, str]] = []
    pending = ""
    for index, words in _words(items, problems):
        for word in words:
            if pending:
                option, value, pending = pending, word, ""
            else:
                option, value = option_of(word)
                if option and not value:
                    pending = option
                    continue
            if option == "-k":
                expressions.append(_expression(value, index))
            elif option in ("--deselect", "--ignore"):
                deselected.append(Named(name=value, item=index))
            elif not option and not value.startswith("-"):
                chosen.append(Named(name=value, item=index))
    if pending == "-k":
        problems.append((len(items) - 1, "-k needs an expression"))
    return TestsToRun(
        expressions=tuple(expressions),
        chosen=tuple(chosen),
        deselected=tuple(deselected),
        problems=tuple(problems),
    )


def _words(
    items: Sequence[str], problems: list[tuple[int, str]]
) -> Iterator[tuple[int, list[str]]]:
    for index, item in enumerate(items):
        try:
            yield index, shlex.split(item)
        except ValueError as error:
            problems.append((index, f"cannot be split into words: {error}"))


# Options of pytest whose value is a word of its own, so that it is not taken for a file.
_WITH_VALUE = ("-k", "-m", "-p", "-o", "-c", "-n", "--deselect", "--ignore", "--maxfail", "--tb")


def option_of(word: str) -> tuple[str, str]:
    """An option and its value; no option for a plain word."""
    for option in _WITH_VALUE:
        if word == option:
            return option, ""
        if option.startswith("--") and word.startswith(f"{option}="):
            return option, word.removeprefix(f"{option}=")
        if not option.startswith("--") and word.startswith(option) and not word.startswith("--"):
            return option, word.removeprefix(option).removeprefix("=")
    return "", word


def _expression(text: str, item: int) -> Expression:
    try:
        return Expression(text=text, item=item, keywords=parse_keywords(text))
    except BadExpression as error:
        return Expression(text=text, item=item, keywords=None, problem=str(error))
