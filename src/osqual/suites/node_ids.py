"""What pytest calls a test, its node id: listed, chosen exactly, and found again in JUnit."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from osqual.model import TestResult
from osqual.mutes.to_run import option_of

_ID = re.compile(r"^([\w./-]+\.py::\S.*?)\s*$", re.MULTILINE)


def listed_ids(output: str) -> tuple[str, ...]:
    """The ids that `pytest --collect-only` prints when it is told to be quiet."""
    return tuple(dict.fromkeys(_ID.findall(output)))


def leaving_out(unwanted: Collection[str], ids: Sequence[str], words: Sequence[str]) -> list[str]:
    """The words of a command line with those that leave out exactly these tests.

    pytest deselects whatever *begins* like an id: where that would take a neighbour along
    (`test_vip` and `test_vip_ipv6`), the tests to run are named one by one instead.
    """
    rest = [test for test in ids if test not in unwanted]
    if any(test.startswith(tuple(unwanted)) for test in rest):
        return naming(rest, words)
    return [*words, *(f"--deselect={test}" for test in ids if test in unwanted)]


def naming(wanted: Iterable[str], words: Sequence[str]) -> list[str]:
    """The words of a command line with these tests in place of what they name."""
    kept, pending = [], False
    for word in words:
        option, value = ("", "") if pending else option_of(word)
        if pending or option or word.startswith("-"):
            kept.append(word)
        pending = bool(option) and not value
    return [*kept, *wanted]


def with_node_ids(results: Iterable[TestResult], ids: Iterable[str]) -> tuple[TestResult, ...]:
    """The results by the ids of their tests, where they stand under JUnit's names for them."""
    known = {junit_name(test): test for test in ids}
    return tuple(
        replace(result, test_id=known.get(result.test_id, result.test_id)) for result in results
    )


def junit_name(node_id: str) -> str:
    """What a report makes of an id: `a.test_b.C::test_d[1]` of `a/test_b.py::C::test_d[1]`."""
    path, bracket, parameters = node_id.partition("[")
    file, *classes, test = path.split("::")
    place = ".".join([file.removesuffix(".py").replace("/", "."), *classes])
    return " ".join(f"{place}::{test}{bracket}{parameters}".split())
