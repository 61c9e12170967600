"""Profiles: the plain reading is the library's reading, and node counts are checked."""

import hcl2
import pytest
from hcl2.utils import SerializationOptions
from hypothesis import given
from hypothesis import strategies as st

from osqual.catalogue.profile import parse_plain_profile, parse_profile, topology_of
from osqual.errors import InvalidFile
from osqual.model import Topology

ORIGINAL = """\
#aws_region = "us-west-2"
aws_availability_zone = "us-west-2a"

ssh_key_name = "dcos-images" # who
// how many
num_of_masters = "1"
num_of_private_agents = "5"
enable_os_setup_script = false
retries=3\r
"""


def test_the_lines_of_the_original_are_plain() -> None:
    assert parse_plain_profile(ORIGINAL) == {
        "aws_availability_zone": "us-west-2a",
        "ssh_key_name": "dcos-images",
        "num_of_masters": "1",
        "num_of_private_agents": "5",
        "enable_os_setup_script": False,
        "retries": 3,
    }


def test_lists_and_maps_go_to_the_library() -> None:
    text = 'tags={owner = "me", expiration = "10h"}\nzones = [\n "a",\n "b",\n]\nx = 1.5\n'
    assert parse_plain_profile(text) is None
    assert parse_profile(text, "f") == {
        "tags": {"owner": "me", "expiration": "10h"},
        "zones": ["a", "b"],
        "x": 1.5,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = \n", "f:2: not a valid variable file"),
        ("a = 1\nb = other.thing\n", "f:2: b: must be a plain value"),
        ('a = "${other}"', "f:1: a: must be a plain value"),
        ('a = [file("/etc/passwd")]', "f:1: a: must be a plain value"),
        ('resource "x" "y" {\n}\n', "must be a plain value"),
        ("\ufeffa = 1", "f:1: not a valid variable file"),
        ("[" * 3000, "f"),
        ("a = " + "[" * 3000, "f"),
        ("= 1", "f:1"),
    ],
)
def test_what_terraform_would_not_take_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        parse_profile(text, "f")


def test_node_counts() -> None:
    assert topology_of({}) == Topology()
    assert topology_of(
        {"num_of_masters": "3", "num_of_private_agents": 0, "num_public_agents": "10"}
    ) == Topology(masters=3, private_agents=0, public_agents=10)


@pytest.mark.parametrize(
    "value", ["0", "-1", "two", "1.5", 1.5, True, None, [], "1001", "9" * 30, "²"]
)
def test_node_counts_that_make_no_sense_name_their_line(value: object) -> None:
    with pytest.raises(InvalidFile, match="f:2: num_of_masters: must be a number of nodes"):
        topology_of({"num_of_masters": value}, 'x = 1\nnum_of_masters = "0"\n', "f")


TOKENS = [
    *'abe_-=#/"{}[],.:0159 \t',
    "\n",
    "\r\n",
    "true",
    "false",
    "null",
    "x = ",
    '"y"',
    "//",
    "${",
    "%{",
]
LINES = st.lists(st.sampled_from(TOKENS), max_size=12).map("".join)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)
ASSIGNMENTS = st.builds(
    "{}{}={}{}{}".format,
    NAMES,
    st.sampled_from(["", " ", "\t"]),
    st.sampled_from(["", " "]),
    st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=8).map(lambda text: f'"{text}"'),
        st.integers(-(10**20), 10**20).map(str),
        st.sampled_from(["true", "false", "null", "007", "-0", "1.0", "0x1", '""']),
    ),
    st.sampled_from(["", " ", " # x", "// x", "#", " /* x */", " y", ","]),
)


@given(st.lists(LINES | ASSIGNMENTS, max_size=5).map("\n".join))
def test_the_plain_reading_is_the_library_s_reading(text: str) -> None:
    plain = parse_plain_profile(text)
    if plain is not None:
        options = SerializationOptions(with_comments=False, strip_string_quotes=True)
        assert plain == hcl2.loads(text, serialization_options=options)
        assert {name: type(value) for name, value in plain.items()} == {
            name: type(value) for name, value in parse_profile(text, "f").items()
        }


@given(st.text(max_size=60) | st.lists(LINES | ASSIGNMENTS, max_size=4).map("\n".join))
def test_any_text_is_read_or_refused_with_its_name(text: str) -> None:
    try:
        topology_of(parse_profile(text, "the-file"), text, "the-file")
        problem = "the-file"
    except InvalidFile as error:
        problem = error.brief
    assert problem.startswith("the-file")
