"""Misspelt keys: named in plain words, with their line and the nearest known one."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from osqual.errors import InvalidInput
from osqual.formats.spelling import did_you_mean, problems_of
from osqual.settings import load_settings


@dataclass(frozen=True)
class Place:
    street: str = ""


class Pet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: str = ""


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    pets: tuple[Pet, ...] | None = None
    by_name: dict[str, Pet] = {}


def said(value: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Person.model_validate(value)
    return [problem.words for problem in problems_of(caught.value, Person, value)]


def test_the_nearest_name_is_offered_whatever_its_case() -> None:
    assert did_you_mean("DCOX", ["dcos", "swarm"]) == " (did you mean 'dcos'?)"
    assert did_you_mean("memry", ["memory"]) == " (did you mean 'memory'?)"
    assert did_you_mean("x", ["memory"]) == ""
    assert did_you_mean("x", []) == ""


def test_a_key_is_compared_with_those_that_may_stand_there() -> None:
    assert said({"name": "a", "pest": []}) == ["unknown key (did you mean 'pets'?)"]
    assert said({"name": "a", "pets": [{"color": "red"}]}) == [
        "unknown key (did you mean 'colour'?)"
    ]
    assert said({"name": "a", "by_name": {"rex": {"color": "red"}}}) == [
        "unknown key (did you mean 'colour'?)"
    ]
    assert said({"name": "a", "pets": [{"pets": "red"}]}) == ["unknown key"]


def test_nobody_has_to_know_pydantic() -> None:
    assert said({}) == ["is missing"]
    assert said([]) == ["must be a mapping"]
    assert said({"name": 5, "pets": 5}) == ["must be text", "must be a list"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("layuot: x\n", "osqual.yaml:1: layuot: unknown key (did you mean 'layout'?)"),
        (
            "# names\nfiles:\n  imges: a.yaml\n",
            "osqual.yaml:3: files.imges: unknown key (did you mean 'images'?)",
        ),
        (
            "lint:\n  ignore:\n    - code: OSQ1\n      pats: [a]\n",
            "osqual.yaml:4: lint.ignore[0].pats: unknown key (did you mean 'paths'?)",
        ),
        (
            "lint: {ignore: [7]}\n",
            "osqual.yaml:1: lint.ignore[0]: must be text, or must be a mapping",
        ),
    ],
)
def test_settings_name_line_key_and_the_nearest(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "osqual.yaml").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path, {})
    assert caught.value.details.splitlines() == [wanted]


def test_a_value_of_the_environment_is_named_by_its_variable(tmp_path: Path) -> None:
    (tmp_path / "osqual.yaml").write_text("layout: '{os}'\n")
    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path, {"OSQUAL_ACCELERATION": "maybe"})
    assert caught.value.details.startswith("$OSQUAL_ACCELERATION: qemu.acceleration: must be ")
