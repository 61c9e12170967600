"""Text of others (test output, names, consoles) made inert: no colours, no control, bounded."""

import re

# What terminals act on: CSI and OSC sequences, and the two-character escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# What turns the direction of the text after it, or hides it: shown by its name instead.
_DIRECTION = re.compile(r"[\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def plain_text(text: str) -> str:
    """The text without escape sequences; characters that would act on a reader are shown."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r", "\n"))
    return _DIRECTION.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def plain_line(text: str, limit: int = 500) -> str:
    """A text on one line, at most so long."""
    line = " ".join(plain_text(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def excerpt(text: str, limit: int) -> str:
    """The end of a text, from the beginning of a line; says how much was left out."""
    if len(text) <= limit:
        return text
    start = text.find("\n", len(text) - limit) + 1 or len(text) - limit
    return f"… {start} characters before this are left out\n{text[start:]}"
