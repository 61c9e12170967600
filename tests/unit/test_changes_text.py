import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.catalogue.profile import parse_profile
from osqual.changes import json_text, tfvars_text
from osqual.errors import InvalidFile

TEMPLATE = """{
  "variables": {
    "region":         "us-west-2"
  },
  "builders": [
    {
      "type": "amazon-ebs",
      "instance_type": "m5.xlarge",
      "tags": {},
      "ami_regions": [
        "us-east-1",
        "us-west-2"
      ]
    }
  ],
  "provisioners": [ {"type": "shell", "script": "a.sh"}
  ]
}"""


def json_edit(path: list[str | int], value: Any) -> str:
    return json_text.set_value(TEMPLATE, path, value, "packer.json")


def test_only_the_value_changes_in_json() -> None:
    edited = json_edit(["builders", 0, "instance_type"], "m5.2xlarge")
    assert edited == TEMPLATE.replace("m5.xlarge", "m5.2xlarge")
    edited = json_edit(["variables", "region"], "eu")
    assert edited == TEMPLATE.replace('         "us-west-2"\n  },', '         "eu"\n  },')


def test_a_missing_key_is_added_at_the_end_of_its_object() -> None:
    edited = json_edit(["builders", 0, "ebs_optimized"], True)
    assert edited == TEMPLATE.replace(
        '        "us-west-2"\n      ]\n',
        '        "us-west-2"\n      ],\n      "ebs_optimized": true\n',
    )
    assert '"script": "a.sh", "name": "x"}' in json_edit(["provisioners", 0, "name"], "x")
    assert '"region":         "us-west-2",\n    "zone": "a"' in json_edit(
        ["variables", "zone"], "a"
    )
    assert '"tags": {\n        "owner": "me"\n      },' in json_edit(
        ["builders", 0, "tags", "owner"], "me"
    )
    added = json.loads(json_edit(["post-processors", "made"], [1, {"a": 2}]))
    assert added["post-processors"] == {"made": [1, {"a": 2}]}


def test_a_key_that_stands_twice_is_edited_where_it_counts_and_unset_everywhere() -> None:
    text = '{"a": 1, "b": 2, "a": 3}'
    assert json_text.set_value(text, ["a"], 4, "x.json") == '{"a": 1, "b": 2, "a": 4}'
    assert json_text.unset_value(text, ["a"], "x.json") == '{"b": 2}'


def test_unset_takes_the_line_with_it() -> None:
    edited = json_text.unset_value(TEMPLATE, ["builders", 0, "instance_type"], "x")
    assert edited == TEMPLATE.replace('      "instance_type": "m5.xlarge",\n', "")
    edited = json_text.unset_value(TEMPLATE, ["builders", 0, "ami_regions", 1], "x")
    assert edited == TEMPLATE.replace('"us-east-1",\n        "us-west-2"', '"us-east-1"')
    assert json_text.unset_value(TEMPLATE, ["variables", "nothing"], "x") == TEMPLATE


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (["builders", "type"], "is a list"),
        (["builders", 7, "type"], "has 1 items"),
        (["builders", 0, "type", "x"], "is a plain value"),
    ],
)
def test_a_place_that_cannot_be_is_refused_with_its_line(
    path: list[str | int], message: str
) -> None:
    with pytest.raises(InvalidFile, match=message) as caught:
        json_edit(path, "x")
    assert caught.value.line > 0


KEYS = st.text(alphabet='ab"\\\né', max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(alphabet='x"\\{}[],:é', max_size=4)
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_size=4,
)


def places(data: Any, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [above] if above else []
    if isinstance(data, dict):
        found += [place for key, item in data.items() for place in places(item, (*above, key))]
    elif isinstance(data, list):
        found += [place for i, item in enumerate(data) for place in places(item, (*above, i))]
    return found


@given(data=st.data(), document=DOCUMENTS, indent=st.sampled_from([None, 1, 2, "\t"]))
def test_any_json_can_be_edited_and_only_there(
    data: st.DataObject, document: Any, indent: Any
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=data.draw(st.booleans()))
    value = data.draw(SCALARS | st.lists(SCALARS, max_size=2))
    place = data.draw(st.sampled_from(places(document) or [("new",)]))
    json_text.set_value(text, place, value, "f")  # proves itself
    json_text.unset_value(text, place, "f")
    added = json.loads(json_text.set_value(text, ["added", "inner"], value, "f"))
    assert added == {**document, "added": {"inner": value}}


PROFILE = """#aws_region = "us-west-2"

aws_master_instance_type = "m4.xlarge"   # the masters
num_of_masters   = "1"
tags={owner = "dcos-images", expiration = "10h"}
zones = ["us-west-2a"]
labels = {
  team  = "core" # ours
  "a.b" = "c",
}
notes = <<EOF
owner = "not me"
EOF
enable = false
owner = "dcos-images\""""


def profile_edit(path: list[str | int], value: Any) -> str:
    return tfvars_text.set_value(PROFILE, path, value, "p.tfvars")


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (["aws_master_instance_type"], "m5.2xlarge", '"m4.xlarge"', '"m5.2xlarge"'),
        (["num_of_masters"], "3", '   = "1"', '   = "3"'),
        (["tags", "expiration"], "3h", '"10h"', '"3h"'),
        (["tags", "extra"], "x", '"10h"}', '"10h", extra = "x"}'),
        (["zones", 0], "us-east-1b", '"us-west-2a"]', '"us-east-1b"]'),
        (["labels", "a.b"], "d", '"c"', '"d"'),
        (["labels", "new"], "d", '= "c",', '= "c",\n  new = "d"'),
        (["enable"], True, "false", "true"),
        (["notes"], "short", '<<EOF\nowner = "not me"\nEOF', '"short"'),
        (["owner"], 'q"x', 'false\nowner = "dcos-images"', 'false\nowner = "q\\"x"'),
        (["added"], ["a", 1], 'false\nowner = "dcos-images"', None),
    ],
)
def test_only_the_value_changes_in_a_profile(
    path: list[str | int], value: Any, old: str, new: str | None
) -> None:
    assert PROFILE.count(old) == 1
    expected = PROFILE + '\nadded = ["a", 1]\n' if new is None else PROFILE.replace(old, new)
    assert profile_edit(path, value) == expected


def test_a_variable_that_is_set_twice_is_edited_where_it_counts() -> None:
    text = 'a = "x"\nb = 1\na = "y"\n'
    assert tfvars_text.set_value(text, ["a"], "z", "p") == 'a = "x"\nb = 1\na = "z"\n'
    assert tfvars_text.unset_value(text, ["a"], "p") == "b = 1\n"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (
            ["aws_master_instance_type"],
            'aws_master_instance_type = "m4.xlarge"   # the masters\n',
            "",
        ),
        (["tags", "owner"], 'owner = "dcos-images", exp', "exp"),
        (["tags", "expiration"], ', expiration = "10h"', ""),
        (["labels", "team"], '  team  = "core" # ours\n', ""),
        (["notes"], 'notes = <<EOF\nowner = "not me"\nEOF\n', ""),
        (["nothing"], "", ""),
    ],
)
def test_unset_takes_the_line_of_a_variable(path: list[str | int], old: str, new: str) -> None:
    expected = PROFILE.replace(old, new) if old else PROFILE
    assert tfvars_text.unset_value(PROFILE, path, "p.tfvars") == expected


def test_line_ends_are_kept() -> None:
    text = 'a = "x"\r\nb = 1\r\n'
    assert tfvars_text.set_value(text, ["c"], 2, "p") == 'a = "x"\r\nb = 1\r\nc = 2\r\n'
    assert tfvars_text.unset_value(text, ["a"], "p") == "b = 1\r\n"


@pytest.mark.parametrize("value", ["${var.x}", "%{ if }", ["a", "${b}"]])
def test_a_profile_takes_no_references(value: Any) -> None:
    with pytest.raises(InvalidFile, match="holds no"):
        profile_edit(["owner"], value)


@pytest.mark.parametrize("path", [["owner", "x"], ["zones", 3], ["zones", "x"], ["tags", 0]])
def test_a_place_that_cannot_be_in_a_profile_is_refused(path: list[str | int]) -> None:
    with pytest.raises(InvalidFile):
        profile_edit(path, "x")


WORDS = st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=3)
TEXTS = st.text(alphabet='x y"\\#/{}[],=é', max_size=6)
VALUES = st.recursive(
    st.booleans() | st.integers(0, 99) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data(), variables=st.dictionaries(WORDS, VALUES, min_size=1, max_size=4))
def test_any_profile_can_be_edited_and_only_there(data: st.DataObject, variables: Any) -> None:
    text = "# start\n"
    for name, value in variables.items():
        text = tfvars_text.set_value(text, [name], value, "p")
    assert parse_profile(text, "p") == variables
    place = data.draw(st.sampled_from(places(variables)))
    tfvars_text.set_value(text, place, data.draw(VALUES), "p")  # proves itself
    tfvars_text.unset_value(text, place, "p")
