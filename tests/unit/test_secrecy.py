"""Secrets of the environment are taken out of what others read, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.events import Event, EventBus, EventKind
from osqual.secrecy import Secrecy, hide_in, secrets_of


def test_which_variables_hold_secrets() -> None:
    environ = {
        "GITHUB_TOKEN": "abcdefgh",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "DB_PASSWORD": "hunter2hunter2",
        "TOKEN_FILE": "/run/secrets/token",
        "PATH": "/usr/bin:/bin",
        "SECRET_MODE": "yes",
        "SIGNING_PRIVATE_KEY": "-----BEGIN KEY-----\nMC4CAQAwBQ\n-----END KEY-----\n",
    }
    found = secrets_of(environ)
    assert {"abcdefgh", "wJalrXUtnFEMI", "hunter2hunter2", "MC4CAQAwBQ"} <= set(found)
    assert not {"/run/secrets/token", "/usr/bin:/bin", "yes"} & set(found)


def test_a_secret_that_begins_another_does_not_leave_its_end() -> None:
    hide = Secrecy({"A_TOKEN": "abcdef", "B_TOKEN": "abcdefghij"})
    assert hide("x abcdefghij y abcdef z") == "x [secret] y [secret] z"


def test_a_document_is_cleaned_all_through() -> None:
    hide = Secrecy({"TOKEN": "s3cr3t-value"})
    document = {"a s3cr3t-value": ["s3cr3t-value", {"b": ("x s3cr3t-value",)}], "n": 3, "z": None}
    assert hide_in(document, hide) == {
        "a [secret]": ["[secret]", {"b": ["x [secret]"]}],
        "n": 3,
        "z": None,
    }


def test_events_are_clean_for_every_subscriber() -> None:
    seen: list[Event] = []
    bus = EventBus(seen.append, clean=Secrecy({"API_KEY": "s3cr3t-value"}).event)
    bus.publish(
        Event(kind=EventKind.OUTPUT, run_id="r", time=0.0, message="s3cr3t-value", data={"a": "b"})
    )
    assert (seen[0].message, seen[0].data) == ("[secret]", {"a": "b"})


@pytest.mark.parametrize(
    "text",
    [
        'json: s3cr3t\\"&<value>/x',
        "xml: s3cr3t&quot;&amp;&lt;value&gt;/x",
        "url: s3cr3t%22%26%3Cvalue%3E%2Fx",
        "header: Basic czNjcjN0IiY8dmFsdWU+L3g=",
        "cut: 's3cr3t\"&<v...rest' and 'some...alue>/x'",
        "http://user:other-word@host/x and https://ghp_justatoken@host",
        "https://bucket/x?a=1&X-Amz-Signature=abcdef&b=2",
        "postgresql://osqual:other-word@db/osqual",
    ],
)
def test_a_secret_is_known_in_the_clothes_that_it_wears(text: str) -> None:
    hidden = Secrecy({"A_TOKEN": 's3cr3t"&<value>/x'})(text)
    assert "[secret]" in hidden
    for part in ("s3cr3t", "alue", "czNj", "other", "ghp_", "abcdef"):
        assert part not in hidden


def test_what_is_no_secret_stays() -> None:
    hide = Secrecy({"STORE": "postgresql://osqual:pass-word@db/x", "SECRET_MODE": "yes"})
    for text in ("ssh://git@host/x.git", "http://host:80/a?b=c", "a=b user@host", "s3c...ret"):
        assert hide(text) == text
    assert hide("the word pass-word") == "the word [secret]"


def test_inputs_tell_their_secrets_by_their_names() -> None:
    hide = Secrecy()
    hide.learn_named(
        {
            "db_password": "hunter-22",
            "tokens": {"a": ["tok-en-1"]},
            "ssh_password": "packer",
            "api_key_file": "/etc/api-key",
            "mirror": "https://u:mirror-pw@m/",
        }
    )
    assert hide("hunter-22 tok-en-1 mirror-pw") == "[secret] [secret] [secret]"
    assert hide("packer /etc/api-key") == "packer /etc/api-key"


@given(st.text(), st.text(min_size=6).filter(lambda text: text.strip() == text and len(text) > 5))
def test_no_text_keeps_a_secret(text: str, secret: str) -> None:
    if secret in "[secret]" or "[secret]" in secret:
        return
    hidden = Secrecy({"TOKEN": secret})(f"{text}{secret}{text}")
    assert secret not in hidden.replace("[secret]", "\0")
