"""Every rule, by its code. A code is never given to another rule."""

import re
from collections.abc import Iterable, Mapping
from functools import partial

from osqual.errors import UsageError
from osqual.lint.finding import Rule, warning
from osqual.lint.ignoring import useless_comments
from osqual.lint.rules import (
    docker,
    files,
    images,
    installer,
    muting,
    profiles,
    published,
    scripts,
    security,
    selinux,
    sharing,
    suites,
)

_TOPICS = (
    files,
    images,
    installer,
    docker,
    selinux,
    published,
    suites,
    muting,
    profiles,
    security,
    scripts,
    sharing,
)

_RULES = tuple(rule for topic in _TOPICS for rule in topic.RULES)
_CODES = frozenset(["OSQ001", *(rule.code for rule in _RULES)])

RULES: Mapping[str, Rule] = {
    rule.code: rule
    for rule in (
        warning("OSQ001", "Ignore comment without effect", partial(useless_comments, known=_CODES)),
        *_RULES,
    )
}


def choose_rules(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The rules that are selected (all, without a wish) and not ignored, by code or its beginning.

    Raises UsageError for a wish that means no rule.
    """
    chosen = set(RULES) if not (wanted := list(select)) else _codes(wanted)
    return tuple(RULES[code] for code in RULES if code in chosen - _codes(ignore))


def _codes(wishes: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for wish in (part.strip() for text in wishes for part in text.split(",") if part.strip()):
        codes = codes_of(wish)
        if not codes:
            raise UsageError(
                f"{wish!r} is not the code of a rule.",
                resolution="`osqual lint --rules` lists them; OSQ2 means all that begin like that",
            )
        found.update(codes)
    return found


def codes_of(wish: str) -> tuple[str, ...]:
    """The codes that a wish means: one, or all with that beginning."""
    wish = wish.upper()
    if not re.fullmatch(r"OSQ[0-9]{0,3}", wish):
        return ()
    return tuple(code for code in RULES if code.startswith(wish))
