"""pytest's -k expressions: what they leave out. `not a` leaves out every name that contains a.

Names are compared as pytest does, without regard to case, anywhere in the name.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*(?:(?P<word>[\w:+\-.\[\]\\/=]+)|(?P<paren>[()]))")
_MAX_TOKENS = 2_000
_MAX_DEPTH = 50

Holds = Callable[[str], bool]
_Node = tuple[str, tuple["_Node | str", ...]]


class BadExpression(ValueError):
    """The text is not a -k expression."""


@dataclass(frozen=True, kw_only=True)
class Keywords:
    """A parsed expression. `words` are its names, in order, without repeats."""

    text: str
    words: tuple[str, ...]
    node: _Node

    def holds_for(self, is_true: Holds) -> bool:
        """What the expression gives when each word is true or not."""
        return _evaluate(self.node, is_true)

    def runs(self, name: str) -> bool:
        """Whether a test of this name is run."""
        lowered = name.lower()
        return self.holds_for(lambda word: word.lower() in lowered)

    @property
    def excludes(self) -> tuple[str, ...]:
        """The words that leave out whatever contains them, in an expression that runs the rest."""
        if not self.runs_the_rest:
            return ()
        return tuple(word for word in self.words if not self.holds_for(word.__eq__))

    @property
    def runs_the_rest(self) -> bool:
        """Whether a test with none of the words in its name is run."""
        return self.holds_for(lambda _: False)

    def also_hidden(self, word: str, known: Iterable[str]) -> tuple[str, ...]:
        """Known names that an excluded word hides although it only is a part of them; sorted."""
        lowered = word.lower()
        return tuple(sorted({n for n in known if lowered in n.lower() and lowered != n.lower()}))


def parse_keywords(text: str) -> Keywords:
    """Parse an expression of `and`, `or`, `not` and parentheses. Raises BadExpression."""
    tokens = _tokens(text)
    node, rest = _either(tokens, 0, 0)
    if rest != len(tokens):
        raise BadExpression(f"{tokens[rest]!r} is not expected there")
    words = [t for t in tokens if t not in ("and", "or", "not", "(", ")")]
    return Keywords(text=text, words=tuple(dict.fromkeys(words)), node=node)


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadExpression(f"{text[position:].strip()[:20]!r} is not a name")
        tokens.append(match["word"] or match["paren"])
        position = match.end()
    if not tokens or len(tokens) > _MAX_TOKENS:
        raise BadExpression("it is empty" if not tokens else "it is too long")
    return tokens


def _either(tokens: list[str], index: int, depth: int) -> tuple[_Node, int]:
    return _chain(tokens, index, depth, "or", _all_of)


def _all_of(tokens: list[str], index: int, depth: int) -> tuple[_Node, int]:
    return _chain(tokens, index, depth, "and", _term)


def _chain(
    tokens: list[str],
    index: int,
    depth: int,
    operator: str,
    parse: Callable[[list[str], int, int], tuple[_Node, int]],
) -> tuple[_Node, int]:
    first, index = parse(tokens, index, depth)
    parts = [first]
    while index < len(tokens) and tokens[index] == operator:
        part, index = parse(tokens, index + 1, depth)
        parts.append(part)
    return (operator, tuple(parts)) if len(parts) > 1 else first, index


def _term(tokens: list[str], index: int, depth: int) -> tuple[_Node, int]:
    if depth > _MAX_DEPTH:
        raise BadExpression("it is nested too deeply")
    if index >= len(tokens):
        raise BadExpression("a name is missing at its end")
    head = tokens[index]
    if head == "not":
        inner, index = _term(tokens, index + 1, depth + 1)
        return ("not", (inner,)), index
    if head == "(":
        inner, index = _either(tokens, index + 1, depth + 1)
        if index >= len(tokens) or tokens[index] != ")":
            raise BadExpression("a parenthesis is not closed")
        return inner, index + 1
    if head in ("and", "or", ")"):
        raise BadExpression(f"{head!r} is not expected there")
    return ("word", (head,)), index + 1


def _evaluate(node: _Node, is_true: Holds) -> bool:
    operator, parts = node
    if operator == "word":
        return is_true(str(parts[0]))
    values = (_evaluate(part, is_true) for part in parts if isinstance(part, tuple))
    if operator == "not":
        return not any(values)
    return all(values) if operator == "and" else any(values)
