"""Reading published files: images, build history, record."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from osqual.catalogue.published import parse_history, parse_images, parse_plain_images, parse_record
from osqual.errors import InvalidFile
from osqual.model import Verdict

DIGEST = "sha256:" + "0" * 64


def test_images_by_region() -> None:
    assert parse_images("us-east-1: ami-046bb1d\nus-west-2: ami-0561\n", "f") == {
        "us-east-1": "ami-046bb1d",
        "us-west-2": "ami-0561",
    }
    assert parse_images(f"local: {DIGEST}\n", "f") == {"local": DIGEST}
    assert parse_images("", "f") == {}
    assert parse_images("# none yet\n", "f") == {}
    assert parse_images("{eu-west-1: 'ami-1'}", "f") == {"eu-west-1": "ami-1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "f:1: must be a mapping"),
        ("us-east-1: ami-1\nus-west-2: 12\n", "f:2: us-west-2: must map"),
        ("us-east-1: ami-1\n7: ami-1\n", "f:2: 7: must map"),
        ("us-east-1:\n", "f:1: us-east-1: must map"),
        ("us-east-1: ami-1\n us-west-2: ami-2\n", "f:2: not valid YAML"),
    ],
)
def test_broken_images_name_line_and_key(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        parse_images(text, "f")


LINE = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(
        ["us-east-1", "local", "us-gov-west-1", "no", "1e3", "", "a-b", "us-east-1: x"]
    ),
    st.sampled_from([": ", ":", " : ", ":  "]),
    st.sampled_from(
        ["ami-0a1", DIGEST, "ami-zz", "12", "true", "'ami-1'", "", "ami-1 # old", "1:2"]
    ),
    st.sampled_from(["", " ", "\r", "\t"]),
)


@given(st.lists(LINE | st.text(max_size=10), max_size=4).map("\n".join))
def test_the_plain_reading_is_that_of_yaml(text: str) -> None:
    plain = parse_plain_images(text)
    if plain is not None:
        assert plain == yaml.load(text, Loader=yaml.CSafeLoader)


def history(*builds: dict[str, Any]) -> str:
    return json.dumps({"builds": list(builds), "last_run_uuid": "u"}, indent=1)


BUILD = {
    "name": "amazon-ebs",
    "builder_type": "amazon-ebs",
    "build_time": 1570104506,
    "files": None,
    "artifact_id": "us-east-1:ami-1,us-west-2:ami-2",
    "packer_run_uuid": "u",
}


def test_builds_in_order() -> None:
    older, newer = parse_history(
        history(BUILD, {**BUILD, "artifact_id": DIGEST, "build_time": 1570104507}), "f"
    )
    assert older.images == {"us-east-1": "ami-1", "us-west-2": "ami-2"}
    assert older.time.isoformat() == "2019-10-03T12:08:26+00:00"
    assert newer.images == {"local": DIGEST}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "f:1: must be an object with a list `builds`"),
        ("{}", "f:1: must be an object"),
        (history(BUILD, {}), r"f:\d+: builds\[1\]: is not a build"),
        (history({**BUILD, "build_time": "now"}), r"f:3: builds\[0\]"),
        (history({**BUILD, "build_time": 1e300}), r"f:3: builds\[0\]"),
        (history({**BUILD, "artifact_id": None}), r"f:3: builds\[0\]"),
        ('{"builds": [1]}', r"f:1: builds\[0\]"),
    ],
)
def test_broken_history(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        parse_history(text, "f")


def test_a_record() -> None:
    record = parse_record(
        json.dumps(
            {
                "verdict": "rejected",
                "ended_at": "2026-01-01T00:00:00Z",
                "run": "r1",
                "images": {"local": DIGEST},
                "recipe": {"digest": "abc", "inputs": {"base": "1"}},
                "reasons": ["1 test failed"],
                "something_newer": 1,
            }
        ),
        "f",
    )
    assert record.verdict is Verdict.REJECTED
    assert record.images == {"local": DIGEST}
    assert record.recipe_inputs == {"base": "1"}
    assert record.inputs == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "f:1: must be an object"),
        ('{\n"verdict": "fine"}', "f:2: verdict: must be one of qualified"),
        ("{}", "verdict: must be one of"),
        ('{"verdict": "qualified",\n"images": []}', "f:2: images: must map"),
        ('{"verdict": "qualified",\n"recipe": {"inputs": {"a": 1}}}', "f:2: recipe.inputs"),
        ('{"verdict": "qualified", "recipe": 1}', "f:1: recipe"),
        ('{"verdict": "qualified", "reasons": 1}', "f:1: reasons"),
    ],
)
def test_broken_records(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        parse_record(text, "f")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["builds", "verdict", "images", "recipe", "inputs", "artifact_id", "x"])
            | st.sampled_from(["build_time", "reasons", "digest", "us-east-1"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused_with_its_name(value: object) -> None:
    text = json.dumps(value)
    for parse in (parse_images, parse_history, parse_record):
        try:
            parse(text, "the-file")
            problem = "the-file"
        except InvalidFile as error:
            problem = error.brief
        assert problem.startswith("the-file")
