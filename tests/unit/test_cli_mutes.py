"""`osqual mutes` as a user calls it."""

import json
from pathlib import Path
from typing import Any

import pytest

from osqual.model import Outcome, SuiteResult, TestResult
from osqual.mutes.entries import parse_mutes
from osqual.settings import load_settings
from osqual.store.store import Store, open_store
from tests.fixtures.command import osqual
from tests.fixtures.shell import Shell
from tests.unit.test_mutes import LEAF, OTHER, commit, config

FILES: dict[str, str | None] = {
    "osqual.yaml": "",
    "mutes.yaml": "- test: test_old\n  until: 2020-01-31\n  ticket: https://example.com/1\n"
    "- test: test_m\n  scope: {release: 2.0.2}\n",
    f"{LEAF}/publish_and_test_config.yaml": "# test_vip: https://example.com/2\n"
    + config("not test_vip and not test_vip_ipv6"),
    f"{OTHER}/publish_and_test_config.yaml": "tests_to_run: [test_a.py]\n",
    "centos/7.6/aws/DCOS-2.0.3/docker-19.03.5-ce/publish_and_test_config.yaml": (
        "tests_to_run: [test_b.py]\n"
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> str:
    commit(tmp_path, "2020-03-01T00:00:00Z", FILES)
    return str(tmp_path)


def mutes(capsys: Any, *arguments: str) -> list[dict[str, Any]]:
    assert osqual("mutes", "--json", *arguments) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def names(found: list[dict[str, Any]]) -> list[str]:
    return [item["test"] for item in found]


def test_everything_that_is_muted(root: str, capsys: Any) -> None:
    found = mutes(capsys, "-C", root)
    assert names(found) == [
        "everything not listed",
        "everything not listed",
        "test_m",
        "test_old",
        "test_vip",
        "test_vip_ipv6",
    ]
    vip = found[4]
    assert vip["how"] == "-k not"
    assert vip["ticket"] == "https://example.com/2"
    assert vip["since"] == "2020-03-01T00:00:00Z"
    assert vip["also_hides"] == ["test_vip_ipv6"]
    assert (vip["file"], vip["line"]) == (f"{LEAF}/publish_and_test_config.yaml", 3)
    assert found[0]["leaves_out"] == ["test_b.py"]
    assert found[2]["configurations"] == [OTHER]


def test_filters(root: str, capsys: Any) -> None:
    assert names(mutes(capsys, "-C", root, "--expired")) == ["test_old"]
    assert "test_vip" not in names(mutes(capsys, "-C", root, "--no-ticket"))
    assert names(mutes(capsys, "-C", root, "--release", ">=2.0.2", "--test", "test_m")) == [
        "test_m"
    ]
    assert names(mutes(capsys, "-C", root, "--release", "2.0.1")) == [
        "test_old",
        "test_vip",
        "test_vip_ipv6",
    ]


def test_a_name_finds_whatever_hides_it(root: str, capsys: Any) -> None:
    assert names(mutes(capsys, "-C", root, "--test", "test_vip_ipv6")) == [
        "test_vip",
        "test_vip_ipv6",
    ]
    assert names(mutes(capsys, "-C", root, "--test", "test_vip*")) == ["test_vip", "test_vip_ipv6"]
    assert [item["leaves_out"] for item in mutes(capsys, "-C", root, "--test", "test_b.py")] == [
        ["test_b.py"]
    ]


def test_the_table(root: str, capsys: Any) -> None:
    assert osqual("mutes", "-C", root) == 0
    out = capsys.readouterr().out
    assert "2020-01-31 (expired)" in out
    assert "also hides test_vip_ipv6" in out
    assert "mutes.yaml:1 (3 configurations)" in out


def test_broken_files_do_not_hide_the_others(root: str, capsys: Any) -> None:
    (Path(root) / "mutes.yaml").write_text("- test: [\n")
    assert osqual("mutes", "-C", root) == 0
    output = capsys.readouterr()
    assert "test_vip" in output.out
    assert "mutes.yaml:2" in output.err


def test_nothing_muted(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "osqual.yaml").write_text("")
    assert osqual("mutes", "-C", str(tmp_path)) == 0
    assert "Nothing is muted." in capsys.readouterr().err


def test_lifting_proposes_a_patch_that_git_takes(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSQUAL_STATE_DIR", str(tmp_path / "state"))
    text = "# why\n- {test: test_a, ticket: OS-1}\n- {test: test_b, ticket: OS-2}\n"
    (shell.root / "mutes.yaml").write_text(text)
    shell.commit()
    store = open_store(load_settings(shell.root))
    muted = parse_mutes(text, "mutes.yaml", ["os"])
    for number in range(2):
        begin(store, f"run-{number}")
        results = tuple(
            TestResult(
                suite="s",
                test_id=f"t.py::{mute.test}",
                outcome=Outcome.MUTED,
                mute=mute.digest,
                shadow=Outcome.PASS if mute.test == "test_a" or not number else Outcome.FAIL,
            )
            for mute in muted
        )
        store.record_suite(f"run-{number}", SuiteResult(suite="s", results=results))
    assert shell.osqual("mutes", "--lift", "--passes", "3") == 0
    assert (shell.out, "0 mutes can go" in shell.err) == ("", True)
    assert shell.osqual("mutes", "--lift", "--passes", "2") == 0
    assert "test_b (mutes.yaml:3, OS-2): still fails (s: t.py::test_b in a/b)" in shell.err
    (tmp_path / "patch").write_text(shell.out)
    shell.git("apply", str(tmp_path / "patch"))
    assert (shell.root / "mutes.yaml").read_text() == "# why\n- {test: test_b, ticket: OS-2}\n"
    assert shell.osqual("mutes", "--lift", "--passes", "2", "--json") == 0
    (left,) = json.loads(shell.out)["mutes"]
    assert (left["test"], left["can_go"]) == ("test_b", False)


def begin(store: Store, run_id: str) -> None:
    store.begin_run(
        run_id,
        configuration="a/b",
        catalogue=Path("/c"),
        directory=Path("/d"),
        options={},
        owner="o",
        version="1",
        step_names=["test"],
    )
