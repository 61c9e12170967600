"""Packer's template functions, as the layered builder gives them to provisioners and options.

Those that give another value in every build are left as written in a layer's key, so that a layer
holds the value of the build that made it.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from osqual.errors import InvalidInput
from osqual.templates.template import Function

VOLATILE = ("timestamp", "isotime", "strftime", "uuid")

_ELSEWHERE: Mapping[str, str] = {
    "env": "`env` works only in `variables`, as in Packer: read it there and use {{user `name`}}",
    "consul_key": "build this template with --builder packer",
    "vault": "build this template with --builder packer",
    "aws_secretsmanager": "build this template with --builder packer",
    "build": "build this template with --builder packer",
}

# Go writes a time format as what that format makes of Mon Jan 2 15:04:05 MST 2006.
_GO_TIME: Mapping[str, str] = {
    "2006": "%Y", "January": "%B", "Jan": "%b", "01": "%m", "02": "%d", "15": "%H", "03": "%I",
    "04": "%M", "05": "%S", "06": "%y", "PM": "%p", "Monday": "%A", "Mon": "%a", "MST": "UTC",
    "Z07:00": "Z", "-0700": "+0000", "-07:00": "+00:00", "002": "%j",
}  # fmt: skip
_GO_TOKEN = re.compile("|".join(sorted(map(re.escape, _GO_TIME), key=len, reverse=True)))


def stable_functions(variables: Mapping[str, str], build_name: str) -> Mapping[str, Function]:
    """The functions for a layer's key: what differs in every build stays as it is written."""
    return {
        **_common(variables, build_name),
        **{name: partial(_as_written, name) for name in VOLATILE},
    }


def live_functions(
    variables: Mapping[str, str], build_name: str, started: datetime
) -> Mapping[str, Function]:
    """The functions for running; `started` (UTC) is when the build began, the same for all."""
    return {
        **_common(variables, build_name),
        "timestamp": lambda _: str(int(started.timestamp())),
        "isotime": lambda layout: isotime(started, layout),
        "strftime": lambda layout: started.strftime(layout or ""),
        "uuid": lambda _: str(uuid.uuid4()),
    }


def isotime(moment: datetime, layout: str | None) -> str:
    """A UTC time in Go's notation for layouts; RFC 3339 without one."""
    if layout is None:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    pattern = _GO_TOKEN.sub(lambda match: _GO_TIME[match[0]], layout.replace("%", "%%"))
    return moment.strftime(pattern)


def _common(variables: Mapping[str, str], build_name: str) -> dict[str, Function]:
    def user(name: str | None) -> str:
        if name is None or name not in variables:
            raise InvalidInput(
                f"The template uses the variable {name!r}, which it does not declare.",
                resolution="add it to `variables`",
            )
        return variables[name]

    return {
        **{name: partial(_refuse, name) for name in _ELSEWHERE},
        "user": user,
        "build_name": lambda _: build_name,
        "build_type": lambda _: "qemu",
        # Files are looked up in the configuration and then in each parent directory.
        "template_dir": lambda _: ".",
        "upper": lambda text: (text or "").upper(),
        "lower": lambda text: (text or "").lower(),
        "replace_all": lambda old, new, text: text.replace(old, new),
        "replace": lambda old, new, count, text: text.replace(old, new, int(count)),
        "split": lambda text, separator, index: _part(text, separator, int(index)),
    }


def _part(text: str, separator: str, index: int) -> str:
    parts = text.split(separator)
    if not 0 <= index < len(parts):
        raise InvalidInput(f"split: {text!r} has no part {index} between {separator!r}.")
    return parts[index]


def _as_written(name: str, *arguments: str | None) -> str:
    words = [f"`{argument}`" for argument in arguments if argument is not None]
    return "{{" + " ".join([name, *words]) + "}}"


def _refuse(name: str, *_: str | None) -> str:
    raise InvalidInput(
        f"The template function {name!r} cannot be used here.", resolution=_ELSEWHERE[name]
    )
