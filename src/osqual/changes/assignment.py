"""What `osqual edit` is asked for: a place in one kind of file, and a value as text."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from osqual.catalogue.filters import ABSENT
from osqual.errors import UsageError

KINDS: Mapping[str, str] = {
    "profile": "the cluster profile, such as profile.aws_master_instance_type",
    "template": "the Packer template, such as template.builders.0.instance_type",
    "config": "what to test and publish, such as config.run_framework_tests",
    "base_images": "the base images, such as base_images.us-west-2",
}

_STEP = re.compile(r"((?:[^.\\]|\\.)+)(?:\.|$)")
_PLACEHOLDER = re.compile(r"(?<![{$%])\{([a-z][a-z0-9_]*)\}(?!\})")


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One `KIND.PLACE=VALUE`; without a value the place is to be removed."""

    kind: str
    path: tuple[str | int, ...]
    value: str | None

    def __str__(self) -> str:
        return f"{self.kind}.{'.'.join(map(str, self.path))}"

    def text_for(self, dimensions: Mapping[str, str], known: Collection[str]) -> str | None:
        """The value with each `{dimension}` put in; braces around anything else stay."""
        if self.value is None:
            return None

        def put_in(match: re.Match[str]) -> str:
            name = match[1]
            return dimensions.get(name, ABSENT) if name in known else match[0]

        return _PLACEHOLDER.sub(put_in, self.value)


def parse_assignment(text: str) -> Assignment:
    """`profile.x=y`. A dot in a key is written `\\.`. Raises UsageError."""
    place, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text!r} has no value.", resolution="write it as KIND.KEY=VALUE")
    return Assignment(kind=_kind(place), path=_path(place), value=_sound(value, text))


def parse_removal(text: str) -> Assignment:
    """`profile.x`. Raises UsageError."""
    return Assignment(kind=_kind(text), path=_path(text), value=None)


def _sound(value: str, text: str) -> str:
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value) or "\0" in value:
        raise UsageError(f"--set {text!r} is not UTF-8 text.")
    return value


def _kind(place: str) -> str:
    kind = place.strip().partition(".")[0]
    if kind not in KINDS:
        known = "\n".join(f"{name}: {what}" for name, what in KINDS.items())
        raise UsageError(f"{place.strip()!r} does not begin with a kind of file.", details=known)
    return kind


def _path(place: str) -> tuple[str | int, ...]:
    rest = place.strip().partition(".")[2]
    _sound(rest, place)
    steps, position = [], 0
    while position < len(rest):
        match = _STEP.match(rest, position)
        if match is None:
            break
        steps.append(re.sub(r"\\(.)", r"\1", match[1]))
        position = match.end()
    if not steps or position < len(rest) or rest.endswith("."):
        raise UsageError(
            f"{place.strip()!r} does not name a key.",
            resolution="write it as KIND.KEY or KIND.KEY.INNER; list items by number from 0",
        )
    return tuple(int(step) if re.fullmatch("[0-9]{1,6}", step) else step for step in steps)


def value_of(text: str, old: Any, place: str) -> Any:
    """The value that a text means where `old` stands (None: nothing).

    Where there is text, it becomes text: node counts are written `"3"`. Elsewhere it is read as
    JSON if it is any (true, 3, ["a"], "3"), and is text if it is not. A value of another type
    than the old one is refused with UsageError.
    """
    literal = _literal(text)
    if isinstance(old, str):
        return literal if isinstance(literal, str) else text
    value = text if literal is _NO_LITERAL else literal
    if old is not None and _type(value) != _type(old):
        raise UsageError(
            f"{place} is {_type(old)}, so it cannot become {text!r}.",
            resolution="give a value of the same type as JSON, or remove the old one first with "
            "--unset",
        )
    return value


_NO_LITERAL = object()


def _literal(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NO_LITERAL


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _type(value: Any) -> str:
    names = (
        (bool, "true or false"),
        ((int, float), "a number"),
        (list, "a list"),
        (dict, "a mapping"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "text")
