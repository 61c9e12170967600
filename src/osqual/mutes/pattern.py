"""Patterns that name tests, by whole names and never by a part of one."""

import re
from collections.abc import Mapping
from functools import lru_cache

_PARAMETERS = re.compile(r"\[.*\]\Z", re.DOTALL)
_WILDCARDS: Mapping[str, str] = {"**": ".*", "*": "[^/:]*", "?": "[^/:]"}


def matches_test(pattern: str, test_id: str) -> bool:
    """Whether a pattern names a test: never by a part of a name.

    The whole id matches (`tests/test_net.py::TestVip::test_up[tcp]`), or its end after a `/` or
    `::` (`test_net.py::TestVip::test_up`, `test_up`). Without a `[` in the pattern, all parameters
    of a test match. `*` and `?` stop at `/` and `:`, `**` does not.
    """
    if "[" not in pattern:
        test_id = _PARAMETERS.sub("", test_id)
    matcher = _matcher(pattern)
    return any(matcher.fullmatch(end) for end in _ends(test_id))


def _ends(test_id: str) -> list[str]:
    name = _PARAMETERS.sub("", test_id)  # separators in parameters are none
    return [test_id, *(test_id[found.end() :] for found in re.finditer("/|::", name))]


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    return re.compile("".join(_WILDCARDS.get(part, re.escape(part)) for part in parts), re.DOTALL)
