"""The order of the names that catalogues really use."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.formats.versions import compare_versions, version_key


@pytest.mark.parametrize(
    "ordered",
    [
        ["1.9", "1.10", "1.11.4", "1.11.12"],
        ["2.2.0-alpha", "2.2.0-beta1", "2.2.0-beta2", "2.2.0-rc1", "2.2.0", "2.2.1"],
        ["1.12.0", "1.12.5", "1.12-master", "1.13.0"],
        ["1.13.7", "1.13.7-fix", "1.13.8"],
        ["1.14.0-alpha", "1.14.0-beta", "1.14.0", "1.14.0-2.0", "1.14.1"],
        ["1.13.1.git07f3374", "18.09.2-ce", "18.09.2-ee", "18.09.9-ce", "19.03.5", "19.03.5-ce"],
        ["7.5", "7.10", "8"],
        ["v1.2", "1.3", "v1.10"],
        ["", "1"],
    ],
    ids=lambda names: names[-1],
)
def test_names_of_the_original_sort_as_people_expect(ordered: list[str]) -> None:
    backwards = list(reversed(ordered))
    assert sorted(backwards, key=version_key) == ordered


@pytest.mark.parametrize(("left", "right"), [("2", "2.0.0"), ("2.0-rc1", "2.0.0-rc1"), ("V2", "2")])
def test_trailing_zeros_do_not_count(left: str, right: str) -> None:
    assert compare_versions(left, right) == 0


def test_zero_itself_is_a_version() -> None:
    assert compare_versions("0", "0.1") == -1
    assert compare_versions("0.0", "0") == 0


@given(
    st.lists(st.text(max_size=30) | st.from_regex(r"[0-9]{1,3}(\.[0-9a-z-]{1,5}){0,4}"), max_size=6)
)
def test_any_text_has_a_place_in_one_order(names: list[str]) -> None:
    ordered = sorted(names, key=version_key)
    for left, right in pairwise(ordered):
        assert compare_versions(left, right) <= 0
        assert compare_versions(right, left) >= 0


def test_thousands_of_digits_are_no_problem() -> None:
    assert compare_versions("1." + "9" * 10_000, "1." + "9" * 10_001) == -1
