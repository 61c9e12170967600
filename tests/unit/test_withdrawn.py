"""Withdrawn images: the file, and what goes with an image."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from osqual.catalogue.ancestry import AncestryReader
from osqual.catalogue.catalogue import open_catalogue
from osqual.catalogue.withdrawn import (
    FILE_NAME,
    Withdrawal,
    as_document,
    parse_withdrawn,
    read_withdrawn,
)
from osqual.errors import InvalidFile, NotFound, OsqualError
from osqual.image_care.withdraw import affected_by, entries_for

FILE = """\
ami-1:
  withdrawal: revoked
  reason: CVE-1
  since: 2026-01-02
ami-2: {withdrawal: deprecated}
"""


def test_the_file_is_read_and_written_alike(tmp_path: Path) -> None:
    assert read_withdrawn(tmp_path) == {}
    (tmp_path / FILE_NAME).write_text(FILE)
    found = read_withdrawn(tmp_path)
    assert found["ami-1"].withdrawal is Withdrawal.REVOKED
    assert str(found["ami-1"]) == "ami-1 is revoked since 2026-01-02: CVE-1"
    again = parse_withdrawn(yaml.safe_dump(as_document(found)), FILE_NAME)
    assert again == found


@pytest.mark.parametrize("text", ["[]", "ami-1: nothing", "ami-1: {withdrawal: gone}"])
def test_a_broken_file_is_named_with_its_line(text: str) -> None:
    with pytest.raises(InvalidFile, match=f"{FILE_NAME}:1"):
        parse_withdrawn(text, FILE_NAME)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(OsqualError):
        parse_withdrawn(text, FILE_NAME)


def leaf(root: Path, name: str, base: str, image: str) -> None:
    directory = root / "centos" / "7.6" / "aws" / f"DCOS-{name}" / "docker-1"
    directory.mkdir(parents=True)
    (directory / "packer.json").write_text(
        '{"builders": [{"type": "amazon-ebs", "region": "us-west-2"}]}'
    )
    (directory / "base_images.json").write_text(f'{{"us-west-2": "{base}"}}')
    (directory / "dcos_images.yaml").write_text(f"us-west-2: {image}\nus-east-1: {image}e\n")
    (directory / "cluster_profile.tfvars").write_text("")


def test_everything_that_descends_goes_with_an_image(tmp_path: Path) -> None:
    (tmp_path / "osqual.yaml").write_text("")
    leaf(tmp_path, "1.0", "ami-00000001", "ami-00000002")
    leaf(tmp_path, "2.0", "ami-00000002", "ami-00000003")
    leaf(tmp_path, "3.0", "ami-00000009", "ami-00000008")
    reader = AncestryReader(catalogue=open_catalogue(tmp_path))
    reader.read()
    from_base = affected_by(reader.of("ami-00000001"))
    assert [item.image for item in from_base] == [
        "ami-00000001", "ami-00000002", "ami-00000002e", "ami-00000003", "ami-00000003e",
    ]  # fmt: skip
    entries = entries_for(from_base, Withdrawal.REVOKED, "CVE-1", "2026-01-02")
    assert entries["ami-00000003"].derives_from == "ami-00000001"
    assert entries["ami-00000001"].derives_from == ""
    published = affected_by(reader.of("ami-00000002"))
    assert {item.image for item in published} == {
        "ami-00000002", "ami-00000002e", "ami-00000003", "ami-00000003e",
    }  # fmt: skip
    with pytest.raises(NotFound):
        affected_by(reader.of("ami-0000dead"))
