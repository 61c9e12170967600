"""Taking secrets out of what others will read: of the environment, of inputs, and in URLs."""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from osqual.errors import OsqualError
from osqual.events import Event

HIDDEN = "[secret]"
SHORTEST = 6
"""Shorter values are words like `true`, which stand everywhere."""
_LONGEST_PIECE = 60
_NAMES = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE_KEY|API_?KEY|ACCESS_KEY|LICENSE_KEY|COOKIE"
    r"|AUTHORIZATION|_PAT$|_AUTH$",
    re.IGNORECASE,
)
# Names that only say where a secret is.
_PLACES = re.compile(r"(_FILE|_PATH|_URL|_DIR)$", re.IGNORECASE)
# Whoever knows the address of a webhook may speak there.
_WEBHOOKS = re.compile(r"WEBHOOK", re.IGNORECASE)
# Of http, a user alone may be a token; elsewhere (ssh://git@host) it is a name.
_USER_INFO = re.compile(
    r"(?i)(?<=://)[^\s/@:\"'<>]*:[^\s/@\"'<>]+@|(?<=http://|ttps://)[^\s/@\"'<>]+@"
)
_QUERY = re.compile(
    r"(?i)([?&;](?:[a-z0-9_.-]*(?:token|secret|passw(?:or)?d|signature|api_?key)|sig)=)[^\s&;\"'<>]+"
)


class Secrecy:
    """What may not be repeated by a run. It grows while the run learns of more."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._cut: re.Pattern[str] | None = None
        self.learn(secrets_of(environ or {}))

    def learn(self, values: Iterable[str]) -> None:
        """Take values for secrets from now on; of several lines each line too."""
        found = {one for value in values for one in _parts(value)}
        if found <= self._values:
            return
        self._values = self._values | found  # anew: other threads may be reading it
        forms = sorted(set(_forms(self._values)), key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, forms)))
        self._cut = re.compile("|".join(_cut(form) for form in forms if len(form) > SHORTEST))

    def learn_named(self, variables: Mapping[str, Any]) -> None:
        """Learn what stands under telling names in a profile or a template, and in its URLs."""
        self.learn(_named(variables))

    def __call__(self, text: str) -> str:
        """The text with every secret blanked."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        if self._cut is not None and "..." in text:
            text = self._cut.sub(HIDDEN, text)
        if "://" in text or "=" in text:
            text = _QUERY.sub(rf"\1{HIDDEN}", _USER_INFO.sub(f"{HIDDEN}@", text))
        return text

    def event(self, event: Event) -> Event:
        """The event with every secret blanked; for a bus."""
        return replace(event, message=self(event.message), data=hide_in(event.data, self))

    def error(self, error: Exception) -> None:
        """Blank the secrets in what an error says, wherever it is shown later."""
        if isinstance(error, OsqualError):
            error.brief, error.details = self(error.brief), self(error.details)
            error.resolution = self(error.resolution)
            error.args = tuple(self(one) if isinstance(one, str) else one for one in error.args)

    def clean_files(self, paths: Iterable[Path]) -> None:
        """Blank the secrets in files that nobody writes any more; one that has none stays."""
        for path in paths:
            try:
                before = path.read_bytes()
                text = before.decode(errors="surrogateescape")
                after = self(text).encode(errors="surrogateescape")
                if after == before:
                    continue
                place = path.with_name(f".{path.name}.cleaned")
                place.touch(mode=path.stat().st_mode & 0o777)
                place.write_bytes(after)
                place.replace(path)
            except OSError:
                continue  # gone meanwhile, or a full disk: what reads it later blanks it too


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values that must not be repeated, the longest first; of several lines each line too."""
    found: set[str] = set()
    for name, value in environ.items():
        address = _WEBHOOKS.search(name) and "://" in value
        if address or _is_secret(name):
            found.update(_parts(value))
        found.update(one for one in _passwords(value) if len(one) >= SHORTEST)
    return tuple(sorted(found, key=lambda one: (-len(one), one)))


def hide_in(document: Any, hide: Callable[[str], str]) -> Any:
    """A JSON document with the secrets blanked in every text of it, keys included."""
    if isinstance(document, str):
        return hide(document)
    if isinstance(document, Mapping):
        return {hide(str(key)): hide_in(value, hide) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [hide_in(value, hide) for value in document]
    return document


def _parts(value: str) -> Iterator[str]:
    for one in (value.strip(), *(line.strip() for line in value.splitlines())):
        if len(one) >= SHORTEST:
            yield one


def _forms(values: Iterable[str]) -> Iterator[str]:
    """Each value as it stands in text, JSON, Python, XML, URLs, shell words and headers."""
    for value in values:
        for form in (value, json.dumps(value)[1:-1], repr(value)[1:-1]):
            yield form
            yield html.escape(form)
            yield html.escape(form, quote=False)
            yield html.escape(form, quote=False).replace('"', "&quot;")
        yield json.dumps(value, ensure_ascii=False)[1:-1]
        yield quote(value, safe="")
        yield quote(value)
        yield quote_plus(value)
        yield shlex.quote(value).strip("'")
        yield base64.b64encode(value.encode(errors="replace")).decode().rstrip("=")


def _cut(form: str) -> str:
    """A pattern of what is left of a value that pytest, say, has shortened by three dots."""
    first = form[:SHORTEST], form[SHORTEST : SHORTEST + _LONGEST_PIECE]
    last = form[:-SHORTEST][-_LONGEST_PIECE:], form[-SHORTEST:]
    begin, end, begin_rest, end_rest = re.escape(first[0]), re.escape(last[1]), "", ""
    for letter in reversed(first[1]):
        begin_rest = re.escape(letter) + (f"(?:{begin_rest})?" if begin_rest else "")
    for letter in last[0]:
        end_rest = (f"(?:{end_rest})?" if end_rest else "") + re.escape(letter)
    return rf"{begin}(?:{begin_rest})?(?=\.\.\.)|(?<=\.\.\.)(?:{end_rest})?{end}"


def _passwords(value: str) -> Iterator[str]:
    """The password of each URL in a text."""
    for found in _USER_INFO.findall(value):
        user, colon, password = found.removesuffix("@").partition(":")
        yield from {password, unquote(password)} if colon else {user}


def _named(value: Any, name: str = "") -> Iterator[str]:
    """Texts under telling names that are no plain words, which would be blanked everywhere."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _named(inner, name if _is_secret(name) else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _named(inner, name)
    elif isinstance(value, str):
        if _is_secret(name) and len(value) > SHORTEST and not value.isalpha():
            yield value
        yield from _passwords(value)


def _is_secret(name: str) -> bool:
    return bool(_NAMES.search(name)) and not _PLACES.search(name)
