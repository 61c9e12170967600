from pathlib import Path

import pytest

from osqual.bases.reference import (
    DebianReference,
    DownloadReference,
    FileReference,
    parse_reference,
)
from osqual.errors import InvalidInput

HERE = Path("/catalogue/debian/12")
DIGEST = "0123456789abcdef" * 4
URL = "https://example.org/images/os.qcow2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian:bookworm", DebianReference(text="debian:bookworm", suite="bookworm")),
        (
            "debian:sid?seed=cloud-init",
            DebianReference(text="debian:sid?seed=cloud-init", suite="sid", seed="cloud-init"),
        ),
        ("debian:jammy", DebianReference(text="debian:jammy", suite="jammy")),
        (
            f"{URL}#sha256={DIGEST.upper()}",
            DownloadReference(text=f"{URL}#sha256={DIGEST.upper()}", url=URL, sha256=DIGEST),
        ),
        ("/images/a.qcow2", FileReference(text="/images/a.qcow2", path=Path("/images/a.qcow2"))),
        ("../a.img", FileReference(text="../a.img", path=Path("/catalogue/debian/a.img"))),
    ],
)
def test_understands_each_kind(text: str, expected: object) -> None:
    assert parse_reference(text, HERE) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not usable"),
        (" debian:bookworm", "not usable"),
        ("a\0b", "not usable"),
        ("debian:", "does not name a Debian suite"),
        ("debian:../x", "does not name a Debian suite"),
        ("debian:bookworm --hook=x", "does not name a Debian suite"),
        ("debian:bookworm?seed=none", "an option that is not known"),
        ("debian:bookworm?speed=1", "an option that is not known"),
        ("ftp://example.org/a.qcow2", "No such kind of base image"),
        ("ubuntu:jammy", "No such kind of base image"),
        (URL, "no usable checksum"),
        (f"{URL}#md5=abc", "no usable checksum"),
        (f"{URL}#sha256={DIGEST[:-1]}", "no usable checksum"),
        (f"{URL}#{DIGEST}", "no usable checksum"),
        ("debian:bokworm", "did you mean debian:bookworm"),
        (f"/images/a.qcow2#sha256={DIGEST}", "/images/a.qcow2 is a file .* takes no checksum"),
        (f"https:///a.qcow2#sha256={DIGEST}", "names no host"),
    ],
)
def test_refuses_what_it_cannot_use_and_says_what_it_could(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        parse_reference(text, HERE)
    assert caught.value.resolution
