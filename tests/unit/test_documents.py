"""Reading what others wrote: bounded, and every error with its place."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.errors import InvalidFile
from osqual.formats.documents import (
    MAX_BYTES,
    json_line,
    load_json,
    load_yaml,
    read_document,
    resolve_inside,
    yaml_line,
)

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)
MERGE_BOMB = "m0: &m0 {k: v}\n" + "".join(
    f"m{n}: &m{n}\n  <<: [*m{n - 1}, *m{n - 1}]\n" for n in range(1, 40)
)


def test_the_text_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("é\n")
    assert read_document(tmp_path, "a") == "é\n"


def test_what_is_no_text_of_the_catalogue_is_refused(tmp_path: Path) -> None:
    root = (tmp_path / "root").resolve()
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "directory").mkdir()
    (root / "latin").write_bytes(b"ok\nfine\ncaf\xe9\n")
    os.truncate(os.open(root / "large", os.O_CREAT | os.O_WRONLY), 50 * 1024 * 1024)
    os.mkfifo(root / "pipe")
    for name, target in {
        "out": tmp_path / "secret",
        "up": Path("../secret"),
        "dangling": root / "nowhere",
        "cycle": root / "cycle",
        "to_directory": root / "directory",
        "to_pipe": root / "pipe",
        "device": Path("/dev/zero"),
    }.items():
        (root / name).symlink_to(target)
    expected = {
        "missing": "cannot be read",
        "directory": "not a regular file",
        "to_directory": "not a regular file",
        "latin": "latin:3: is not UTF-8",
        "large": f"the limit is {MAX_BYTES}",
        "pipe": "not a regular file",
        "to_pipe": "not a regular file",
        "out": "out of the catalogue",
        "up": "out of the catalogue",
        "device": "out of the catalogue",
        "dangling": "leads nowhere",
        "cycle": "leads nowhere",
    }
    for name, message in expected.items():
        with pytest.raises(InvalidFile, match=message) as caught:
            read_document(root, name)
        assert caught.value.source == name


def test_links_inside_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("a")
    assert read_document(tmp_path, "b") == "x"
    assert resolve_inside(tmp_path, "b") == tmp_path / "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b": }', "f:2: not valid JSON"),
        ("", "f:1: not valid JSON"),
        ("[" * 100_000, "nested more than 100"),
        ("[" * 150 + "]" * 150, "nested more than 100"),
        ("1" * 5000, "not usable JSON"),
        ('{"a": "\\ud800"}', "half a character"),
    ],
)
def test_broken_json(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        load_json(text, "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [", "f:2: not valid YAML"),
        ("a: 1\n\tb: 2", "f:2: not valid YAML"),
        (BOMB, "expand to too much"),
        (MERGE_BOMB, "expand to too much"),
        ("a: &a [*a]", "contains itself"),
        ("a: &a {<<: *a}", "contains itself"),
        ("[" * 200 + "]" * 200, "nested more than 100"),
        ("{a: " * 50_000, "f"),
        ("- " * 50_000, "nested more than 100"),
        ("".join(f"{' ' * n}a:\n" for n in range(300)), "nested more than 100"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system [id]", "not valid YAML"),
        ("? [a]\n: b", "not valid YAML"),
        ("a: 2020-99-99", "not usable YAML"),
        ("a: *unknown", "not valid YAML"),
        ("\x00", "not usable YAML"),
    ],
    ids=lambda value: value[:20],
)
def test_broken_yaml(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        load_yaml(text, "f")


def test_small_anchors_are_fine() -> None:
    assert load_yaml("a: &a [1]\nb: *a\n", "f") == {"a": [1], "b": [1]}


def test_a_key_is_found_by_its_line() -> None:
    text = '{\n "a": {"b": [\n  1,\n  {"c": 2}\n ]},\n "d\\n": 3\n}'
    assert json_line(text, ["a"]) == 2
    assert json_line(text, ["a", "b", 1, "c"]) == 4
    assert json_line(text, ["d\n"]) == 6
    assert json_line(text, ["x"]) == 0
    text = "a:\n  b:\n    - 1\n    - c: 2\n"
    assert yaml_line(text, ["a", "b", 1, "c"]) == 4
    assert yaml_line(text, ["x"]) == 0


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON_VALUES, st.sampled_from([None, 1, 3]))
def test_every_member_of_any_json_has_a_line(value: object, indent: int | None) -> None:

    text = json.dumps(value, indent=indent)
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    )
    for key in keys:
        line = json_line(text, [key])
        assert (line == 1) if indent is None else (1 < line <= text.count("\n") + 1)


@given(st.text(max_size=200) | st.text("{}[]:,-&*!|>'\"\n ab<#%?", max_size=80))
def test_any_text_is_read_or_refused_with_its_name(text: str) -> None:
    for load in (load_json, load_yaml):
        try:
            load(text, "the-file")
            problem = "the-file"
        except InvalidFile as error:
            problem = error.brief
        assert problem.startswith("the-file")
