"""Signatures: the same for the same failure, and others for others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.results.signature import LENGTH, normalise, signature_of

SAME = [
    ("cannot reach 10.0.0.1:2375", "cannot reach 192.168.17.200:80"),
    ("cannot reach [fe80::5054:ff:fe12:3456]:80", "cannot reach [fe80::1:2:3:4]:443"),
    ("at 2026-01-02T03:04:05.678Z: no", "at 2027-11-12 13:14:15+01:00: no"),
    ("Mon Nov 23 00:15:28 2026 lost", "Tue Dec  1 10:00:00 2026 lost"),
    ("task abcdef012345 failed", "task 0123456789ab failed"),
    ("task 5xkl2nmq0tzx5b4ojw3dtmn1v failed", "task q9z2fxh8c0l4mn3ab7yw6dtkr failed"),
    ("id 123e4567-e89b-12d3-a456-426614174000", "id 00000000-e89b-12d3-a456-426614174999"),
    ("object at 0x7f3c2b1a", "object at 0x55d0c3"),
    ("gave up after 30.2 s", "gave up after 61 seconds"),
    ("in /tmp/pytest-of-root/pytest-3/x0: no", "in /tmp/pytest-of-admin/pytest-17/y: no"),
    ("test_net.py:12: AssertionError", "test_net.py:99: AssertionError"),
    ("\x1b[31mE\x1b[0m  no", "E no"),
    ("mac 52:54:00:12:34:56 is gone", "mac 52:54:00:ab:cd:ef is gone"),
    ("pid 17 died", "pid 4242 died"),
]
DIFFERENT = [
    ("HTTP 500", "HTTP 404"),
    ("test_vip failed", "test_dns failed"),
    ("assert 1 == 2", "assert 1 == 3"),
    ("kernel 5.10 has it", "kernel has it"),
    ("node private-agent-1", "node master-1"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_what_varies_is_left_out(first: str, second: str) -> None:
    assert normalise(first) == normalise(second)
    assert signature_of(first) == signature_of(second)


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_what_tells_failures_apart_stays(first: str, second: str) -> None:
    assert signature_of(first) != signature_of(second)


def test_a_failure_without_a_message_is_known_by_the_end_of_its_details() -> None:
    assert signature_of("", "line 1\nboom at 0xff") == signature_of("", "line 7\nboom at 0xab")
    assert signature_of("", "a\nb") != signature_of("", "a\nc")
    assert signature_of("", " \n") == ""


@given(st.text(), st.text())
def test_every_text_has_one(message: str, details: str) -> None:
    found = signature_of(message, details)
    assert found == signature_of(message, details)
    assert len(found) in (0, LENGTH)


def test_long_and_odd_texts_take_no_time() -> None:
    for text in ("a:" * 50_000, "0" * 100_000, "1." * 50_000, "f" * 100_000, "-" * 100_000):
        signature_of(text, text)
