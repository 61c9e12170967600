"""Secrets of the environment are taken out of what others read, and nothing else is."""

from hypothesis import given
from hypothesis import strategies as st

from osqual.events import Event, EventBus, EventKind
from osqual.secrecy import event_cleaner, hide_in, hider, secrets_of


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
    hide = hider({"A_TOKEN": "abcdef", "B_TOKEN": "abcdefghij"})
    assert hide("x abcdefghij y abcdef z") == "x [secret] y [secret] z"


def test_a_document_is_cleaned_all_through() -> None:
    hide = hider({"TOKEN": "s3cr3t-value"})
    document = {"a s3cr3t-value": ["s3cr3t-value", {"b": ("x s3cr3t-value",)}], "n": 3, "z": None}
    assert hide_in(document, hide) == {
        "a [secret]": ["[secret]", {"b": ["x [secret]"]}],
        "n": 3,
        "z": None,
    }


def test_events_are_clean_for_every_subscriber() -> None:
    seen: list[Event] = []
    bus = EventBus(seen.append, clean=event_cleaner({"API_KEY": "s3cr3t-value"}))
    bus.publish(
        Event(kind=EventKind.OUTPUT, run_id="r", time=0.0, message="s3cr3t-value", data={"a": "b"})
    )
    assert (seen[0].message, seen[0].data) == ("[secret]", {"a": "b"})


@given(st.text(), st.text(min_size=6).filter(lambda text: text.strip() == text and len(text) > 5))
def test_no_text_keeps_a_secret(text: str, secret: str) -> None:
    if secret in "[secret]" or "[secret]" in secret:
        return
    hidden = hider({"TOKEN": secret})(f"{text}{secret}{text}")
    assert secret not in hidden.replace("[secret]", "\0")
