"""Shell-like patterns over paths and names: `*` and `?` stop at a slash, `**` does not."""

import re
from collections.abc import Callable

from osqual.errors import UsageError


def is_glob(text: str) -> bool:
    """Whether the text has a wildcard in it."""
    return any(char in text for char in "*?[")


def glob_matcher(pattern: str) -> Callable[[str], bool]:
    """A predicate for whole texts; `a/**` also matches `a` itself, `**/b` also `b`.

    Raises UsageError.
    """
    try:
        expression = re.compile("".join(_translate(pattern.rstrip("/"))), re.DOTALL)
    except re.error as error:
        raise UsageError(f"The pattern {pattern!r} cannot be used: {error}.") from error
    return lambda text: expression.fullmatch(text) is not None


def _translate(pattern: str) -> list[str]:
    parts, index = [], 0
    while index < len(pattern):
        rest = pattern[index:]
        if rest == "/**":
            parts.append("(?:/.*)?")
            break
        if rest.startswith("**/"):
            parts.append("(?:.*/)?")
            index += 3
        elif rest.startswith("**"):
            parts.append(".*")
            index += 2
        elif rest[0] == "[" and (bracket := re.match(r"\[([!^]?)(\]?[^\]]*)\]", rest)):
            parts.append(f"[{'^/' if bracket[1] else ''}{_character_class(bracket[2])}]")
            index += bracket.end()
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0])))
            index += 1
    return parts


def _character_class(chars: str) -> str:
    """The inside of a class with everything escaped but the dash of a range like 0-9."""
    escaped = []
    for index, char in enumerate(chars):
        around = chars[index - 1 : index] + chars[index + 1 : index + 2]
        is_range = char == "-" and len(around) == 2 and around.isalnum()
        escaped.append(char if char.isalnum() or is_range else f"\\{char}")
    return "".join(escaped)
