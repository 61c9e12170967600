import json

import pytest

from osqual.errors import InvalidInput
from osqual.templates.template import (
    Function,
    PackerTemplate,
    interpolate,
    interpolate_tree,
    parse_template,
    referenced_files,
    user_variables,
)


def template(**data: object) -> PackerTemplate:
    return parse_template(json.dumps({"builders": [{"type": "qemu"}], **data}), "packer.json")


FUNCTIONS: dict[str, Function] = {
    "user": lambda name: f"<{name}>",
    ".Vars": lambda _: "A='b' ",
    "upper": str.upper,
    "replace_all": lambda old, new, text: text.replace(old, new),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ('{{user `a`}}/{{ user "b c" }}', "<a>/<b c>"),
        ("chmod +x x; {{.Vars}} x", "chmod +x x; A='b'  x"),
        ("{{`{{.Id}}`}}", "{{.Id}}"),
        ('{{"quo\\"ted"}}', 'quo"ted'),
        ("{{user `a` | upper}}", "<A>"),
        ("{{replace_all `a` `o` `banana`}}", "bonono"),
        ("a  {{- user `x` -}}  b", "a<x>b"),
        ("{{/* nobody sees this */}}z", "z"),
        ('{"a":{"b":{}}}', '{"a":{"b":{}}}'),
        ("${{not closed}", "${{not closed}"),
    ],
)
def test_actions_are_replaced_as_go_does(text: str, expected: str) -> None:
    assert interpolate(text, FUNCTIONS) == expected


@pytest.mark.parametrize(
    "text", ["{{nope}}", "{{}}", "{{user `a` |}}", '{{"\\q"}}', "{{upper 1 2}}"]
)
def test_an_action_that_cannot_be_done_is_named(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        interpolate(text, FUNCTIONS)
    assert "{{" in caught.value.brief


def test_a_tree_is_interpolated_but_for_its_keys() -> None:
    value = {"{{user `k`}}": ["{{user `a`}}", 3, None, {"x": True}]}
    assert interpolate_tree(value, FUNCTIONS) == {"{{user `k`}}": ["<a>", 3, None, {"x": True}]}


def test_variables_take_environment_overrides_and_each_other() -> None:
    values = user_variables(
        template(
            variables={
                "home": "{{env `HOME`}}",
                "bin": "{{user `home`}}/bin",
                "size": 8,
                "on": True,
                "version": "1",
            }
        ),
        {"HOME": "/root"},
        {"version": "2"},
    )
    assert values == {"home": "/root", "bin": "/root/bin", "size": "8", "on": "1", "version": "2"}


@pytest.mark.parametrize(
    ("variables", "overrides", "part"),
    [
        ({"a": None}, {}, "'a' is required"),
        ({"a": "1"}, {"b": "2"}, "no variable b"),
        ({"a": "{{user `b`}}", "b": "{{user `a`}}"}, {}, "a → b → a"),
        ({"a": "{{user `c`}}"}, {}, "no variable c"),
        ({"a": ["x"]}, {}, "must be a string"),
    ],
)
def test_variables_that_cannot_be_had_are_named(
    variables: dict[str, object], overrides: dict[str, str], part: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        user_variables(template(variables=variables), {}, overrides)
    assert "packer.json" in caught.value.brief
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "not valid JSON"),
        ("[]", "JSON object"),
        ("{}", "no builder"),
        ('{"builders":[{}]}', "builders[0]"),
        ('{"builders":[{"type":"qemu"}],"provisioners":[3]}', "provisioners[0]"),
        ('{"builders":[{"type":"qemu"}],"variables":[]}', "`variables`"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_template_of_another_shape_is_refused(text: str, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_template(text, "packer.json")
    assert part in str(caught.value)


def test_files_that_provisioners_read() -> None:
    found = referenced_files(
        template(
            provisioners=[
                {"type": "shell", "script": "a.sh"},
                {"type": "shell", "scripts": ["b.sh", "a.sh"]},
                {"type": "file", "source": "conf/", "destination": "/etc/x"},
                {
                    "type": "file",
                    "source": "/var/log/x",
                    "destination": "x",
                    "direction": "download",
                },
            ]
        )
    )
    assert found == ("a.sh", "b.sh", "conf/")
