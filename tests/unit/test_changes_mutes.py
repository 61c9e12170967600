from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from osqual.catalogue.catalogue import Catalogue, open_catalogue
from osqual.changes.apply import apply
from osqual.changes.draft import Draft
from osqual.changes.excluded import excluded_words, hides
from osqual.changes.import_mutes import Import, Importer
from osqual.changes.mute_entries import (
    Entry,
    Muted,
    Unmuted,
    directory_for,
    parse_scope,
    plan_mute,
    plan_unmute,
)
from osqual.changes.scoping import scopes_for
from osqual.errors import InvalidFile, NotFound, UsageError
from osqual.mutes.keywords import parse_keywords
from tests.fixtures.catalogue_small import small_catalogue, write

TODAY = date(2026, 6, 1)
CENTOS = "centos/7.6/aws/DCOS-2.0.1/docker-19.03.5-ce/selinux_enforcing"
RHEL_OLD = "rhel/7.7/aws/DCOS-1.13.0/docker-19.03.5-ce"
RHEL_NEW = "rhel/7.7/aws/DCOS-2.0.1/docker-19.03.5-ce"
RHEL_INNER = f"{RHEL_NEW}/tmp_noexec"


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return small_catalogue(tmp_path, CENTOS, RHEL_OLD, RHEL_NEW, RHEL_INNER)


def mute(catalogue: Catalogue, at: str = "", **entry: Any) -> Muted:
    catalogue = open_catalogue(catalogue.root)
    draft = Draft(catalogue.root)
    muted = plan_mute(catalogue, draft, at, Entry(**entry), TODAY)
    apply(catalogue.root, draft.changes())
    return muted


def unmute(catalogue: Catalogue, test: str, scope: Any = None, at: str = "") -> Unmuted:
    catalogue = open_catalogue(catalogue.root)
    draft = Draft(catalogue.root)
    unmuted = plan_unmute(catalogue, draft, test, scope, at)
    apply(catalogue.root, draft.changes())
    return unmuted


def entries(catalogue: Catalogue, place: str = "mutes.yaml") -> Any:
    return yaml.safe_load((catalogue.root / place).read_text())


def test_a_mute_is_written_at_the_root_with_all_that_was_said(catalogue: Catalogue) -> None:
    muted = mute(
        catalogue,
        test="test_x",
        scope={"os": ["rhel"], "release": [">=2.0", "!=2.0.3"]},
        ticket="https://x/1",
        reason="it: breaks",
        owner="net",
        until=date(2026, 12, 31),
        run="never",
    )
    assert entries(catalogue) == [
        {
            "test": "test_x",
            "scope": {"os": "rhel", "release": [">=2.0", "!=2.0.3"]},
            "reason": "it: breaks",
            "ticket": "https://x/1",
            "owner": "net",
            "until": date(2026, 12, 31),
            "run": "never",
        }
    ]
    assert [item.path for item in muted.configurations] == [RHEL_NEW, RHEL_INNER]


def test_further_mutes_keep_what_is_there_and_the_same_one_changes(catalogue: Catalogue) -> None:
    write(catalogue.root, {"mutes.yaml": "# ours\n- test: test_a # why\n"})
    mute(catalogue, test="test_b", scope={"os": ["rhel"]}, ticket="T-1")
    text = (catalogue.root / "mutes.yaml").read_text()
    assert text.startswith("# ours\n- test: test_a # why\n- test: test_b\n")
    muted = mute(catalogue, test="test_b", scope={"os": ["rhel"]}, until=TODAY)
    assert muted.updated
    assert entries(catalogue)[1] == {
        "test": "test_b",
        "scope": {"os": "rhel"},
        "ticket": "T-1",
        "until": TODAY,
    }
    assert not mute(catalogue, test="test_b", scope={"os": ["centos"]}).updated


def test_a_mute_in_a_directory_holds_below_it(catalogue: Catalogue) -> None:
    muted = mute(catalogue, at="rhel/7.7", test="test_x")
    assert len(muted.configurations) == 3
    assert entries(catalogue, "rhel/7.7/mutes.yaml") == [{"test": "test_x"}]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"test": "t", "scope": {"os": ["rehl"]}}, "No configuration is in this scope"),
        ({"test": "t", "scope": {"colour": ["red"]}}, "not a dimension"),
        ({"test": "t", "until": date(2026, 5, 31)}, "has passed"),
        ({"test": " "}, "needs a test"),
        ({"test": "t", "reason": "a\nb"}, "line breaks"),
        ({"test": "t", "scope": {"release": [">=2.*"]}}, "cannot be compared"),
    ],
)
def test_a_mute_that_cannot_be_meant_is_refused(
    catalogue: Catalogue, entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        mute(catalogue, **entry)
    assert not (catalogue.root / "mutes.yaml").exists()


def test_a_broken_mutes_file_is_named_and_not_touched(catalogue: Catalogue) -> None:
    write(catalogue.root, {"mutes.yaml": "- tset: x\n"})
    with pytest.raises(InvalidFile, match=r"mutes.yaml:1"):
        mute(catalogue, test="test_x")


def test_scopes_are_read_in_both_ways() -> None:
    assert parse_scope(["os=rhel", "release=>=2.0", "release!=2.0.3", "os-version<8"]) == {
        "os": ["rhel"],
        "release": [">=2.0", "!=2.0.3"],
        "os_version": ["<8"],
    }
    for text in ("os", "=x", "os=", "", "../x=1"):
        with pytest.raises(UsageError):
            parse_scope([text])


def test_the_directory_of_at(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    assert directory_for(catalogue, "rhel/7.7/") == "rhel/7.7"
    monkeypatch.chdir(catalogue.root / "rhel")
    assert directory_for(catalogue, ".") == "rhel"
    assert directory_for(catalogue, str(catalogue.root)) == ""
    for wanted in ("../..", "/etc", "nothing", "a\0b"):
        with pytest.raises(UsageError):
            directory_for(catalogue, wanted)


def test_unmute_removes_just_those_entries(catalogue: Catalogue) -> None:
    files = {
        "mutes.yaml": "- test: test_x\n  scope: {os: rhel}\n- test: test_y\n- test: test_*\n",
        "rhel/mutes.yaml": "# kept\n- test: test_x\n",
        "centos/mutes.yaml": "- test: test_x\n",
    }
    write(catalogue.root, files)
    unmuted = unmute(catalogue, "test_x", {"os": ["rhel"]})
    assert [found.source for found in unmuted.removed] == ["mutes.yaml"]
    assert {found.test for found in unmuted.also} == {"test_x", "test_*"}
    unmute(catalogue, "test_x")
    assert entries(catalogue) == [{"test": "test_y"}, {"test": "test_*"}]
    assert (catalogue.root / "rhel/mutes.yaml").read_text() == "# kept\n"
    assert not (catalogue.root / "centos/mutes.yaml").exists()
    with pytest.raises(NotFound) as caught:
        unmute(catalogue, "test_x")
    assert "mutes.yaml:2 mutes test_*" in caught.value.details


def test_unmute_in_one_directory(catalogue: Catalogue) -> None:
    write(catalogue.root, {"mutes.yaml": "- test: test_x\n", "rhel/mutes.yaml": "- test: test_x\n"})
    unmute(catalogue, "test_x", at="rhel")
    assert entries(catalogue) == [{"test": "test_x"}]
    assert not (catalogue.root / "rhel/mutes.yaml").exists()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("not a", ("a",)),
        ("not a and not b and not a", ("a", "b")),
        ("not (a or b) and (not c)", ("a", "b", "c")),
        ("a", None),
        ("not a or not b", None),
        ("not (a and b)", None),
        ("not a and b", None),
        ("not not a", None),
    ],
)
def test_only_expressions_that_leave_words_out_are_imported(
    expression: str, words: tuple[str, ...] | None
) -> None:
    assert excluded_words(parse_keywords(expression)) == words


def test_what_k_hides_is_any_part_of_an_id() -> None:
    items = ["-k 'not test_vip and not test_metrics'"]
    for test in ("test_vip", "test_vip_ipv6", "test_VIP[a]", "tests/test_metrics.py::test_a"):
        assert hides(items, test)
    assert not hides(items, "tests/test_vi.py::test_a")
    assert not hides(["test_a.py"], "test_vip")


def config(*tests: str, head: str = "") -> str:
    listed = "".join(f"  - {test}\n" for test in tests)
    return f"# head\n{head}run_framework_tests: false\n" + (
        f"tests_to_run:\n{listed}" if tests else ""
    )


def import_(catalogue: Catalogue, *patterns: str, tests: tuple[str, ...] = ()) -> Import:
    catalogue = open_catalogue(catalogue.root)
    found = Importer(catalogue, catalogue.select(patterns), tests, TODAY).plan()
    apply(catalogue.root, found.draft.changes())
    return found


NAME = "publish_and_test_config.yaml"


def test_k_becomes_entries_as_high_as_they_are_exact(catalogue: Catalogue) -> None:
    ticket = "# test_x: https://t/1\n"
    write(
        catalogue.root,
        {
            f"{CENTOS}/{NAME}": config("-k 'not test_x'", head=ticket),
            f"{RHEL_OLD}/{NAME}": config("-k 'not test_y and not test_x'", head=ticket),
            f"{RHEL_NEW}/{NAME}": config("-k 'not test_x'", head=ticket),
            f"{RHEL_INNER}/{NAME}": config("-k 'not test_x and not test_z'", head=ticket),
        },
    )
    found = import_(catalogue)
    entry = {"test": "test_x", "ticket": "https://t/1", "run": "never"}
    assert entries(catalogue) == [entry]
    assert entries(catalogue, f"{RHEL_OLD}/mutes.yaml") == [{"test": "test_y", "run": "never"}]
    assert entries(catalogue, f"{RHEL_INNER}/mutes.yaml") == [{"test": "test_z", "run": "never"}]
    for path in (CENTOS, RHEL_OLD, RHEL_NEW, RHEL_INNER):
        assert (catalogue.root / path / NAME).read_text() == config()
    assert found.proven[0] == 4


def test_a_scope_tells_a_configuration_from_one_inside_of_it(catalogue: Catalogue) -> None:
    write(catalogue.root, {f"{RHEL_NEW}/{NAME}": config("-k 'not test_x'")})
    import_(catalogue)
    assert entries(catalogue, f"{RHEL_NEW}/mutes.yaml") == [
        {"test": "test_x", "scope": {"variant": "none"}, "run": "never"}
    ]


def test_a_scope_of_values_that_several_systems_share(tmp_path: Path) -> None:
    paths = [
        f"{system}/aws/DCOS-{release}/docker-19.03.5-ce"
        for system in ("centos/7.6", "rhel/7.7", "rhel/7.8")
        for release in ("2.0.1", "2.1.0")
    ]
    catalogue = small_catalogue(tmp_path, *paths)
    for path in paths:
        if "2.0.1" in path:
            write(tmp_path, {f"{path}/{NAME}": config("-k 'not test_x'")})
    import_(catalogue)
    assert entries(catalogue) == [{"test": "test_x", "scope": {"release": "2.0.1"}, "run": "never"}]


def test_what_an_over_wide_word_hid_gets_its_own_entries(catalogue: Catalogue) -> None:
    write(
        catalogue.root,
        {
            f"{CENTOS}/{NAME}": config("-k 'not test_vip'"),
            f"{RHEL_OLD}/{NAME}": config("-k 'not test_vip_ipv6'"),
            f"{RHEL_NEW}/{NAME}": config("test_vip_all.py"),
        },
    )
    found = import_(catalogue, tests=("t/test_net.py::TestVip::test_vip_up[tcp]",))
    hidden = {"test_vip_all.py::**", "test_vip_ipv6", "test_vip_up[tcp]"}
    assert set(found.widened["test_vip"]) == hidden
    tests = {entry["test"] for entry in entries(catalogue, f"{CENTOS}/mutes.yaml")}
    assert tests == {"test_vip", *hidden}


def test_a_word_that_is_no_name_becomes_a_glob(catalogue: Catalogue) -> None:
    write(catalogue.root, {f"{CENTOS}/{NAME}": config("-k 'not ipv6 and not TestUp'")})
    import_(catalogue, tests=("t/test_a.py::test_ipv6_up", "t/test_a.py::TestUp::test_b"))
    tests = {entry["test"] for entry in entries(catalogue, f"{CENTOS}/mutes.yaml")}
    assert tests == {"*ipv6*", "TestUp::**"}


def test_other_comments_and_items_stay(catalogue: Catalogue) -> None:
    text = (
        "# Muted tests:\n"
        "# test_x: https://t/1\n"
        "# test_x, test_old: https://t/2\n"
        "run_framework_tests: false\n"
        "# see https://t/3\n"
        "tests_to_run:\n"
        "  # files\n"
        "  - test_a.py   # first\n"
        "  - -k 'not test_x' --maxfail=3\n"
        "  - --deselect test_b.py::test_c\n"
    )
    write(catalogue.root, {f"{CENTOS}/{NAME}": text})
    import_(catalogue)
    expected = text.replace("# Muted tests:\n# test_x: https://t/1\n", "# Muted tests:\n")
    expected = expected.replace("-k 'not test_x' --maxfail=3", "--maxfail=3")
    assert (catalogue.root / CENTOS / NAME).read_text() == expected


def test_expressions_that_do_more_are_left_and_told(catalogue: Catalogue) -> None:
    text = config("-k 'test_a or test_b'")
    write(catalogue.root, {f"{CENTOS}/{NAME}": text, f"{RHEL_OLD}/{NAME}": "a: ["})
    found = import_(catalogue)
    assert "does more than to leave out" in found.skipped[0]
    assert [problem.source for problem in found.problems] == [f"{RHEL_OLD}/{NAME}"]
    assert found.draft.changes() == ()


def test_a_shared_file_is_imported_only_for_all_its_users(catalogue: Catalogue) -> None:
    for path in (RHEL_OLD, RHEL_NEW, RHEL_INNER):
        (catalogue.root / path / NAME).unlink()
    write(catalogue.root, {f"rhel/{NAME}": config("-k 'not test_x'")})
    found = import_(catalogue, RHEL_OLD)
    assert "not selected" in found.skipped[0]
    import_(catalogue, "rhel/**")
    assert entries(catalogue, "rhel/7.7/aws/mutes.yaml") == [{"test": "test_x", "run": "never"}]


def test_existing_mutes_count_in_the_proof(catalogue: Catalogue) -> None:
    write(
        catalogue.root,
        {
            "mutes.yaml": "- test: test_x\n  until: 2020-01-01\n- test: test_y\n",
            f"{CENTOS}/{NAME}": config("-k 'not test_x and not test_y'"),
        },
    )
    import_(catalogue)
    assert len(entries(catalogue)) == 2
    assert len(entries(catalogue, f"{CENTOS}/mutes.yaml")) == 2


def test_scopes_are_exact_or_split(catalogue: Catalogue) -> None:
    everyone = catalogue.configurations()
    names = catalogue.layout.dimensions

    def scopes(*paths: str) -> list[tuple[str, dict[str, tuple[str, ...]]]]:
        meant = [item for item in everyone if item.path in paths]
        found = scopes_for(meant, everyone, names, {})
        return [(item.directory, dict(item.scope)) for item in found]

    assert scopes(*(item.path for item in everyone)) == [("", {})]
    assert scopes(RHEL_OLD, RHEL_NEW, RHEL_INNER) == [("rhel/7.7/aws", {})]
    assert scopes(RHEL_OLD, RHEL_NEW) == [("rhel/7.7/aws", {"variant": ("none",)})]
    assert scopes(CENTOS, RHEL_INNER) == [("", {"variant": ("selinux_enforcing", "tmp_noexec")})]
    assert scopes() == []
