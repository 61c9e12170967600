"""Every rule: what it catches and what it leaves alone, as small catalogues in YAML."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from osqual.catalogue.catalogue import Catalogue
from osqual.lint.check import Report, check
from osqual.lint.registry import RULES
from osqual.lint.view import View

FIXTURES = Path(__file__).parents[1] / "fixtures" / "lint"
TODAY = date(2026, 1, 15)
PLACES = {
    "LEAF": "centos/7.6/aws/DCOS-2.0.1/docker-19.03.5-ce/selinux_enforcing",
    "OTHER": "centos/7.5/aws/DCOS-2.0.1/docker-19.03.5-ce/selinux_enforcing",
    "THIRD": "centos/7.5/aws/DCOS-2.0.2/docker-19.03.5-ce/selinux_enforcing",
}


@dataclass(frozen=True)
class Case:
    """A rule, a change of the base catalogue, and the findings that it is to give."""

    data: Mapping[str, Any]

    @property
    def rule(self) -> str:
        return str(self.data["rule"])

    @property
    def expect(self) -> list[dict[str, str]]:
        return list(self.data["expect"])


def load_cases() -> Iterator[Case]:
    for path in sorted(FIXTURES.glob("*.yaml")):
        if path.name != "base.yaml":
            yield from map(Case, yaml.safe_load(path.read_text()))


CASES = list(load_cases())


def placed(text: str) -> str:
    for name, path in PLACES.items():
        text = text.replace(name, path)
    return text


def files_of(case: Mapping[str, Any]) -> dict[str, str]:
    """The base catalogue with a case's copies, moves, files and replacements."""
    base = yaml.safe_load((FIXTURES / "base.yaml").read_text())
    for source, targets in case.get("copies", {}).items():
        for target in targets:
            copies = {
                path.replace(source, target): text.replace(source, target)
                for path, text in base.items()
                if path.startswith(f"{source}/")
            }
            base |= copies
    for old, new in case.get("move", {}).items():
        base[new] = base.pop(old)
    for path, content in case.get("files", {}).items():
        if content is None:
            del base[path]
        else:
            base[path] = content
    for path, (old, new) in case.get("replace", {}).items():
        assert old in base[path], f"{old!r} is not in {path}"
        base[path] = base[path].replace(old, new)
    return {placed(path): placed(text) for path, text in base.items()}


def write(root: Path, files: Mapping[str, str]) -> View:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return View(catalogue=Catalogue(root=root.resolve()), today=TODAY)


def lint(root: Path, case: Mapping[str, Any], *codes: str) -> Report:
    view = write(root, files_of(case))
    return check(view, [RULES[code] for code in codes] or list(RULES.values()))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.data['name']}")
def test_case(case: Case, tmp_path: Path) -> None:
    found = lint(tmp_path, case.data, case.rule).findings
    places = [finding.place for finding in found]
    assert places == [placed(wanted["at"]) for wanted in case.expect], found
    for finding, wanted in zip(found, case.expect, strict=True):
        assert finding.code == case.rule
        assert finding.key == wanted.get("key", finding.key)
        assert placed(wanted.get("says", "")) in f"{finding.key}: {finding.message}"


@pytest.mark.parametrize("code", RULES)
def test_every_rule_has_a_case_that_it_catches_and_one_that_it_leaves_alone(code: str) -> None:
    cases = [case for case in CASES if case.rule == code]
    assert any(case.expect for case in cases)
    assert any(not case.expect for case in cases)


def test_nothing_is_found_in_a_sound_catalogue(tmp_path: Path) -> None:
    report = lint(tmp_path, {})
    assert report.findings == ()
    assert report.configurations == 1
