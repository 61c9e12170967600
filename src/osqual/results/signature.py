"""The signature of a failure: the same for the same failure, whatever run, machine and time.

Addresses, ids, times and counters are taken out of its words; what is left is hashed.
"""

import hashlib
import re

LENGTH = 12
"""Hexadecimal digits of a signature."""
_MESSAGE_LINES = 5
_DETAIL_LINES = 3

_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_GROUP = "[0-9a-fA-F]{1,4}"

# In this order: what is larger is taken before what it is made of.
_VARYING: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), placeholder)
    for pattern, placeholder in (
        (r"\x1b\[[0-9;]*[A-Za-z]", ""),
        (r"\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b", "<mac>"),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "<id>"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z| ?[+-]\d\d:?\d\d)?", "<time>"),
        (rf"\b(?:(?:{_DAYS}),? )?(?:{_MONTHS}) +\d{{1,2}} \d\d:\d\d:\d\d(?: \d{{4}})?", "<time>"),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
        (r"\b\d{4}-\d\d-\d\d\b", "<time>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d{1,5})?\b", "<address>"),
        (
            r"\[?(?:[0-9a-fA-F]{1,4})?(?:::?[0-9a-fA-F]{1,4}){2,7}(?:::)?\]?(?::\d{1,5})?",
            "<address>",
        ),
        (r"\b(?:localhost|port) ?:? ?\d{2,5}\b", "<address>"),
        (r"\b0x[0-9a-fA-F]+\b", "<hex>"),
        (r"/(?:tmp|var/tmp|run/user|proc)/[^\s'\":,)]+", "<path>"),
        (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}\b", "<id>"),
        (r"\b(?=\w*\d)(?=\w*[a-z])[a-z0-9]{12,}\b", "<id>"),
        (r"\b\d+(?:\.\d+)? ?(?:ns|us|µs|ms|s|sec|secs|seconds?|minutes?|mins?|hours?)\b", "<time>"),
        (r"\b\d+\.\d+\b", "<n>"),
        (r"\b\d{4,}\b", "<n>"),
        (r"(\.py|\.go|\.sh|\.c):\d+", r"\1:<n>"),
        (r"\b(line|pid|process|attempt|fd) \d+\b", r"\1 <n>"),
        (r"[ \t]+", " "),
    )
)


def normalise(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, placeholder in _VARYING:
        text = pattern.sub(placeholder, text)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def words_of(message: str, details: str = "") -> str:
    """What a failure says, normalised: its message, or else the end of its details."""
    words = normalise(message).splitlines()[:_MESSAGE_LINES]
    return "\n".join(words or normalise(details).splitlines()[-_DETAIL_LINES:])


def signature_of(message: str, details: str = "") -> str:
    """The signature; empty for a failure that says nothing at all."""
    words = words_of(message, details)
    return hashlib.sha256(words.encode()).hexdigest()[:LENGTH] if words else ""
