"""What a root module declares: its variables, which of them need a value, and its outputs."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osqual.errors import InvalidInput

BUILT_IN_MODULES = Path(__file__).parents[1] / "built_in" / "terraform"

_BLOCK = re.compile(r'^[ \t]*(variable|output)[ \t]+"?([^"{\n]+?)"?[ \t]*\{', re.MULTILINE)
_STRING_OR_BRACE = re.compile(r'"(?:\\.|[^"\\])*"|[{}]|(?:#|//)[^\n]*')
_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_DEFAULT = re.compile(r"\bdefault[ \t]*[={]")


@dataclass(frozen=True, kw_only=True)
class Declared:
    """Names of variables (with whether one needs a value) and of outputs."""

    variables: Mapping[str, bool]
    outputs: frozenset[str]


def module_source(written: str, base: Path) -> str:
    """The source to hand to `init -from-module`: built-in names and paths become absolute.

    A path starts with `.` or `/`, as in Terraform itself. Raises InvalidInput when it is missing.
    """
    built_in = BUILT_IN_MODULES / written
    if re.fullmatch(r"[a-z][a-z0-9-]*", written):
        if built_in.is_dir():
            return str(built_in)
        known = ", ".join(sorted(path.name for path in BUILT_IN_MODULES.iterdir()))
        raise InvalidInput(
            f"There is no built-in Terraform module {written!r}.",
            details=f"Built in: {known}",
            resolution="write a path as ./path, or a source as Terraform knows it",
        )
    if written.startswith((".", "/")):
        path = (base / written).resolve()
        if not path.is_dir():
            raise InvalidInput(f"The Terraform module {written} does not exist in {base}.")
        return str(path)
    return written


def read_declared(directory: Path) -> Declared:
    """Read every file of a root module; nothing is evaluated."""
    variables: dict[str, bool] = {}
    outputs: set[str] = set()
    for path in sorted(directory.glob("*.tf")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for kind, name, body in _blocks(text):
            if kind == "output":
                outputs.add(name)
            else:
                variables[name] = not _DEFAULT.search(_STRING.sub('""', body))
    for path in sorted(directory.glob("*.tf.json")):
        document = _json(path)
        outputs.update(document.get("output", {}))
        for name, body in document.get("variable", {}).items():
            variables[name] = "default" not in body
    return Declared(variables=variables, outputs=frozenset(outputs))


def _blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind, name and body of each variable and output at the top level."""
    for match in _BLOCK.finditer(text):
        depth = 1
        for token in _STRING_OR_BRACE.finditer(text, match.end()):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if depth == 0:
                yield match[1], match[2], text[match.end() : token.start()]
                break


def _json(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read.", details=str(error)) from error
    return document if isinstance(document, dict) else {}
