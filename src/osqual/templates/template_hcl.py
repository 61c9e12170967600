"""Packer's HCL templates, read into the shape of its JSON ones, which both sides understand.

Variables, locals, one source and one build. What JSON templates cannot say is a named error.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from osqual.errors import InvalidFile
from osqual.formats.hcl import HclSyntaxError, HclUnusable, load_hcl
from osqual.templates.template import PackerTemplate

SUFFIX = ".pkr.hcl"
PLUGINS = "_required_plugins"
"""Where a template keeps the plugins that it asks for: Packer ignores keys that begin so."""

_BLOCK = "__is_block__"
_REFERENCE = re.compile(r"\$\{\s*(.+?)\s*\}")
_ENV = re.compile(r'env\(\s*"([^"]+)"\s*\)')
_TIME = re.compile(r"(?:timestamp\(\)|(?:regex_replace|formatdate)\(.*timestamp\(\).*\))")
# Blocks that stand once; every other nested block is one of a list.
_SINGLE = frozenset(
    {"source_ami_filter", "subnet_filter", "vpc_filter", "security_group_filter",
     "metadata_options", "assume_role", "temporary_security_group_source"}
)  # fmt: skip


def parse_hcl_template(text: str, source: str) -> PackerTemplate:
    """Parse an HCL template. Raises InvalidFile with the place."""
    return _Reader(document=_load(text, source), source=source).template()


_BLOCKS: Mapping[str | int, str] = {
    "builders": r"source\b",
    "provisioners": r"provisioner\b",
    "post-processors": r"post-processor\b",
}


def line_in_hcl(text: str, key: Sequence[str | int]) -> int:
    """The line of what stands at `key` of the template's JSON shape; 0 when it is not found."""
    position = -1
    steps = list(key)
    if len(steps) > 1 and steps[0] == "variables":
        steps[:2] = [f'variable "{steps[1]}"']
    elif len(steps) > 1 and steps[0] in _BLOCKS and isinstance(steps[1], int):
        blocks = [*re.finditer(rf"(?m)^[ \t]*{_BLOCKS[steps[0]]}", text)]
        if steps[1] < len(blocks):
            position = blocks[steps[1]].start()
        del steps[:2]
    for name in (step for step in steps if isinstance(step, str)):
        found = re.compile(rf"(?m)^[ \t]*{re.escape(name)}\s*[={{]").search(text, max(position, 0))
        if found is None:
            break
        position = found.start()
    return text.count("\n", 0, position) + 1 if position >= 0 else 0


def _load(text: str, source: str) -> Mapping[str, Any]:
    try:
        return load_hcl(text)
    except HclSyntaxError as error:
        words = f"is not valid HCL: {str(error).splitlines()[0]}"
        raise InvalidFile(source, words, line=error.line) from error
    except HclUnusable as error:
        raise InvalidFile(source, f"is not a usable template: {error}") from error


@dataclass(kw_only=True)
class _Reader:
    """One document on its way to a template."""

    document: Mapping[str, Any]
    source: str
    locals: dict[str, Any] = field(default_factory=dict)

    def template(self) -> PackerTemplate:
        for block in self.blocks("locals"):
            self.locals |= {name: value for name, value in block.items() if name != _BLOCK}
        build = self.only("build")
        data: dict[str, Any] = {
            "variables": self.variables(),
            "builders": [self.builder(build)],
            "provisioners": [self.typed(entry) for entry in _list(build.get("provisioner"))],
            "post-processors": [self.typed(entry) for entry in _list(build.get("post-processor"))],
        }
        for group in _list(build.get("post-processors")):
            chain = [self.typed(entry) for entry in _list(group.get("post-processor"))]
            data["post-processors"].append(chain)
        plugins = self.plugins()
        if plugins:
            data[PLUGINS] = plugins
        return PackerTemplate(data=data, source=self.source)

    def blocks(self, name: str) -> list[Mapping[str, Any]]:
        return [block for block in _list(self.document.get(name)) if isinstance(block, Mapping)]

    def only(self, name: str) -> Mapping[str, Any]:
        found = self.blocks(name)
        if len(found) != 1:
            raise self.broken(f"there are {len(found)} `{name}` blocks; there must be one")
        return found[0]

    def broken(self, words: str) -> InvalidFile:
        return InvalidFile(self.source, words)

    def variables(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for block in self.blocks("variable"):
            for name, body in block.items():
                default = body.get("default") if isinstance(body, Mapping) else None
                environment = _ENV.search(default) if isinstance(default, str) else None
                found[name] = f"{{{{env `{environment[1]}`}}}}" if environment else default
        return found

    def builder(self, build: Mapping[str, Any]) -> dict[str, Any]:
        """The one source that the build names, as a builder."""
        named = [str(name) for name in _list(build.get("sources"))]
        if len(named) != 1:
            raise self.broken(f"the build names {len(named)} sources; there must be one")
        kind, _, label = named[0].removeprefix("source.").partition(".")
        for block in self.blocks("source"):
            body = block.get(kind, {})
            if isinstance(body, Mapping) and isinstance(body.get(label), Mapping):
                return {"type": kind, **self.body(body[label])}
        raise self.broken(f"there is no source {kind}.{label}")

    def typed(self, entry: Any) -> dict[str, Any]:
        """`provisioner "shell" { … }` as `{"type": "shell", …}`."""
        if not isinstance(entry, Mapping):
            raise self.broken("a provisioner or post-processor is not a block")
        kinds = [(kind, body) for kind, body in entry.items() if kind != _BLOCK]
        if len(kinds) != 1 or not isinstance(kinds[0][1], Mapping):
            raise self.broken("a provisioner or post-processor has no type")
        return {"type": kinds[0][0], **self.body(kinds[0][1])}

    def body(self, block: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        for name, value in block.items():
            if name == _BLOCK:
                continue
            if name in _SINGLE and isinstance(value, list) and len(value) == 1:
                value = value[0]
            values[name] = self.value(value)
        return values

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, Mapping):
            return self.body(value)
        return value

    def text(self, text: str, depth: int = 0) -> str:
        """Each `${…}` as an action of JSON templates. Raises InvalidFile for what has none."""
        if depth > len(self.locals) + 1:
            raise self.broken("locals refer to each other in a circle")

        def replace(match: re.Match[str]) -> str:
            expression = match[1]
            if re.fullmatch(r"var\.\w+", expression):
                return f"{{{{user `{expression[4:]}`}}}}"
            if re.fullmatch(r"local\.\w+", expression) and expression[6:] in self.locals:
                return self.text(str(self.locals[expression[6:]]), depth + 1)
            if _TIME.fullmatch(expression):
                return "{{timestamp}}"
            raise self.broken(
                f"the expression {expression!r} has no counterpart in a JSON template"
            )

        return _REFERENCE.sub(replace, text)

    def plugins(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for block in self.blocks("packer"):
            for wanted in _list(block.get("required_plugins")):
                if isinstance(wanted, Mapping):
                    found |= {name: body for name, body in wanted.items() if name != _BLOCK}
        return found


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
