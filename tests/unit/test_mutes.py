"""Mutes: entries and their scope, -k expressions, lists, comments, and since when."""

from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.catalogue.catalogue import Catalogue
from osqual.errors import InvalidFile, UnknownKey
from osqual.mutes.comments import read_remarks, ticket_in
from osqual.mutes.entries import mutes_in_scope, parse_mutes
from osqual.mutes.inventory import How, read_inventory
from osqual.mutes.keywords import BadExpression, parse_keywords
from osqual.mutes.mute import Mute
from osqual.mutes.pattern import matches_test
from osqual.mutes.to_run import read_tests_to_run
from osqual.processes.process import run

DIMENSIONS = ("os", "os_version", "release", "variant")
TODAY = date(2026, 1, 15)


def parse(text: str) -> tuple[Mute, ...]:
    return parse_mutes(text, "rhel/mutes.yaml", DIMENSIONS)


# Entries.


def test_an_entry_with_everything() -> None:
    [mute] = parse(
        "- test: test_vip\n"
        "  scope: {os: rhel, release: ['>=2.0', '!=2.0.3'], image: sha256:aa}\n"
        "  reason: fails\n"
        "  ticket: https://example.com/1\n"
        "  owner: net\n"
        "  until: 2026-01-31\n"
        "  run: never\n"
    )
    assert (mute.test, mute.reason, mute.owner) == ("test_vip", "fails", "net")
    assert mute.until == date(2026, 1, 31)
    assert not mute.runs
    assert mute.line == 1
    assert mute.written_scope["release"] == (">=2.0", "!=2.0.3")
    dimensions = {"os": "rhel", "release": "2.0.2"}
    assert mute.applies_to("rhel/7.6/a", dimensions)
    assert not mute.applies_to("rhel/7.6/a", {**dimensions, "release": "2.0.3"})
    assert not mute.applies_to("rhel-like/7.6/a", dimensions)
    assert not mute.applies_to("centos/7.6/a", dimensions)
    assert mute.applies_to_image(["sha256:aa"])
    assert not mute.applies_to_image([])


def test_the_shortest_entry_is_about_everything_below_its_file() -> None:
    mutes = parse("- test: test_a\n- test: test_b\n")
    assert [mute.line for mute in mutes] == [1, 2]
    assert mutes_in_scope(mutes, "rhel/7", {}) == mutes
    assert all(mute.in_force(date(2100, 1, 1)) and mute.applies_to_image(["x"]) for mute in mutes)
    assert parse("") == parse("[]") == ()


def test_the_last_day_counts() -> None:
    [mute] = parse("- {test: test_a, until: '2026-01-15'}\n")
    assert mute.in_force(date(2026, 1, 15))
    assert not mute.in_force(date(2026, 1, 16))


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("test: test_a\n", 1, "", "list"),
        ("- test_a\n", 1, "[0]", "mapping"),
        ("- reason: x\n", 1, "[0].test", "missing"),
        ("- test: ''\n", 1, "[0].test", "empty"),
        ("- test: test_a\n  until: soon\n", 2, "[0].until", "day"),
        ("- test: test_a\n  until: 2026-01-15 10:00:00\n", 2, "[0].until", "day"),
        ("- test: test_a\n- test: test_b\n  run: always\n", 3, "[1].run", "never"),
        ("- test: test_a\n  scope:\n    os_version: 7.6\n", 3, "[0].scope.os_version", "quote it"),
        ("- test: test_a\n  scope: {release: ['>=']}\n", 2, "[0].scope.release", "look for"),
        ("- test: test_a\n  scope: [os]\n", 2, "[0].scope", "mapping"),
        ("- test: [\n", 2, "", "YAML"),
    ],
)
def test_a_mistake_has_its_place(text: str, line: int, key: str, says: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse(text)
    assert (caught.value.line, caught.value.key) == (line, key)
    assert says in caught.value.problem


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("- test: test_a\n  tikcet: x\n", "[0].tikcet"),
        ("- test: test_a\n  scope:\n    osversion: '7'\n", "[0].scope.osversion"),
    ],
)
def test_keys_that_mean_nothing(text: str, key: str) -> None:
    with pytest.raises(UnknownKey) as caught:
        parse(text)
    assert caught.value.key == key


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(InvalidFile):
        parse(text)


def test_the_example_of_the_documentation_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/mutes.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    assert [mute.test for mute in parse(example)] == [
        "test_vip_ipv6",
        "test_metrics.py::test_agent_*",
    ]


# Which tests a pattern names.


@pytest.mark.parametrize(
    ("pattern", "test_id"),
    [
        ("test_vip", "test_vip"),
        ("test_vip", "tests/test_net.py::test_vip"),
        ("test_vip", "tests/test_net.py::TestVip::test_vip[tcp-a/b::c]"),
        ("test_vip[tcp]", "test_net.py::test_vip[tcp]"),
        ("TestVip::test_up", "a/test_net.py::TestVip::test_up"),
        ("test_net.py::test_vip", "a/b/test_net.py::test_vip"),
        ("test_net.py::*", "a/test_net.py::test_vip[1]"),
        ("test_net.py::**", "a/test_net.py::TestVip::test_up"),
        ("test_v?p*", "test_net.py::test_vip_ipv6"),
    ],
)
def test_a_pattern_names_a_test(pattern: str, test_id: str) -> None:
    assert matches_test(pattern, test_id)


@pytest.mark.parametrize(
    ("pattern", "test_id"),
    [
        ("test_vip", "test_net.py::test_vip_ipv6"),
        ("vip", "test_net.py::test_vip"),
        ("test_vip[tcp]", "test_net.py::test_vip[udp]"),
        ("test_vip[tcp]", "test_net.py::test_vip"),
        ("test_net*", "test_net.py::test_vip"),
        ("test_net.py::*", "test_net.py::TestVip::test_up"),
        ("c", "test_net.py::test_vip[a/b::c]"),
    ],
)
def test_a_pattern_never_names_a_part(pattern: str, test_id: str) -> None:
    assert not matches_test(pattern, test_id)


# -k.


def test_what_an_expression_excludes() -> None:
    assert parse_keywords("not a and not b").excludes == ("a", "b")
    assert parse_keywords("not (a or b) and not c").excludes == ("a", "b", "c")
    assert parse_keywords("not (a and b)").excludes == ()
    assert parse_keywords("a and not b").excludes == ()
    assert not parse_keywords("a and not b").runs_the_rest


def test_words_are_looked_for_anywhere_in_a_name() -> None:
    found = parse_keywords("not test_vip and not Test_IPv6")
    assert found.also_hidden("test_vip", ["test_vip", "test_vip_ipv6", "test_x"]) == (
        "test_vip_ipv6",
    )
    assert not found.runs("test_vip_ipv6")
    assert not found.runs("test_ipv6_route")
    assert found.runs("test_x")


@pytest.mark.parametrize("text", ["", "not", "a b", "(a", "a)", "and a", "a and", "not $x", "a;b"])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(BadExpression):
        parse_keywords(text)


def test_deep_expressions_are_refused() -> None:
    for text in ("(" * 5000 + "a" + ")" * 5000, "not " * 5000 + "a"):
        with pytest.raises(BadExpression):
            parse_keywords(text)


@given(st.text(alphabet="ab ()notandr_", max_size=40))
def test_every_text_is_an_expression_or_none(text: str) -> None:
    try:
        found = parse_keywords(text)
    except BadExpression:
        return
    assert isinstance(found.runs("ab"), bool)


# tests_to_run.


def test_items_are_words_of_a_command_line() -> None:
    found = read_tests_to_run(
        ["test_a.py", "test_b.py::test_x -k 'not c'", "-m fast", "--deselect=test_a.py::test_y"]
    )
    assert [named.name for named in found.chosen] == ["test_a.py", "test_b.py::test_x"]
    assert found.files == ("test_a.py",)
    assert found.expression is not None
    assert found.expression.item == 1
    assert [(named.name, named.item) for named in found.deselected] == [("test_a.py::test_y", 3)]


def test_an_option_may_have_its_value_in_the_next_item() -> None:
    found = read_tests_to_run(["-k", "'not a'", "-k='not b'", "-x", "--tb=short"])
    assert [expression.text for expression in found.expressions] == ["not a", "not b"]
    assert found.chosen == ()
    assert read_tests_to_run(["-k"]).problems == ((0, "-k needs an expression"),)
    assert read_tests_to_run(["it's"]).problems[0][0] == 0


# Comments.


def test_comments_tell_reasons_and_tickets() -> None:
    remarks = read_remarks(
        "# options: never, see README\n"
        "# test_a, test_b: https://example.com/browse/DCOS_OSS-5932.\n"
        "\n"
        "# Fails since the last kernel\n"
        "# (DCOS-7)\n"
        "tests_to_run:\n"
        "  - -k 'not test_a and not test_c'\n"
        "  - --deselect test_d  # INFRA-9\n",
        "x",
    )
    assert remarks.of("test_a", 7).ticket == "https://example.com/browse/DCOS_OSS-5932"
    assert remarks.of("test_c", 7).text == "Fails since the last kernel (DCOS-7)"
    assert remarks.of("test_c", 7).ticket == "DCOS-7"
    assert remarks.of("test_d", 8).ticket == "INFRA-9"


def test_a_list_that_is_commented_out() -> None:
    remarks = read_remarks("a: 1\n#tests_to_run:\n#  - -k 'not test_a'\nb: 2\n", "x")
    assert remarks.disabled_line == 2
    assert remarks.disabled.expression is not None
    assert remarks.disabled.expression.text == "not test_a"


@pytest.mark.parametrize(
    ("text", "ticket"),
    [
        ("see https://a.example/browse/X-1, please", "https://a.example/browse/X-1"),
        ("DCOS_OSS-5932", "DCOS_OSS-5932"),
        ("fixed by #123", "#123"),
        ("broken since July", ""),
        ("x-1", ""),
    ],
)
def test_tickets(text: str, ticket: str) -> None:
    assert ticket_in(text) == ticket


# The inventory.

LEAF = "centos/7.6/aws/DCOS-2.0.1/docker-19.03.5-ce"
OTHER = "centos/7.6/aws/DCOS-2.0.2/docker-19.03.5-ce"


def commit(root: Path, time: str, files: dict[str, str | None]) -> None:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            target.unlink()
        else:
            target.write_text(text)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    environment = {"GIT_COMMITTER_DATE": time, "GIT_AUTHOR_DATE": time}
    if not (root / ".git").exists():
        run(["git", "init", "-q", "-b", "main"], cwd=root)
    run(["git", "add", "-A"], cwd=root)
    run(["git", *identity, "commit", "-qm", "x"], cwd=root, env=environment)


def config(expression: str) -> str:
    return f"tests_to_run:\n  - -k '{expression}'\n"


def test_an_inventory_with_its_history(tmp_path: Path) -> None:
    path = f"{LEAF}/publish_and_test_config.yaml"
    commit(tmp_path, "2020-01-01T00:00:00Z", {path: config("not test_a and not test_b")})
    commit(tmp_path, "2020-02-01T00:00:00Z", {path: config("not test_b")})
    commit(tmp_path, "2020-03-01T00:00:00Z", {path: config("not test_b and not test_a")})
    commit(tmp_path, "2020-04-01T00:00:00Z", {"mutes.yaml": "- test: test_m\n"})
    files = f"{OTHER}/publish_and_test_config.yaml"
    (tmp_path / OTHER).mkdir(parents=True)
    (tmp_path / files).write_text("# DCOS-1\ntests_to_run: [test_x.py]\n")
    catalogue = Catalogue(root=tmp_path.resolve())
    inventory = read_inventory(catalogue, catalogue.configurations())
    assert [
        (item.test, item.how, item.source, item.since and item.since.date().isoformat())
        for item in inventory.muted
    ] == [
        ("everything not listed", How.FILES, files, None),
        ("test_a", How.KEYWORD, path, "2020-03-01"),
        ("test_b", How.KEYWORD, path, "2020-01-01"),
        ("test_m", How.ENTRY, "mutes.yaml", "2020-04-01"),
    ]
    assert inventory.muted[0].ticket == "DCOS-1"
    assert [item.path for item in inventory.muted[3].configurations] == [LEAF, OTHER]


def test_a_mute_that_moves_to_another_file_keeps_its_beginning(tmp_path: Path) -> None:
    own, shared = (f"{place}/publish_and_test_config.yaml" for place in (LEAF, "centos"))
    commit(tmp_path, "2020-01-01T00:00:00Z", {own: config("not test_a"), "\x01x\ny/mutes.yaml": ""})
    moved = {own: None, shared: config("not test_a and not test_b")}
    commit(
        tmp_path,
        "2020-02-01T00:00:00Z",
        {**moved, f"{LEAF}/dcos_images.yaml": "", "\x01x\ny/mutes.yaml": "[]"},
    )
    catalogue = Catalogue(root=tmp_path.resolve())
    muted = read_inventory(catalogue, catalogue.configurations()).muted
    assert [(item.test, item.since and item.since.month) for item in muted] == [
        ("test_a", 1),
        ("test_b", 2),
    ]


def test_a_shared_file_is_told_once_with_everything_that_uses_it(tmp_path: Path) -> None:
    for leaf in (LEAF, OTHER):
        (tmp_path / leaf).mkdir(parents=True)
        (tmp_path / leaf / "dcos_images.yaml").write_text("us-west-2: ami-00000001\n")
    (tmp_path / "centos/publish_and_test_config.yaml").write_text(config("not test_a"))
    (tmp_path / "centos/mutes.yaml").write_text("- test: [\n")
    catalogue = Catalogue(root=tmp_path.resolve())
    inventory = read_inventory(catalogue, catalogue.configurations()[1:])
    [muted] = inventory.muted
    assert (muted.source, muted.line) == ("centos/publish_and_test_config.yaml", 2)
    assert [item.path for item in muted.configurations] == [OTHER]
    assert [problem.source for problem in inventory.problems] == ["centos/mutes.yaml"]


def test_a_list_leaves_out_what_others_run(tmp_path: Path) -> None:
    for leaf, files in ((LEAF, "test_a.py, test_b.py::test_x"), (OTHER, "test_b.py, test_c.py")):
        (tmp_path / leaf).mkdir(parents=True)
        path = tmp_path / leaf / "publish_and_test_config.yaml"
        path.write_text(f"tests_to_run: [{files}]\n")
    catalogue = Catalogue(root=tmp_path.resolve())
    muted = read_inventory(catalogue, catalogue.configurations()).muted
    assert [item.left_out for item in muted] == [("test_c.py",), ("test_a.py",)]
