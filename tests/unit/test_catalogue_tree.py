"""Finding the catalogue and its configurations."""

import os
from pathlib import Path

import pytest

from osqual.catalogue.catalogue import Catalogue, find_catalogue, open_catalogue
from osqual.catalogue.globs import glob_matcher
from osqual.conventions import FileNames
from osqual.errors import InvalidInput, NotFound, UsageError
from tests.fixtures.catalogue_small import LEAF, leaf_files, small_catalogue, write
from tests.fixtures.catalogue_synthetic import places, write_catalogue

RUNTIME = LEAF.rpartition("/")[0]


def paths(catalogue: Catalogue) -> list[str]:
    return [item.path for item in catalogue.configurations()]


def test_every_configuration_is_found_sorted_and_nothing_else(tmp_path: Path) -> None:
    written = write_catalogue(tmp_path, 60)
    catalogue = open_catalogue(tmp_path)
    assert paths(catalogue) == written == sorted(place.path for place in places(60))


def test_a_configuration_may_contain_another(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, RUNTIME, f"{RUNTIME}/tmp_noexec")
    assert paths(catalogue) == [RUNTIME, f"{RUNTIME}/tmp_noexec"]


def test_a_parent_that_only_shares_a_file_is_no_configuration(tmp_path: Path) -> None:
    catalogue = small_catalogue(
        tmp_path, files={f"{RUNTIME}/cluster_profile.tfvars": "", f"{RUNTIME}/mutes.yaml": ""}
    )
    assert paths(catalogue) == [LEAF]


@pytest.mark.parametrize(
    "name", ["dcos_images.yaml", "publish_and_test_config.yaml", "packer.json"]
)
def test_one_known_file_is_enough_where_nothing_lies_below(tmp_path: Path, name: str) -> None:
    write(tmp_path, {f"{LEAF}/{name}": ""})
    assert paths(open_catalogue(tmp_path)) == [LEAF]


def test_directories_without_any_known_file_are_left_alone(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, files={f"{RUNTIME}/scripts/a.sh": ""})
    assert paths(catalogue) == [LEAF]


@pytest.mark.parametrize("marker", ["osqual.yaml", ".git/HEAD"])
def test_the_root_is_where_the_marker_is(tmp_path: Path, marker: str) -> None:
    write(tmp_path, {marker: "", **leaf_files()})
    assert find_catalogue(tmp_path / LEAF) == tmp_path
    assert find_catalogue(tmp_path / "centos") == tmp_path


def test_settings_beyond_the_git_work_tree_are_not_ours(tmp_path: Path) -> None:
    write(tmp_path, {"osqual.yaml": "layout: '{a}'", "clone/.git/HEAD": ""})
    assert find_catalogue(tmp_path / "clone") == tmp_path / "clone"


def test_without_a_marker_the_directories_themselves_tell(tmp_path: Path) -> None:
    write(tmp_path / "images", leaf_files())
    for inside in (".", "centos", "centos/7.6/aws", RUNTIME, LEAF):
        assert find_catalogue(tmp_path / "images" / inside) == tmp_path / "images"


def test_where_there_is_no_catalogue_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no catalogue"):
        find_catalogue(tmp_path)


def test_a_path_may_be_written_in_every_usual_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = small_catalogue(tmp_path)
    monkeypatch.chdir(tmp_path / RUNTIME)
    names: list[str | Path] = [LEAF, f"{LEAF}/", f"./{LEAF}", str(tmp_path / LEAF), tmp_path / LEAF]
    for name in [*names, "selinux_enforcing", "./selinux_enforcing/", f"../../../../../{LEAF}"]:
        assert catalogue.configuration(name).path == LEAF
    monkeypatch.chdir(tmp_path / LEAF)
    assert catalogue.configuration(".").path == LEAF
    assert catalogue.configuration("").path == LEAF


def test_a_path_that_is_none_names_the_nearest(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    with pytest.raises(NotFound) as caught:
        catalogue.configuration(LEAF.replace("2.0.1", "2.0.0"))
    assert LEAF in caught.value.details
    with pytest.raises(NotFound) as caught:
        catalogue.configuration(RUNTIME)
    assert LEAF in caught.value.details


@pytest.mark.parametrize("name", ["..", "../..", "/etc", "a\0b", "x" * 5000, "\n", "~"])
def test_no_path_leads_out_of_the_catalogue(tmp_path: Path, name: str) -> None:
    catalogue = small_catalogue(tmp_path / "catalogue")
    with pytest.raises(NotFound):
        catalogue.configuration(name)


def test_selecting_by_path_directory_and_glob(tmp_path: Path) -> None:
    other = LEAF.replace("centos/7.6", "rhel/7.5")
    newer = LEAF.replace("2.0.1", "2.1.0")
    catalogue = small_catalogue(tmp_path, LEAF, other, newer)

    def chosen(*patterns: str) -> list[str]:
        return [item.path for item in catalogue.select(patterns)]

    assert chosen() == [LEAF, newer, other]
    assert chosen("rhel") == chosen("rhel/**") == chosen("*/7.5/**") == [other]
    assert chosen(LEAF, "centos/") == [LEAF, newer]
    assert chosen("**/DCOS-2.1.*/**") == [newer]
    with pytest.raises(NotFound):
        chosen("rhel/**", "ubuntu/**")


def test_linked_directories_are_not_walked(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path / "catalogue")
    write(tmp_path / "outside", leaf_files())
    (catalogue.root / "rhel").symlink_to(tmp_path / "outside" / "centos")
    (catalogue.root / "loop").symlink_to(catalogue.root)
    (catalogue.root / "centos" / "7.7").symlink_to("7.7")
    assert paths(open_catalogue(catalogue.root)) == [LEAF]
    with pytest.raises(NotFound):
        catalogue.configuration(LEAF.replace("centos", "rhel"))


def test_a_link_inside_means_what_it_points_to(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    (tmp_path / "newest").symlink_to(tmp_path / LEAF)
    assert catalogue.configuration("newest").path == LEAF


def test_hostile_names_are_no_configurations(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path)
    for name in ("a\nb", "\x1b[2J", "\udcff\udcfe", "a\u2028b"):
        write(tmp_path, {f"{RUNTIME}/{name}/dcos_images.yaml": ""})
    quoted = f"{RUNTIME}/a'b\"c $(d) `e`"
    write(tmp_path, {f"{quoted}/dcos_images.yaml": ""})
    assert paths(catalogue) == sorted([LEAF, quoted])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_directory_that_cannot_be_listed_is_a_problem_of_its_own(tmp_path: Path) -> None:
    catalogue = small_catalogue(tmp_path, LEAF, LEAF.replace("centos", "rhel"))
    (tmp_path / "rhel").chmod(0)
    try:
        assert paths(catalogue) == [LEAF]
        assert [problem.source for problem in catalogue.tree.problems] == ["rhel"]
    finally:
        (tmp_path / "rhel").chmod(0o755)


def test_settings_say_the_layout_and_the_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "osqual.yaml": "layout: 'images/{os}[-{arch}]'\nfiles: {template: image.json}\n",
            "images/debian-arm64/image.json": "{}",
            "images/debian/image.json": "{}",
            "images/other/packer.json": "{}",
        },
    )
    catalogue = open_catalogue(tmp_path / "images")
    assert [dict(item.dimensions) for item in catalogue.configurations()] == [
        {"os": "debian"},
        {"os": "debian", "arch": "arm64"},
    ]


@pytest.mark.parametrize("name", ["../x", "a/b", "", "..", "."])
def test_file_names_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        FileNames(images=name)
    write(tmp_path, {"osqual.yaml": f"files: {{images: '{name}'}}\n"})
    with pytest.raises(InvalidInput, match="plain file name"):
        open_catalogue(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a/*", ["a/b"], ["a", "a/b/c", "b/b"]),
        ("a/**", ["a", "a/b", "a/b/c"], ["ab", "b/a"]),
        ("**/c", ["c", "a/c", "a/b/c"], ["ac", "c/d"]),
        ("*-2.0.?", ["DCOS-2.0.1"], ["DCOS-2.0.10", "DCOS-2.1.0"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[!a]x", ["bx"], ["ax", "/x"]),
        ("[]x]", ["]", "x"], ["y"]),
        ("a[", ["a["], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("[a&&b~~c||d--e]", ["a", "&", "~", "|", "-"], ["z"]),
    ],
)
def test_globs(pattern: str, matching: list[str], others: list[str]) -> None:
    matches = glob_matcher(pattern)
    assert [text for text in [*matching, *others] if matches(text)] == matching


def test_a_glob_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="pattern"):
        glob_matcher("[z-a]")
