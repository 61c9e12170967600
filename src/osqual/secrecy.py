"""Taking the secrets of the environment out of what others will read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from osqual.events import Cleaner

HIDDEN = "[secret]"
SHORTEST = 6
"""Shorter values are words like `true`, which stand everywhere."""
_NAMES = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE_KEY|API_?KEY|ACCESS_KEY|LICENSE_KEY|COOKIE",
    re.IGNORECASE,
)
# Names that only say where a secret is.
_PLACES = re.compile(r"(_FILE|_PATH|_URL|_DIR)$", re.IGNORECASE)


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values that must not be repeated, the longest first; of several lines each line too."""
    found: set[str] = set()
    for name, value in environ.items():
        if _NAMES.search(name) and not _PLACES.search(name):
            found.update((value.strip(), *(line.strip() for line in value.splitlines())))
    return tuple(sorted((one for one in found if len(one) >= SHORTEST), key=len, reverse=True))


def hider(environ: Mapping[str, str]) -> Callable[[str], str]:
    """A function that gives a text with the secrets blanked."""
    secrets = secrets_of(environ)

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return text

    return hide


def event_cleaner(environ: Mapping[str, str]) -> Cleaner:
    """For a bus: events with the secrets blanked, as long as there are any."""
    if not secrets_of(environ):
        return lambda event: event
    hide = hider(environ)
    return lambda event: replace(event, message=hide(event.message), data=hide_in(event.data, hide))


def hide_in(document: Any, hide: Callable[[str], str]) -> Any:
    """A JSON document with the secrets blanked in every text of it, keys included."""
    if isinstance(document, str):
        return hide(document)
    if isinstance(document, Mapping):
        return {hide(str(key)): hide_in(value, hide) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [hide_in(value, hide) for value in document]
    return document
