"""Layout patterns: from path to dimensions and back."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.catalogue.layout import Layout
from osqual.conventions import DCOS_IMAGES_LAYOUT
from osqual.errors import InvalidInput

DCOS = Layout(pattern=DCOS_IMAGES_LAYOUT)


def test_a_path_of_the_original_names_its_dimensions() -> None:
    assert DCOS.match("centos/7.6/aws/DCOS-1.14.0-2.0/docker-18.09.2-ce/selinux_disabled") == {
        "os": "centos",
        "os_version": "7.6",
        "platform": "aws",
        "product": "DCOS",
        "release": "1.14.0-2.0",
        "docker": "18.09.2-ce",
        "variant": "selinux_disabled",
    }


def test_an_optional_part_may_be_absent() -> None:
    found = DCOS.match("flatcar-linux/2345.3.1/aws/DCOS-2.1.0/docker-18.06.3")
    assert found is not None
    assert "variant" not in found
    assert DCOS.optional == {"variant"}


@pytest.mark.parametrize(
    "path",
    [
        "oracle-linux/utils",
        "centos/7.6/aws/DCOS-2.0.0",
        "centos/7.6/aws/DCOS/docker-1",
        "centos/7.6/aws/DCOS-2.0.0/podman-1",
        "centos/7.6/aws/DCOS-2.0.0/docker-",
        "centos/7.6/aws/DCOS-2.0.0/docker-1/a/b",
        ".git/7.6/aws/DCOS-2.0.0/docker-1",
        "centos//aws/DCOS-2.0.0/docker-1",
        "centos/7.6/aws/DCOS-2.0.0/docker-1\n",
        "centos/7.6/aws/DCOS-2.0.0/docker-1\udcff",
        "",
    ],
)
def test_look_alikes_do_not_match(path: str) -> None:
    assert DCOS.match(path) is None


@pytest.mark.parametrize(
    ("pattern", "path", "dimensions"),
    [
        ("{a}-{b}", "x-y-z", {"a": "x", "b": "y-z"}),
        ("{a}[-{b}]", "x-y", {"a": "x", "b": "y"}),
        ("{a}[-{b}]", "x", {"a": "x"}),
        ("v{a}[/{b}[/{c}]]", "v1/2/3", {"a": "1", "b": "2", "c": "3"}),
        ("v{a}[/{b}[/{c}]]", "v1/2", {"a": "1", "b": "2"}),
        ("images/{os}.{arch}", "images/debian.amd64", {"os": "debian", "arch": "amd64"}),
        ("[{team}/]os-{os}", "infra/os-debian", {"team": "infra", "os": "debian"}),
        ("[{team}/]os-{os}", "os-debian", {"os": "debian"}),
    ],
)
def test_other_patterns(pattern: str, path: str, dimensions: dict[str, str]) -> None:
    layout = Layout(pattern=pattern)
    assert layout.match(path) == dimensions
    assert layout.format(dimensions) == path


@pytest.mark.parametrize(
    "pattern",
    [
        *["", "a/b", "{a}//{b}", "/{a}", "{a}/", "{a}{b}", "{a}/{a}", "{a", "a}", "{A}", "[{a}"],
        *["{a}]", "../{a}", "{a}/./{b}", "{a}" + "[/{b}" * 20 + "]" * 20, "[{a}]", "]{a}["],
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="layout"):
        Layout(pattern=pattern)


@pytest.mark.parametrize(
    "dimensions",
    [
        {"os": "centos"},
        {
            "os": "a/b",
            "os_version": "1",
            "platform": "p",
            "product": "X",
            "release": "1",
            "docker": "1",
        },
        {
            "os": "a",
            "os_version": "1",
            "platform": "p",
            "product": "X-Y",
            "release": "1",
            "docker": "1",
        },
        {
            "os": "..",
            "os_version": "1",
            "platform": "p",
            "product": "X",
            "release": "1",
            "docker": "1",
        },
    ],
)
def test_values_that_no_path_can_say_are_refused(dimensions: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="No path"):
        DCOS.format(dimensions)


NAME = st.text("abz019._", min_size=1, max_size=6).filter(lambda text: not text.startswith("."))


@given(
    st.fixed_dictionaries(
        {
            "os": NAME,
            "os_version": NAME,
            "platform": NAME,
            "product": NAME,
            "release": NAME,
            "docker": NAME,
        },
        optional={"variant": NAME},
    )
)
def test_formatting_and_matching_are_each_others_inverse(dimensions: dict[str, str]) -> None:
    assert DCOS.match(DCOS.format(dimensions)) == dimensions


@given(st.text(max_size=60))
def test_no_pattern_and_no_path_does_anything_but_match_or_be_refused(text: str) -> None:
    DCOS.match(text)
    with suppress(InvalidInput):
        Layout(pattern=text).match(text)
