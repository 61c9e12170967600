"""Telling a forge: against an emulator on loopback that checks each request and fails on demand."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.ci.surroundings import CiJob
from osqual.errors import InvalidInput, PublishFailed
from osqual.events import EventKind
from osqual.forge.announcement import (
    Announcement,
    announce,
    keep_announcement,
    kept_announcement,
    with_commit,
)
from osqual.forge.base import Forge
from osqual.forge.comment import LIMIT_CHARS, MARKER, Row, comment_of, comment_with, rows_of
from osqual.forge.registry import open_forge
from osqual.forge.rest import retry_after_s
from osqual.settings import ForgeSettings, Retries, Settings
from tests.forge_emulator import Fault, ForgeEmulator, running_forge
from tests.scopes import Surroundings

TOKEN = "ghs_a-token-that-is-nowhere-else"
HEAD = "a" * 40
KINDS = ("github", "gitlab")
STATES = {"github": ("success", "failure", "error"), "gitlab": ("success", "failed", "failed")}


def row(configuration: str = "debian/12", verdict: str = "qualified", **facts: object) -> Row:
    return Row(
        configuration=configuration,
        run="20260101-000000-abc",
        verdict=verdict,
        reasons=("All is well.",),
        images={"local": "sha256:" + "a" * 64},
        url="https://ci.example/42",
        commit=HEAD,
        **facts,  # type: ignore[arg-type]
    )


@pytest.fixture
def emulator() -> Iterator[ForgeEmulator]:
    with running_forge(TOKEN) as forge:
        yield forge
    assert forge.violations == [], "every request has the published shape"
    assert TOKEN not in "".join(forge.requests)


def reached(emulator: ForgeEmulator, kind: str) -> tuple[Forge, CiJob]:
    job = CiJob(
        system=kind,
        url="https://ci.example/42",
        repository="acme/images",
        api=emulator.url,
        change=7,
        commit=HEAD,
    )
    forge = open_forge(ForgeSettings(), job, {"OSQUAL_FORGE_TOKEN": TOKEN})
    assert forge is not None
    return forge, job


def tell(
    emulator: ForgeEmulator,
    directory: Path,
    *rows: Row,
    kind: str = "github",
    first_wait_s: float = 0.01,
) -> Surroundings:
    around = Surroundings(directory)
    settings = Settings(retries=Retries(attempts=3, first_wait_s=first_wait_s))
    scope = replace(around.scope, settings=settings)
    forge, job = reached(emulator, kind)
    for each in rows:
        announce(Announcement(row=each, job=job, commits=(HEAD,)), forge, scope)
    return around


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_is_the_verdict(emulator: ForgeEmulator, tmp_path: Path, kind: str) -> None:
    for verdict, state in zip(("qualified", "rejected", "inconclusive"), STATES[kind], strict=True):
        tell(emulator, tmp_path, row(verdict=verdict), kind=kind)
        assert emulator.status_of(HEAD, "osqual/debian/12") == state


@pytest.mark.parametrize("kind", KINDS)
def test_one_comment_is_updated_in_place(
    emulator: ForgeEmulator, tmp_path: Path, kind: str
) -> None:
    for number in range(105):  # the comment is on the second page
        emulator.add_comment(7, f"somebody says {number}")
    tell(emulator, tmp_path, row("one"), row("two", "rejected"), row("one", "rejected"), kind=kind)
    ours = [one["body"] for one in emulator.comments.values() if one["body"].startswith(MARKER)]
    assert len(ours) == 1
    assert [(each.configuration, each.verdict) for each in rows_of(ours[0])] == [
        ("one", "rejected"),
        ("two", "rejected"),
    ]
    assert "0 of 2 qualified" in ours[0]
    assert "osqual run two --publish none" in ours[0]
    assert 'href="https://ci.example/42"' in ours[0]


@pytest.mark.parametrize("kind", KINDS)
def test_runs_that_write_at_the_same_time_lose_no_row(
    emulator: ForgeEmulator, tmp_path: Path, kind: str
) -> None:
    """Twelve begin together, before there is a comment: one comment in the end, with all rows."""
    names = [f"debian/{number}" for number in range(12)]
    together = Barrier(len(names))

    def run(name: str) -> None:
        directory = tmp_path / name
        directory.mkdir(parents=True)
        together.wait()
        tell(emulator, directory, row(name), kind=kind, first_wait_s=0.5)

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(run, names))
    (comment,) = emulator.comments.values()
    assert [each.configuration for each in rows_of(comment["body"])] == sorted(names)


def test_an_older_run_does_not_take_the_row_of_a_newer_one() -> None:
    newer = replace(row(), run="20260102-000000-abc")
    before = comment_of([newer])
    assert rows_of(comment_with(row(), before)) == [newer]
    assert rows_of(comment_with(newer, comment_of([row()]))) == [newer]


def test_somebody_who_quotes_the_comment_does_not_get_it(
    emulator: ForgeEmulator, tmp_path: Path
) -> None:
    forged = emulator.add_comment(7, f"{MARKER}\nnothing to see", foreign=True)
    tell(emulator, tmp_path, row(), row())
    assert emulator.comments[forged]["body"].endswith("nothing to see")
    assert len(emulator.comments) == 2


FAULTS = {
    "500": Fault(500),
    "502 with a page": Fault(502, body="<html>bad gateway</html>"),
    "429": Fault(429, {"retry-after": "0"}),
    "secondary limit": Fault(403, {"retry-after": "0"}),
    "primary limit": Fault(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}),
    "hangs up": Fault(hang_up=True),
    "no JSON": Fault(200, body="<html>maintenance</html>"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_may_pass_is_tried_again(emulator: ForgeEmulator, tmp_path: Path, name: str) -> None:
    emulator.faults = [FAULTS[name]]
    around = tell(emulator, tmp_path, row())
    assert len(around.said(EventKind.RETRY)) == 1
    assert emulator.status_of(HEAD, "osqual/debian/12") == "success"
    assert len(emulator.comments) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_what_is_refused_is_not_tried_again(
    emulator: ForgeEmulator, tmp_path: Path, status: int
) -> None:
    emulator.faults = [Fault(status, body='{"message": "because"}')]
    with pytest.raises(PublishFailed, match=f"{status}") as refused:
        tell(emulator, tmp_path, row())
    assert "because" in refused.value.details
    assert "osqual publish" in refused.value.resolution
    assert TOKEN not in str(refused.value)
    assert len(emulator.requests) == 1


def test_a_wait_that_the_forge_asks_for_is_kept(emulator: ForgeEmulator, tmp_path: Path) -> None:
    emulator.faults = [Fault(429, {"retry-after": "1"})]
    began = datetime.now(UTC)
    tell(emulator, tmp_path, row())
    assert (datetime.now(UTC) - began).total_seconds() >= 1.0


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 0),
        ({"retry-after": "17"}, 17),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30),
        ({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "9" * 400}, 3600),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1767225645"}, 45),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1767225645"}, 0),
    ],
)
def test_how_long_to_leave_a_forge_alone(headers: dict[str, str], wait_s: float) -> None:
    assert retry_after_s(headers, datetime(2026, 1, 1, tzinfo=UTC)) == wait_s


@given(st.text(max_size=30))
def test_any_retry_after_is_a_number_within_reason(value: str) -> None:
    assert 0 <= retry_after_s({"retry-after": value}) <= 3600


def test_an_unreachable_forge_is_named_and_what_was_to_be_said_is_kept(tmp_path: Path) -> None:
    with running_forge(TOKEN) as emulator:
        forge, job = reached(emulator, "github")
    announcement = Announcement(row=row(), job=job, commits=(HEAD,))
    keep_announcement(tmp_path, announcement)
    assert TOKEN not in (tmp_path / "announcement.json").read_text()
    settings = Settings(retries=Retries(attempts=2, first_wait_s=0.01))
    with pytest.raises(PublishFailed, match="the forge was not told"):
        announce(announcement, forge, replace(Surroundings(tmp_path).scope, settings=settings))
    assert kept_announcement(tmp_path) == announcement
    assert kept_announcement(tmp_path / "elsewhere") is None


def test_a_commit_is_told_once() -> None:
    announcement = Announcement(row=row(), job=CiJob(system="github", url=""), commits=(HEAD,))
    assert with_commit(announcement, HEAD).commits == (HEAD,)
    assert with_commit(announcement, "").commits == (HEAD,)
    assert with_commit(announcement, "b" * 40).commits == (HEAD, "b" * 40)


# Which forge


JOB = CiJob(system="github", url="", repository="acme/images", api="https://api.example")


def test_without_a_token_or_outside_of_continuous_integration_nobody_is_told() -> None:
    assert open_forge(ForgeSettings(), JOB, {}) is None
    assert open_forge(ForgeSettings(), None, {"GITHUB_TOKEN": TOKEN}) is None
    assert open_forge(ForgeSettings(kind="none"), JOB, {"GITHUB_TOKEN": TOKEN}) is None
    jenkins = CiJob(system="jenkins", url="")
    assert open_forge(ForgeSettings(), jenkins, {"GITHUB_TOKEN": TOKEN}) is None
    asked = ForgeSettings(kind="github", repository="acme/images")
    assert open_forge(asked, jenkins, {"GITHUB_TOKEN": TOKEN}) is not None


def test_a_forge_that_is_asked_for_needs_repository_and_token() -> None:
    with pytest.raises(InvalidInput, match="its token is not known"):
        open_forge(ForgeSettings(kind="gitlab", repository="a/b"), None, {})
    with pytest.raises(InvalidInput, match="the repository is not known"):
        open_forge(ForgeSettings(kind="gitlab"), None, {"GITLAB_TOKEN": TOKEN})


def test_a_token_is_in_no_representation() -> None:
    forge = open_forge(ForgeSettings(), JOB, {"GITHUB_TOKEN": TOKEN})
    assert "acme/images" in repr(forge)
    assert TOKEN not in repr(forge)


# The comment


def test_nothing_in_a_name_is_taken_for_markup() -> None:
    evil = "<script>|@everyone `x` --> [a](javascript:1) \n# heading"
    text = comment_of([row(configuration=evil, failing=(evil,), verdict="rejected")])
    body = text.split("\n", 2)[2]
    for part in ("<script>", "@everyone", "[a](", "\n# heading", "-->"):
        assert part not in body
    assert text.count("-->") == 2, "the marker and the rows are the only comments"
    assert rows_of(text)[0].failing == (evil,)


def test_a_link_is_only_ever_to_the_web() -> None:
    assert (
        "javascript:"
        not in comment_of([replace(row(), url="javascript:alert(1)")]).split("\n", 2)[2]
    )


def test_a_large_comment_says_less_of_each_and_counts_all() -> None:
    names = tuple(f"suite: test_{number}_{'x' * 60}" for number in range(50))
    many = [
        row(f"os/{number}", "rejected", failing=names, counts={"failing": 400})
        for number in range(100)
    ]
    text = comment_of(many)
    assert len(text) <= LIMIT_CHARS
    assert "os/99" in text
    assert "400 more" in text or "399 more" in text
    grown = comment_with(row("os/new"), text)
    assert len(rows_of(grown)) == 101


@pytest.mark.parametrize("edited", ["", "hello", f"{MARKER}\n<!-- osqual: rows [1] -->", "x" * 9])
def test_a_comment_that_somebody_edited_begins_anew(edited: str) -> None:
    assert [each.configuration for each in rows_of(comment_with(row(), edited))] == ["debian/12"]


TEXT = st.text(max_size=40)


@given(TEXT, st.lists(TEXT, max_size=3), TEXT)
def test_any_row_comes_back_from_its_comment(name: str, tests: list[str], reason: str) -> None:
    known = Row(
        configuration=name or "x",
        run="r",
        verdict="rejected",
        failing=tuple(tests),
        reasons=(reason,) if reason else (),
    )
    assert rows_of(comment_of([known])) == [known]


Edit = Callable[[str | None], str]


def test_the_rows_are_json_that_ends_no_comment() -> None:
    text = comment_of([row("a-->b")])
    line = text.splitlines()[1]
    assert json.loads(line.removeprefix("<!-- osqual: rows ").removesuffix(" -->"))
    assert line.count("-->") == 1
