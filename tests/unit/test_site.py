"""The data and pages of a site: from a clone alone, with a store, and with hostile content."""

import html
import json
import re
from pathlib import Path

import pytest

from osqual.catalogue.catalogue import open_catalogue
from osqual.formats.times import epoch
from osqual.site.build import Wish, build_site
from osqual.site.image_contents import PackageLists
from osqual.site.run_data import safe_url
from osqual.site.writer import SiteWriter
from tests.fixtures.catalogue_small import LEAF, publish, small_catalogue, write
from tests.fixtures.shell import ONE, TWO, Shell
from tests.fixtures.site import data_of, made_site, put_image_contents


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_site(tmp_path_factory.mktemp("site"))


def built(root: Path, out: Path) -> Path:
    wish = Wish(catalogue=open_catalogue(root), title="small")
    build_site(wish, SiteWriter(root=out))
    return out


def test_the_command_makes_a_site_of_a_clone_and_no_store(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSQUAL_STATE_DIR", str(tmp_path / "state"))
    publish(shell.root, ONE, {"us-west-2": "ami-1a"}, verdict="qualified", run="r1")
    shell.commit()
    out = tmp_path / "out"
    assert shell.osqual("site", "build", str(out), "--json") == 0
    told = json.loads(shell.out)
    assert (told["configurations"], told["runs"]) == (2, 1)
    assert Path(told["index"]).is_file()
    assert not (tmp_path / "state").exists()
    assert shell.status() == ""
    catalogue = data_of(out, "catalogue")
    assert catalogue["paths"] == [ONE, TWO]
    assert catalogue["standing"] == "qn"
    assert catalogue["history"] == ["q", ""]
    assert catalogue["commit"] == shell.git("rev-parse", "HEAD").strip()


def test_what_an_earlier_site_told_is_gone_and_other_files_stay(
    shell: Shell, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    publish(shell.root, ONE, {"us-west-2": "ami-1a"}, verdict="qualified", run="r1")
    built(shell.root, out)
    (out / "CNAME").write_text("images.example.org\n")
    (shell.root / ONE / "qualification.json").unlink()
    assert shell.osqual("site", "build", str(out), "--no-runs") == 0
    assert not (out / "data" / "runs" / "0").exists()
    assert (out / "CNAME").exists()


def test_a_place_that_cannot_be_written_to_is_a_named_error(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert shell.osqual("site", "build", str(tmp_path / "file" / "out"), "--no-runs") == 2
    assert "cannot be written" in shell.err
    assert "Traceback" not in shell.err


def test_every_page_has_a_strict_policy_and_nothing_inline(site: Path) -> None:
    pages = list(site.glob("*.html"))
    assert len(pages) == 8
    for page in pages:
        text = page.read_text()
        assert "default-src 'none'" in html.unescape(text)
        assert "unsafe" not in text
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=\"", text)
        for name in re.findall(r'(?:src|href)="([^"#]+)"', text):
            assert "//" not in name
            assert (site / name).is_file(), f"{page.name}: {name}"
        assert "window.hurt" not in text or "&lt;script&gt;" in text


def test_scripts_ask_no_host_and_parse_no_markup(site: Path) -> None:
    scripts = list(site.glob("assets/js/*.js"))
    assert scripts
    for path in scripts:
        text = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        assert not re.search(r"fetch\(|XMLHttpRequest|https?://(?!www\.w3\.org/2000/svg)\w", text)


def test_text_of_others_is_inert_in_every_data_file(site: Path) -> None:
    for path in site.glob("data/**/*.js"):
        text = path.read_text(encoding="ascii")
        assert "\\u001b" not in text, path
        assert "\\u202e" not in text, path


def test_a_run_that_store_and_record_know_is_told_once_with_what_both_tell(site: Path) -> None:
    runs = data_of(site, "runs")
    ids = [run["id"] for run in runs]
    assert len(ids) == len(set(ids)) == 69
    newest = runs[0]
    run = data_of(site, f"runs/0/{newest['file']}")
    assert run["steps"][0]["took"]
    assert run["nodes"][0][0] == "master-1"
    assert run["cost"] == 1.25
    assert sum(newest["totals"].values()) == 12


def test_a_test_is_told_by_week_and_by_configuration(site: Path) -> None:
    tests = data_of(site, "tests")
    worst = data_of(site, "tests/0")
    assert worst["test"] == tests[0]["test"]
    assert sum(week[1] for week in worst["weeks"]) == sum(tests[0]["outcomes"].values()) == 69
    assert sum(place[2] for place in worst["places"]) == tests[0]["outcomes"]["fail"]
    catalogue = data_of(site, "catalogue")
    assert all(0 <= place[0] < len(catalogue["paths"]) for place in worst["places"])


def test_each_configuration_is_numbered_alike_everywhere(site: Path) -> None:
    catalogue = data_of(site, "catalogue")
    for number, path in enumerate(catalogue["paths"]):
        found = data_of(site, f"configurations/{number}")
        dimensions = {name: same for name, _, same in found["dimensions"]}
        for name, column in catalogue["columns"].items():
            assert column["values"][column["of"][number]] == dimensions.get(name, "")
        assert any(place.startswith(path) for _, place in found["files"])
        images = found.get("images", [])
        assert len(images) == catalogue["images"][number]
    on_bases = [
        n for base in data_of(site, "images")["bases"] for _, ns in base["recipes"] for n in ns
    ]
    assert sorted(on_bases) == list(range(len(catalogue["paths"])))


def test_values_stand_in_version_order_and_those_that_mean_the_same_are_one(
    tmp_path: Path,
) -> None:
    newer, same = LEAF.replace("2.0.1", "2.0.10"), LEAF.replace("2.0.1", "2.0.9")
    same = same.replace("selinux_enforcing", "selinux_enabled_enforcing")
    small_catalogue(tmp_path / "c", LEAF, newer, same)
    catalogue = data_of(built(tmp_path / "c", tmp_path / "out"), "catalogue")
    assert catalogue["columns"]["release"]["values"] == ["2.0.1", "2.0.9", "2.0.10"]
    assert catalogue["columns"]["variant"]["values"] == ["selinux_enforcing"]


def test_broken_files_are_told_and_spoil_no_other_configuration(tmp_path: Path) -> None:
    root = tmp_path / "c"
    other = LEAF.replace("2.0.1", "2.0.2")
    small_catalogue(root, LEAF, other)
    write(root, {f"{LEAF}/qualification.json": "{", f"{LEAF}/packer.json": "[", "mutes.yaml": "3"})
    write(root, {"withdrawn_images.yaml": "[]"})
    publish(root, other, {"us-west-2": "ami-1"}, verdict="rejected", reasons=["no"], run="r")
    wish = Wish(catalogue=open_catalogue(root), title="broken")
    told = build_site(wish, SiteWriter(root=tmp_path / "out"))
    assert len(told.problems) >= 4
    assert data_of(tmp_path / "out", "catalogue")["standing"] == "nr"
    assert data_of(tmp_path / "out", "configurations/0")["problems"]
    assert data_of(tmp_path / "out", "configurations/1")["reasons"] == ["no"]


def test_a_record_of_the_first_version_is_a_run_too(tmp_path: Path) -> None:
    small_catalogue(tmp_path / "c", LEAF)
    publish(tmp_path / "c", LEAF, {"us-west-2": "ami-1"}, verdict="qualified", run="../../x")
    out = built(tmp_path / "c", tmp_path / "out")
    run = data_of(out, "configurations/0")["runs"][0]
    assert run["id"] == "../../x"
    assert data_of(out, "runs/0/0")["state"] == "qualified"
    assert not (tmp_path / "x.js").exists()


def test_records_that_newer_ones_replaced_are_history_too(shell: Shell, tmp_path: Path) -> None:
    for run, verdict in (("r1", "rejected"), ("r2", "inconclusive"), ("r3", "qualified")):
        day = f"2026-01-0{run[1]}T00:00:00Z"
        publish(
            shell.root, ONE, {"us-west-2": f"ami-{run}"}, verdict=verdict, run=run, ended_at=day
        )
        shell.commit()
    (shell.root / ONE / "qualification.json").write_text("{ broken")
    shell.commit()
    publish(shell.root, ONE, {"us-west-2": "ami-r3"}, verdict="qualified", run="r3", ended_at=day)
    out = built(shell.root, tmp_path / "out")
    assert data_of(out, "catalogue")["history"] == ["riq", ""]
    runs = data_of(out, "configurations/0")["runs"]
    assert [run["id"] for run in runs] == ["r1", "r2", "r3"]


def test_an_empty_catalogue_has_a_site_too(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "osqual.yaml").write_text("{}\n")
    out = built(tmp_path / "c", tmp_path / "out")
    assert data_of(out, "catalogue")["paths"] == []


def test_only_links_of_the_web_are_links() -> None:
    assert safe_url("https://ci.example.org/1") == "https://ci.example.org/1"
    assert safe_url("javascript:alert(1)") == ""
    assert epoch("nonsense") == 0.0


def test_runs_of_one_image_share_its_packages_and_a_broken_list_is_none(tmp_path: Path) -> None:
    for name in ("one", "two", "broken"):
        put_image_contents(tmp_path / name, "evil \x1b[31m\u202e")
    (tmp_path / "broken" / "image" / "sbom.cdx.json").write_text('{"components": [1]}')
    lists = PackageLists(writer=SiteWriter(root=tmp_path / "site"))
    one = lists.of(tmp_path / "one")
    assert one["packageCount"] == 3
    assert lists.of(tmp_path / "two") == one
    assert lists.of(tmp_path / "broken") == lists.of(tmp_path / "nowhere") == {}
    packages = data_of(tmp_path / "site", one["packages"])
    assert ["docker.io", "20.10.24", "deb"] in packages
    assert not any(char in str(packages) for char in "\x1b\u202e")
    assert len(list((tmp_path / "site" / "data" / "packages").iterdir())) == 1
