"""Comparing version-like names: 1.9 before 1.10, alpha, beta and rc before their final.

Any text has a place in the order, so that directory names such as 18.09.9-ce or 1.12-master sort.
"""

import re

_TOKEN = re.compile(r"[0-9]+|[^\W\d_]+")
_PRE_RELEASES = {
    "dev": 0,
    "snapshot": 0,
    "nightly": 0,
    "a": 1,
    "alpha": 1,
    "b": 2,
    "beta": 2,
    "c": 3,
    "pre": 3,
    "preview": 3,
    "rc": 3,
}
_BRANCHES = frozenset({"master", "main", "latest", "edge"})

# At one position of a name: a pre-release comes before the name's end, then a word (an edition, a
# fix), then a further number; the head of a branch is newer than all of its releases.
_PRE_RELEASE, _END, _WORD, _NUMBER, _BRANCH = range(5)


def version_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key. Trailing zeros do not count: 2, 2.0 and 2.0.0 have one key."""
    lowered = text.lower()
    if re.match(r"v[0-9]", lowered):
        lowered = lowered[1:]
    tokens = [_token(match[0]) for match in _TOKEN.finditer(lowered)]
    tokens.append((_END, 0, ""))
    key: list[tuple[int, int, str]] = []
    for token in tokens:
        if token[0] != _NUMBER:
            while key and key[-1] == (_NUMBER, 0, "") and len(key) > 1:
                key.pop()
        key.append(token)
    return tuple(key)


def _token(word: str) -> tuple[int, int, str]:
    if word.isascii() and word.isdigit():
        digits = word.lstrip("0")  # compared by length, then digit by digit: no size limit
        return (_NUMBER, len(digits), digits)
    if word in _PRE_RELEASES:
        return (_PRE_RELEASE, _PRE_RELEASES[word], "")
    return (_BRANCH if word in _BRANCHES else _WORD, 0, word)


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1 as `left` comes before, equals or comes after `right`."""
    left_key, right_key = version_key(left), version_key(right)
    return (left_key > right_key) - (left_key < right_key)
