"""Narrowing, accepting and printing findings; shells and duplicates on their own."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osqual.errors import InvalidInput, UsageError
from osqual.lint.check import Report, both, check, scope_of_changes, scope_of_paths
from osqual.lint.duplicates import json_duplicates, profile_duplicates, yaml_duplicates
from osqual.lint.finding import Finding, Level, Rule
from osqual.lint.formats import github_lines, json_document, summary
from osqual.lint.registry import RULES, choose_rules
from osqual.lint.sarif import sarif_document
from osqual.lint.shell import Script
from osqual.settings import Lint, LintIgnore, load_settings
from tests.unit.test_lint_rules import PLACES, files_of, placed, write

LEAF, OTHER, _ = PLACES.values()
OPEN = 'admin_cidr = "0.0.0.0/0"'
ROOT = Path(__file__).parents[2]


def report(root: Path, case: Mapping[str, Any], *codes: str, **options: Any) -> Report:
    view = write(root, files_of(case))
    return check(view, choose_rules(codes), **options)


# Accepting findings.


@pytest.mark.parametrize(
    "profile",
    [
        f"{OPEN} # osqual: ignore[OSQ701] a test network\n",
        f"# osqual: ignore[OSQ701] a test network\n{OPEN}\n",
        f"// osqual: ignore[OSQ302, OSQ701] a test network\n{OPEN}\n",
        f"a = 1\n# osqual: ignore[OSQ701] a test network\n{OPEN}\n",
    ],
)
def test_a_comment_accepts_a_finding_on_its_line_or_the_next(profile: str, tmp_path: Path) -> None:
    found = report(tmp_path, {"files": {"LEAF/cluster_profile.tfvars": profile}}, "OSQ7")
    assert found.findings == ()
    assert found.accepted == 1


@pytest.mark.parametrize(
    "profile",
    [
        f"{OPEN} # osqual: ignore[OSQ702] another code\n",
        f"# osqual: ignore[OSQ701] too far away\na = 1\n{OPEN}\n",
        f"a = 1 # osqual: ignore[OSQ701] on another line\n{OPEN}\n",
        f'{OPEN}\nnote = "x" # osqual: ignore[OSQ701] afterwards\n',
    ],
)
def test_a_comment_about_something_else_accepts_nothing(profile: str, tmp_path: Path) -> None:
    case = {"files": {"LEAF/cluster_profile.tfvars": profile}}
    assert len(report(tmp_path, case, "OSQ7").findings) == 1


def test_a_leading_comment_accepts_what_is_said_of_the_whole_file(tmp_path: Path) -> None:
    text = "# Shared by all\n# osqual: ignore[OSQ601] our tools want the old name\na = 1\n"
    case = {
        "move": {"LEAF/cluster_profile.tfvars": "LEAF/desired_cluster_profile.tfvars"},
        "files": {"LEAF/desired_cluster_profile.tfvars": text},
    }
    assert report(tmp_path, case, "OSQ601").findings == ()


def test_a_script_accepts_in_its_comments(tmp_path: Path) -> None:
    text = "#!/bin/sh\n# osqual: ignore[OSQ801] every command is checked\na\nb\n"
    assert report(tmp_path, {"files": {"LEAF/install.sh": text}}, "OSQ801").findings == ()


def test_the_ignore_list_accepts_by_code_and_path(tmp_path: Path) -> None:
    case = {
        "copies": {"LEAF": ["OTHER"]},
        "files": {
            "LEAF/cluster_profile.tfvars": f"{OPEN}\n",
            "OTHER/cluster_profile.tfvars": f"{OPEN}\n",
        },
    }
    places = {
        (LintIgnore(code="OSQ7"),): [],
        (LintIgnore(code="OSQ701", paths=("centos/7.5/**",)),): [LEAF],
        (LintIgnore(code="OSQ701", paths=(f"{LEAF}/*.tfvars",)),): [OTHER],
        (LintIgnore(code="OSQ702"), LintIgnore(code="OSQ2")): [OTHER, LEAF],
    }
    for number, (accepted, left) in enumerate(places.items()):
        found = report(tmp_path / str(number), case, "OSQ701", accepted=accepted)
        assert [f.file.rpartition("/")[0] for f in found.findings] == left


def test_the_ignore_list_reaches_findings_about_a_configuration(tmp_path: Path) -> None:
    case = {"files": {"LEAF/base_images.json": '{"us-west-2": "ami-28e07e50"}'}}
    accepted = [LintIgnore(code="OSQ203", paths=(LEAF,))]
    assert report(tmp_path, case, "OSQ203", accepted=accepted).findings == ()


def test_settings_take_codes_and_mappings(tmp_path: Path) -> None:
    text = "lint:\n  strict: true\n  ignore:\n    - OSQ701\n    - {code: OSQ3, paths: ['a/**']}\n"
    (tmp_path / "osqual.yaml").write_text(text)
    found: Lint = load_settings(tmp_path, {}).lint
    assert found.strict
    assert found.accepted == (
        LintIgnore(code="OSQ701"),
        LintIgnore(code="OSQ3", paths=("a/**",)),
    )


@pytest.mark.parametrize("text", ["ignore: [everything]", "ignore: [{paths: [a]}]", "ignroe: []"])
def test_settings_that_mean_nothing_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "osqual.yaml").write_text(f"lint: {{{text}}}\n")
    with pytest.raises(InvalidInput):
        load_settings(tmp_path, {})


# Choosing rules.


def test_rules_are_chosen_by_code_or_its_beginning() -> None:
    assert [rule.code for rule in choose_rules(["OSQ301"])] == ["OSQ301"]
    assert [rule.code for rule in choose_rules(["osq40,OSQ501"], ["OSQ403"])] == [
        "OSQ401",
        "OSQ402",
        "OSQ404",
        "OSQ501",
    ]
    assert choose_rules() == tuple(RULES.values())


@pytest.mark.parametrize("wish", ["E501", "OSQ999", "OSQ3011", "all"])
def test_a_wish_that_means_no_rule_is_refused(wish: str) -> None:
    with pytest.raises(UsageError):
        choose_rules([wish])


def test_codes_titles_and_pages() -> None:
    titles = [rule.title for rule in RULES.values()]
    assert len(set(titles)) == len(titles)
    for code, rule in RULES.items():
        assert code == rule.code
        page = (ROOT / rule.page).read_text()
        assert page.startswith(f"# {code}: {rule.title}\n")
        assert f"Level: {rule.level.value}." in page
        assert ("`--fix` repairs it." in page) == rule.fixable
        assert rule.check.__doc__


def test_no_page_is_without_a_rule_and_the_index_lists_all() -> None:
    folder = ROOT / "docs/reference/lint"
    pages = {path.stem for path in folder.glob("OSQ*.md")}
    assert pages == set(RULES)
    index = (folder / "README.md").read_text()
    assert all(f"[{code}]({code}.md)" in index for code in RULES)


# Narrowing.


def three(root: Path) -> Any:
    case = {
        "copies": {"LEAF": ["OTHER"]},
        "move": {"LEAF/cluster_profile.tfvars": "centos/cluster_profile.tfvars"},
        "files": {
            "centos/cluster_profile.tfvars": f"{OPEN}\n",
            "OTHER/cluster_profile.tfvars": f"{OPEN}\n",
        },
    }
    return write(root, files_of(case))


@pytest.mark.parametrize(
    ("paths", "files"),
    [
        ([""], ["OTHER", "centos"]),
        (["centos/7.5"], ["OTHER"]),
        (["OTHER/cluster_profile.tfvars"], ["OTHER"]),
        (["LEAF"], ["centos"]),
        (["LEAF/packer.json"], ["centos"]),
        (["centos/cluster_profile.tfvars"], ["centos"]),
        (["README.md"], []),
    ],
)
def test_paths_tell_of_files_there_and_of_what_configurations_use(
    paths: list[str], files: list[str], tmp_path: Path
) -> None:
    view = three(tmp_path)
    scope = scope_of_paths(view, [placed(path) for path in paths])
    found = check(view, choose_rules(["OSQ701"]), (), scope).findings
    assert [f.file for f in found] == [f"{placed(p)}/cluster_profile.tfvars" for p in files]


def test_a_changed_parent_reaches_the_configurations_below_that_use_it(tmp_path: Path) -> None:
    view = three(tmp_path)
    scope = scope_of_changes(view, {"centos/cluster_profile.tfvars"})
    assert scope.configurations == {LEAF}
    scope = scope_of_changes(view, {f"{OTHER}/install.sh", "README.md"})
    assert scope.configurations == {OTHER}
    scope = scope_of_changes(view, {f"{LEAF}/cluster_profile.tfvars"})  # deleted: the parent's now
    assert scope.configurations == {LEAF}


def test_paths_and_changes_together_narrow_further(tmp_path: Path) -> None:
    view = three(tmp_path)
    changes = scope_of_changes(view, {"centos/cluster_profile.tfvars", f"{OTHER}/install.sh"})
    found = both(scope_of_paths(view, ["centos/7.5"]), changes)
    assert found is not None
    assert found.configurations == {OTHER}
    assert both(None, changes) is changes


# Printing.

HOSTILE = 'a,b:c%d"\n/p:1.yaml'


def hostile_report() -> Report:
    rule = RULES["OSQ302"]
    finding = Finding(
        rule=rule, file=HOSTILE, line=7, key="k", message="50% of\r\nit, or: all", configurations=()
    )
    plain = Finding(rule=RULES["OSQ101"], file="a b/c.yaml", message="is broken")
    return Report(findings=(plain, finding), accepted=1, configurations=2, concerned=2)


def test_the_summary_counts() -> None:
    assert summary(hostile_report()) == "1 error, 1 warning in 2 configurations; 1 accepted."
    some = replace(hostile_report(), concerned=1)
    assert "in 1 of 2 configurations" in summary(some)


def test_json_has_everything() -> None:
    document = json.loads(json.dumps(json_document(hostile_report())))
    assert document["errors"] == document["warnings"] == 1
    assert document["findings"][1] == {
        "code": "OSQ302",
        "level": "warning",
        "title": "Installer that can change",
        "file": HOSTILE,
        "line": 7,
        "key": "k",
        "message": "50% of\r\nit, or: all",
        "configurations": [],
        "fixable": False,
    }


def test_annotations_are_escaped() -> None:
    lines = list(github_lines(hostile_report(), "images/"))
    assert lines == [
        "::error file=images/a b/c.yaml,line=1,title=OSQ101 File cannot be read::is broken",
        '::warning file=images/a%2Cb%3Ac%25d"%0A/p%3A1.yaml,line=7,'
        "title=OSQ302 Installer that can change::k: 50%25 of%0D%0Ait, or: all",
    ]


def test_sarif_has_the_shape_of_the_standard() -> None:
    """What SARIF 2.1.0 requires of the parts that are used (sections 3.13, 3.14, 3.27, 3.49)."""
    rules: list[Rule] = [RULES["OSQ101"], RULES["OSQ302"]]
    document = json.loads(json.dumps(sarif_document(hostile_report(), rules, "images/")))
    assert document["version"] == "2.1.0"
    [run] = document["runs"]
    driver = run["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == ["OSQ101", "OSQ302"]
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        [location] = result["locations"]
        place = location["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert not set(place["artifactLocation"]["uri"]) & set(' "\n')
    uris = [
        r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]
    ]
    assert uris == ["images/a%20b/c.yaml", "images/a%2Cb%3Ac%25d%22%0A/p%3A1.yaml"]
    prints = {result["partialFingerprints"]["osqual/v1"] for result in run["results"]}
    assert len(prints) == 2


def test_one_place_is_told_once_for_all_configurations(tmp_path: Path) -> None:
    case = {
        "copies": {"LEAF": ["OTHER"]},
        "move": {"LEAF/install.sh": "centos/install.sh"},
        "files": {"OTHER/install.sh": None, "centos/install.sh": "#!/bin/sh\na\nb\n"},
    }
    [finding] = report(tmp_path, case, "OSQ801").findings
    assert finding.configurations == (OTHER, LEAF)
    assert finding.level is Level.WARNING


# Scripts and duplicates.


def test_commands_of_a_script() -> None:
    text = (
        "#!/bin/sh\n"
        "a 'x # y' # comment\n"
        "b \\\n"
        "  c\n"
        "\n"
        "cat <<-'EOF' > d\n"
        "inside\n"
        "# not inside\n"
        "\tEOF\n"
        'echo "${#x}" $#\n'
    )
    commands = [(c.line, c.text, c.body) for c in Script(file="x", text=text).commands]
    assert commands == [
        (2, "a 'x # y'", False),
        (3, "b    c", False),
        (6, "cat <<-'EOF' > d", False),
        (7, "inside", True),
        (10, 'echo "${#x}" $#', False),
    ]


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        ("set -e\n", True),
        ("set -euxo pipefail\n", True),
        ("set -x -e\n", True),
        ("set -o nounset -o errexit\n", True),
        ("cd / && set -e\n", True),
        ("#!/bin/bash -e\na\n", True),
        ("#!/usr/bin/env -S bash -eu\n", True),
        ("set -x\n", False),
        ("# set -e\n", False),
        ("echo set\n", False),
        ("cat <<EOF\nset -e\nEOF\n", False),
        ("set -o pipefail\n", False),
        ("#!/bin/bash --posix\n", False),
    ],
)
def test_whether_a_script_stops_at_errors(text: str, stops: bool) -> None:
    assert Script(file="x", text=text).stops_at_errors is stops


def test_duplicates_with_their_lines() -> None:
    assert json_duplicates('{"a": 1,\n "b": {"a": 2},\n "a": [{"a": 3}]}') == [("a", 3, 1)]
    assert json_duplicates('{"a": {"x": 1, "x": ":{"}, "b": "a"}') == [("x", 1, 1)]
    assert yaml_duplicates("a: 1\nb:\n  a: 2\n  a: 3\na: 4\n") == [("a", 4, 3), ("a", 5, 1)]
    assert profile_duplicates('a = "{"\nb = [\n"a = 1",\n]\na = 2\n') == [("a", 5, 1)]
    assert profile_duplicates("") == []
