from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from osqual.changes import yaml_text
from osqual.errors import InvalidFile

CONFIG = """# options: packer_build, never
publish_dcos_images_after: integration_tests   # when
run_framework_tests: false
# Muted: see the ticket
tests_to_run:
  # the first
  - -k 'not test_x'
  - "test_a.py" # why
  # the end

# last
run_integration_tests: 'true'"""


def edit(path: list[str | int], value: Any, text: str = CONFIG) -> str:
    return yaml_text.set_value(text, path, value, "c.yaml")


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (["run_framework_tests"], True, "false", "true"),
        (["publish_dcos_images_after"], "never", "integration_tests ", "never "),
        (["tests_to_run", 1], "test_b.py", '"test_a.py"', "test_b.py"),
        (["run_integration_tests"], False, "'true'", "false"),
        (["run_integration_tests"], "no", "'true'", "'no'"),
    ],
)
def test_only_the_value_changes(path: list[str | int], value: Any, old: str, new: str) -> None:
    assert CONFIG.count(old) == 1
    assert edit(path, value) == CONFIG.replace(old, new)


def test_a_new_key_is_added_at_the_end() -> None:
    assert edit(["added"], ["a", 1]) == CONFIG + "\nadded:\n  - a\n  - 1\n"
    assert edit(["a"], 1, "") == "a: 1\n"
    assert edit(["a"], 1, "# only this\n") == "# only this\na: 1\n"
    assert edit(["b"], 1, "a: 1\r\n") == "a: 1\r\nb: 1\r\n"


def test_a_key_without_a_value_gets_one() -> None:
    assert edit(["a"], 1, "a:\nb: 2\n") == "a: 1\nb: 2\n"
    assert edit(["a"], 1, "a: # why\nb: 2\n") == "a: 1 # why\nb: 2\n"


def test_what_is_not_on_lines_of_its_own_goes_through_the_other_way() -> None:
    edited = edit(["tests_to_run"], ["test_c.py"])
    assert yaml.safe_load(edited)["tests_to_run"] == ["test_c.py"]
    for comment in (
        "# options: packer_build, never",
        "# Muted: see the ticket",
        "# when",
        "# last",
    ):
        assert comment in edited
    assert edit(["b"], 2, "{a: 1}\n") == "{a: 1, b: 2}\n"
    assert yaml.safe_load(edit(["a", "c"], 2, "a:\n  b: 1 # x\n")) == {"a": {"b": 1, "c": 2}}
    assert edit(["a"], "x", "a: |\n  long\n  text\nb: 1\n") == "a: x\nb: 1\n"


def test_unset_takes_the_lines_and_leaves_the_comments() -> None:
    edited = yaml_text.unset_value(CONFIG, ["tests_to_run"], "c")
    kept = CONFIG.replace("tests_to_run:\n", "")
    for gone in ("  - -k 'not test_x'\n", '  - "test_a.py" # why\n'):
        kept = kept.replace(gone, "")
    assert edited == kept
    assert "tests_to_run" not in yaml.safe_load(edited)
    for comment in ("# Muted: see the ticket", "# the end", "# last"):
        assert comment in edited
    assert yaml_text.unset_value(CONFIG, ["tests_to_run", 1], "c") == CONFIG.replace(
        '  - "test_a.py" # why\n', ""
    )
    assert yaml_text.unset_value(CONFIG, ["run_integration_tests"], "c") == CONFIG.removesuffix(
        "run_integration_tests: 'true'"
    )
    assert yaml_text.unset_value(CONFIG, ["nothing"], "c") == CONFIG
    assert yaml_text.unset_value("a: {b: 1}\n", ["a", "b"], "c") == "a: {}\n"
    assert yaml_text.unset_value("a:\n  b: 1\n", ["a", "b"], "c") == "a:\n"


ENTRY = {"test": "test_x", "scope": {"os": "rhel"}, "reason": "it: breaks # here"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# mutes\n",
        "- test: a\n",
        "- test: a # why",
        "# x\n  - test: a\n    reason: b\n",
        "[]\n",
        "- {test: a}\n# the end\n",
        "- test: a\r\n",
    ],
)
def test_an_entry_is_added_to_a_list(text: str) -> None:
    edited = yaml_text.append_item(text, ENTRY, "mutes.yaml")
    assert yaml.safe_load(edited) == [*(yaml.safe_load(text) or []), ENTRY]
    assert text.strip() == "[]" or edited.startswith(text)
    assert ("\r\n" in text) == ("\r\n" in edited)


@pytest.mark.parametrize(
    ("text", "path"),
    [("a: [", ["a"]), ("a: 1", ["a", "b"]), ("- x", ["a"]), ("a: [1]", ["a", 5])],
)
def test_a_place_that_cannot_be_is_refused(text: str, path: list[str | int]) -> None:
    with pytest.raises(InvalidFile):
        edit(path, "x", text)
    with pytest.raises(InvalidFile):
        yaml_text.append_item("a: 1\n", ENTRY, "mutes.yaml")


WORDS = st.text(alphabet="ab", min_size=1, max_size=2)
SCALARS = st.booleans() | st.integers(0, 9) | st.text(alphabet="a #:-'\"[{&*é", max_size=5)


@given(
    data=st.data(),
    document=st.dictionaries(
        WORDS, SCALARS | st.lists(SCALARS, min_size=1, max_size=3), min_size=1
    ),
    value=SCALARS,
    inward=st.booleans(),
)
def test_any_flat_file_can_be_edited(
    data: st.DataObject, document: Any, value: Any, inward: bool
) -> None:
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    body = body.replace("\n- ", "\n  - ") if inward and "\n  " not in body else body
    text = f"# first\n{body}# last\n"
    if yaml.safe_load(text) != document:
        return
    key = data.draw(st.sampled_from(sorted(document)))
    edited = yaml_text.set_value(text, [key], value, "f")
    assert yaml.safe_load(edited) == {**document, key: value}
    assert edited.startswith("# first\n")
    assert "# last" in edited
    left = yaml_text.unset_value(text, [key], "f")
    assert yaml.safe_load(left) == ({k: v for k, v in document.items() if k != key} or None)
    assert "# first" in left
    assert "# last" in left
