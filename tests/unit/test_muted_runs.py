"""Mutes in runs: what does not count, where and until when, and what everybody is told of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import ExitCode
from osqual.model import Outcome, Verdict
from osqual.mutes.entries import parse_mutes
from osqual.mutes.lifting import standings
from osqual.pipeline.preview import preview
from osqual.pipeline.workflow import RunResult
from osqual.plan.plan import Action, make_plan
from osqual.run.context import RunOptions
from tests.fakes import IMAGE_ID
from tests.unit.test_workflow import World

GOOD, BAD, BROKEN = "test_net.py::test_good", "test_net.py::test_vip", "test_net.py::test_vip_ipv6"
NEVER = "- {test: test_vip, ticket: OS-1, run: never}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.suites.tests = {
        GOOD: (Outcome.PASS, ""),
        BAD: (Outcome.FAIL, "assert 'vip 10.1.2.3:8080' is up after 3.2 s"),
    }
    return world


def mute(world: World, text: str = "- {test: test_vip, ticket: OS-1}\n", place: str = "") -> None:
    (world.root / "catalogue" / place / "mutes.yaml").write_text(text)


def results(world: World, result: RunResult) -> dict[str, tuple[str, str | None]]:
    rows = world.store.results(result.run_id)
    return {row["test_id"]: (row["outcome"], row["shadow"]) for row in rows}


def test_without_a_mute_the_failure_counts(world: World) -> None:
    assert world.run().judgement.verdict is Verdict.REJECTED


def test_a_muted_test_is_run_last_and_on_its_own_and_does_not_count(world: World) -> None:
    mute(world)
    result = world.run()
    assert result.exit_code is ExitCode.OK
    assert results(world, result)[BAD] == ("muted", "fail")
    assert results(world, result)[GOOD] == ("pass", None)
    ran = [(r.suite.name, r.part, r.selection.only) for r in world.suites.ran]
    assert ran == [
        ("integration", "", ()),
        ("framework", "", ()),
        ("integration", "shadow", (BAD,)),
    ]


def test_every_mute_in_force_is_in_the_verdict_and_in_the_record(world: World) -> None:
    mute(world, "- {test: test_vip, ticket: OS-1, owner: net, until: 2999-01-31}\n- test: other\n")
    result = world.run()
    reasons = " ".join(result.judgement.reasons)
    assert "2 mutes are in force: test_vip (mutes.yaml:1, OS-1, until 2999-01-31)" in reasons
    assert "other (mutes.yaml:2)" in reasons
    assert f"1 test failed but did not count: integration: {BAD}" in reasons
    record = json.loads((world.leaf / "qualification.json").read_text())
    assert record["mutes"] == [
        {
            "test": "test_vip",
            "ticket": "OS-1",
            "owner": "net",
            "until": "2999-01-31",
            "file": "mutes.yaml",
            "line": 1,
            "tests": {f"integration: {BAD}": "fail"},
        },
        {"test": "other", "file": "mutes.yaml", "line": 2, "tests": {}},
    ]
    assert "mutes" in record["inputs"]


def test_what_must_not_run_is_not_run(world: World) -> None:
    mute(world, NEVER)
    result = world.run()
    assert result.exit_code is ExitCode.OK
    assert results(world, result)[BAD] == ("muted", None)
    assert [r.part for r in world.suites.ran] == ["", ""]
    assert any("1 test muted and gave no result" in r for r in result.judgement.reasons)


def test_a_command_can_be_muted_as_a_whole(world: World) -> None:
    mute(world, "- {test: framework, run: never}\n- test: test_vip\n")
    result = world.run()
    assert "framework" not in [r.suite.name for r in world.suites.ran]
    # Nothing of that suite passed, and what did not run did not pass.
    assert result.judgement.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        ("{os: debian}", True),
        ("{os: rhel}", False),
        ("{release: '>=1.0'}", True),
        ("{release: '>1.0'}", False),
        (f"{{image: '{IMAGE_ID}'}}", True),
        ("{image: sha256:0}", False),
        (f"{{os: debian, image: ['sha256:0', '{IMAGE_ID}']}}", True),
    ],
)
def test_the_scope_decides(world: World, scope: str, holds: bool) -> None:
    mute(world, f"- {{test: test_vip, scope: {scope}}}\n")
    assert (world.run().judgement.verdict is Verdict.QUALIFIED) is holds


@pytest.mark.parametrize(("days", "holds"), [(-1, False), (0, True)])
def test_an_expired_mute_does_not_apply(world: World, days: int, holds: bool) -> None:
    until = (datetime.now(UTC) + timedelta(days=days)).date()
    mute(world, f"- {{test: test_vip, until: {until}}}\n")
    assert (world.run().judgement.verdict is Verdict.QUALIFIED) is holds


def test_a_mute_stands_where_it_is_about(world: World) -> None:
    mute(world, place="debian/12")
    assert world.run().judgement.verdict is Verdict.QUALIFIED


def test_a_name_is_never_a_part_of_another(world: World) -> None:
    world.suites.tests[BROKEN] = (Outcome.FAIL, "no route")
    mute(world)
    result = world.run()
    assert result.judgement.verdict is Verdict.REJECTED
    assert results(world, result)[BROKEN] == ("fail", None)


def test_another_failure_breaks_the_mute(world: World) -> None:
    mute(world)
    assert world.run().judgement.verdict is Verdict.QUALIFIED
    world.suites.tests[BAD] = (Outcome.FAIL, "assert 'vip 10.9.9.9:80' is up after 61.0 s")
    assert world.run().judgement.verdict is Verdict.QUALIFIED  # the same, elsewhere and later
    world.suites.tests[BAD] = (Outcome.FAIL, "the kernel has no IPVS")
    result = world.run()
    assert result.judgement.verdict is Verdict.REJECTED
    assert any("fails in another way" in reason for reason in result.judgement.reasons)
    mute(world, "- {test: test_vip, ticket: OS-1, reason: seen again}\n")
    assert world.run().judgement.verdict is Verdict.QUALIFIED  # somebody looked at it


def test_a_mute_may_name_the_failure_or_say_that_any_is_meant(world: World) -> None:
    mute(world, "- {test: test_vip, signature: 0123456789ab}\n")
    result = world.run()
    assert result.judgement.verdict is Verdict.REJECTED
    (row,) = [row for row in world.store.results(result.run_id) if row["test_id"] == BAD]
    mute(world, f"- {{test: test_vip, signature: ['0123456789ab', {row['signature']}]}}\n")
    assert world.run().judgement.verdict is Verdict.QUALIFIED
    mute(world, "- {test: test_vip, signature: any}\n")
    world.run()
    world.suites.tests[BAD] = (Outcome.FAIL, "something else")
    assert world.run().judgement.verdict is Verdict.QUALIFIED


def test_a_shadow_that_dies_harms_nobody_and_is_told(world: World) -> None:
    mute(world)
    world.suites.dying.add("integrationshadow")
    result = world.run()
    assert result.judgement.verdict is Verdict.QUALIFIED
    assert any("no result to rely on: it died" in reason for reason in result.judgement.reasons)


def test_a_broken_mutes_file_ends_the_run_before_anything_is_started(world: World) -> None:
    mute(world, "- {tset: test_vip}\n")
    result = world.run()
    assert result.exit_code is ExitCode.USAGE
    assert world.builder.built == []


def test_mutes_are_an_input_of_the_qualification(world: World) -> None:
    def plan() -> tuple[Action, str]:
        catalogue = open_catalogue(world.root / "catalogue")
        (step,) = make_plan(catalogue, catalogue.configurations()).steps
        return step.action, "; ".join(step.reasons)

    mute(world)
    world.run()
    assert plan()[0] is Action.SKIP
    mute(world, "# a comment\n- ticket: OS-1\n  test: test_vip\n")
    assert plan()[0] is Action.SKIP
    mute(world, "- {test: test_vip, ticket: OS-2}\n")
    assert plan() == (Action.RUN, "what is muted changed")
    (world.root / "catalogue" / "mutes.yaml").unlink()
    assert plan() == (Action.RUN, "what is muted is gone")


def test_a_dry_run_tells_what_is_muted(world: World) -> None:
    mute(world, NEVER)
    catalogue = open_catalogue(world.root / "catalogue")
    found = preview(catalogue, catalogue.configuration(world.leaf), RunOptions(), world.engine())
    assert found.document()["mutes"] == ["test_vip (mutes.yaml:1, OS-1), not run"]
    assert any("muted" in line for line in found.lines())


def test_a_mute_can_go_after_enough_clean_passes_everywhere(world: World) -> None:
    mute(world)
    text = (world.root / "catalogue" / "mutes.yaml").read_text()
    (entry,) = parse_mutes(text, "mutes.yaml", ["os"])

    def can_go(passes: int) -> bool:
        (standing,) = standings([entry], world.store.history.shadows([entry.digest]))
        return standing.can_go(passes)

    assert not can_go(1)
    world.run()
    assert not can_go(1)
    world.suites.tests[BAD] = (Outcome.PASS, "")
    world.run()
    world.run()
    assert can_go(2)
    assert not can_go(3)
